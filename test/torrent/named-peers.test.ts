import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../src/config.js';
import { LOOK_AGAIN_FIRST_MS, LOOK_AGAIN_LAST_MS, NamedPeers } from '../../src/torrent/named-peers.js';

function scene(answers: Record<string, readonly string[] | Error>) {
  const state = { nowMs: 0, asked: 0, peer: '' };
  const found: string[] = [];
  const troubles: boolean[] = [];
  const gone: string[] = [];
  const named = new NamedPeers({
    resolveHost: async (host) => {
      state.asked++;
      const answer = answers[host]!;
      if (answer instanceof Error) throw answer;
      return answer;
    },
    onAddress: ({ host, port }) => found.push(`${host}:${port}`),
    onGone: ({ host, port }) => gone.push(`${host}:${port}`),
    onTrouble: (_, __, isFirst) => troubles.push(isFirst),
    isPeer: ({ host }) => host === state.peer,
    now: () => state.nowMs,
  });
  const after = async (ms: number): Promise<void> => {
    state.nowMs += ms;
    named.tick(state.nowMs);
    await new Promise(setImmediate);
  };
  return { state, answers, named, found, gone, troubles, after };
}

test('a name that nobody knows yet is looked up again, and its trouble is told as first only once', async () => {
  const { answers, named, found, troubles, after } = scene({ seed: new Error('no such host') });
  await named.add('seed', 6881);
  await after(LOOK_AGAIN_FIRST_MS);
  assert.deepEqual([found, troubles], [[], [true, false]]);
  answers.seed = ['10.0.0.1'];
  await after(LOOK_AGAIN_FIRST_MS);
  assert.deepEqual(found, [], 'the pause has doubled');
  await after(LOOK_AGAIN_FIRST_MS);
  assert.deepEqual(found, ['10.0.0.1:6881']);
  assert.equal(named.has({ host: '10.0.0.1', port: 6881 }), true);
});

test('a name whose machine has moved gives its new address, and the old one is not given again', async () => {
  const { answers, named, found, after } = scene({ seed: ['10.0.0.1'] });
  await named.add('seed', 1);
  answers.seed = ['10.0.0.1', '10.0.0.2'];
  await after(LOOK_AGAIN_FIRST_MS);
  assert.deepEqual(found, ['10.0.0.1:1', '10.0.0.2:1']);
});

test('while an address of it is a peer a name is not looked up, and an address never', async () => {
  const { state, named, after } = scene({ seed: ['10.0.0.1'], '10.0.0.9': ['10.0.0.9'] });
  await named.add('seed', 1);
  await named.add('10.0.0.9', 1);
  state.peer = '10.0.0.1';
  for (let count = 0; count < 50; count++) await after(LOOK_AGAIN_FIRST_MS);
  assert.equal(state.asked, 2);
  state.peer = '';
  await after(LOOK_AGAIN_FIRST_MS);
  assert.equal(state.asked, 3);
  for (let count = 0; count < 100; count++) await after(LOOK_AGAIN_LAST_MS / 10);
  assert.ok(state.asked < 20, `${state.asked} look-ups in 50 minutes`);
});

test('an address that a name does not lead to any more is given up after three answers without it', async () => {
  const { answers, named, found, gone, after } = scene({ seed: ['10.0.0.1', '10.0.0.2'], twin: ['10.0.0.2'] });
  await named.add('seed', 1);
  await named.add('twin', 1);
  answers.seed = ['10.0.0.3', '2001:db8::3'];
  // A name server that gives a part of them each time.
  for (const answer of [['10.0.0.3'], ['10.0.0.3', '10.0.0.1'], ['10.0.0.3'], ['10.0.0.3']]) {
    answers.seed = answer;
    await after(LOOK_AGAIN_LAST_MS);
  }
  assert.deepEqual(gone, [], 'the other name still leads to 10.0.0.2');
  assert.ok(named.has({ host: '10.0.0.1', port: 1 }));
  answers.seed = ['10.0.0.3', '2001:db8::3'];
  await after(LOOK_AGAIN_LAST_MS);
  assert.deepEqual(gone, ['10.0.0.1:1']);
  assert.ok(!named.has({ host: '10.0.0.1', port: 1 }) && named.has({ host: '10.0.0.2', port: 1 }));
  assert.deepEqual(found.at(-1), '2001:db8::3:1', 'addresses of both families are used');
});

test('a new address is worth looks as often as at the start, and an answer is believed in part only', async () => {
  const { state, answers, named, found, after } = scene({ seed: ['10.0.0.1'] });
  await named.add('seed', 1);
  for (let count = 0; count < 12; count++) await after(LOOK_AGAIN_LAST_MS);
  answers.seed = Array.from({ length: 5000 }, (_, index) => `10.1.${index >> 8}.${index & 255}`);
  await after(LOOK_AGAIN_LAST_MS);
  assert.equal(found.length, 1 + LIMITS.addressesPerName);
  const { asked } = state;
  await after(LOOK_AGAIN_FIRST_MS);
  assert.equal(state.asked, asked + 1);
});

test('a name that is removed while it is looked up gives nothing any more', async () => {
  const { named, found } = scene({ seed: ['10.0.0.1'] });
  const adding = named.add('seed', 1);
  named.remove('seed', 1);
  await adding;
  assert.deepEqual([found, named.count], [[], 0]);
});
