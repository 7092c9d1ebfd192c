/** Names are looked up one after the other, none for ever, and new ones before those that are asked again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HostLookups } from '../../src/net/host-lookups.js';

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function scene(waiting = 3) {
  const asked: string[] = [];
  const answers = new Map<string, (found: readonly string[]) => void>();
  const late = new Set<() => void>();
  const lookups = new HostLookups({
    lookUp: (host) => {
      asked.push(host);
      return new Promise((resolve) => answers.set(host, resolve));
    },
    atOnce: 1,
    waiting,
    timeoutMs: 10_000,
    later: (_, call) => {
      late.add(call);
      return () => late.delete(call);
    },
  });
  const said: string[] = [];
  const ask = (host: string, isAgain = false): void =>
    void lookups.resolve(host, isAgain).then(
      (found) => said.push(`${host} ${found.join()}`),
      (error: Error) => said.push(`${host} ${error.message}`),
    );
  return { asked, answers, late, said, ask, lookups };
}

test('an address is its own name, and asks nobody', async () => {
  const { lookups, asked } = scene();
  assert.deepEqual(await lookups.resolve('2001:db8::1'), ['2001:db8::1']);
  assert.deepEqual(asked, []);
});

test('new names go first, and too many are told to come again', async () => {
  const { asked, answers, said, ask } = scene();
  ask('a');
  ask('old', true);
  ask('b');
  ask('c');
  ask('d');
  await settle();
  assert.deepEqual([asked, said], [['a'], ['d too many names are being looked up']]);
  for (const host of ['a', 'b', 'c', 'old']) {
    answers.get(host)!([host]);
    await settle();
  }
  assert.deepEqual(asked, ['a', 'b', 'c', 'old']);
  assert.deepEqual(said.slice(1), ['a a', 'b b', 'c c', 'old old']);
  ask('d');
  await settle();
  answers.get('d')!(['d']);
  await settle();
  assert.equal(said.at(-1), 'd d');
});

test('a name that hangs is given up in time, and keeps its place until the system has let go of it', async () => {
  const { asked, answers, late, said, ask } = scene();
  ask('hangs');
  ask('other');
  await settle();
  for (const call of late) call();
  await settle();
  assert.deepEqual([asked, said], [['hangs'], ['hangs its name was not answered within 10 s']]);
  answers.get('hangs')!(['too late']);
  await settle();
  answers.get('other')!(['x']);
  await settle();
  assert.deepEqual([asked, said.at(-1), late.size], [['hangs', 'other'], 'other x', 0]);
});
