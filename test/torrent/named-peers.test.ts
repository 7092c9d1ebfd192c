import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LOOK_AGAIN_FIRST_MS, LOOK_AGAIN_LAST_MS, NamedPeers } from '../../src/torrent/named-peers.js';

function scene(answers: Record<string, readonly string[] | Error>) {
  const state = { nowMs: 0, asked: 0, peer: '' };
  const found: string[] = [];
  const troubles: boolean[] = [];
  const named = new NamedPeers({
    resolveHost: async (host) => {
      state.asked++;
      const answer = answers[host]!;
      if (answer instanceof Error) throw answer;
      return answer;
    },
    onAddress: ({ host, port }) => found.push(`${host}:${port}`),
    onTrouble: (_, __, isFirst) => troubles.push(isFirst),
    isPeer: ({ host }) => host === state.peer,
    now: () => state.nowMs,
  });
  const after = async (ms: number): Promise<void> => {
    state.nowMs += ms;
    named.tick(state.nowMs);
    await new Promise(setImmediate);
  };
  return { state, answers, named, found, troubles, after };
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
