import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../src/config.js';
import { WaitingRoom } from '../../src/peer/waiting-room.js';

const LATER = LIMITS.silentHandshakeMs + 1;

test('of one address with too many connections the one that is silent for longest leaves', () => {
  const room = new WaitingRoom<{ host: string; startedMs: number }>();
  const all = Array.from({ length: LIMITS.handshakesPerAddress + 1 }, (_, i) => ({
    host: '192.0.2.1',
    startedMs: i / 1000,
  }));
  for (const each of all) room.enter(each);
  assert.equal(room.overdue('192.0.2.1', 1_000), null, 'a fleet may come at once');
  assert.equal(room.overdue('192.0.2.1', LATER), all[0]);
  assert.equal(room.overdue('192.0.2.2', LATER), null);
  room.leave(all[0]!);
  room.leave(all[0]!);
  assert.equal(room.count, LIMITS.handshakesPerAddress);
  assert.equal(room.overdue('192.0.2.1', LATER), null);
});

test('of too many connections in all one of the address that has most leaves', () => {
  const room = new WaitingRoom<{ host: string; startedMs: number }>();
  const flood = Array.from({ length: 50 }, () => ({ host: '2001:db8::1', startedMs: 1 }));
  for (let i = 0; i < LIMITS.handshakesPending - 50; i++)
    room.enter({ host: `192.0.${i >> 8}.${i & 255}`, startedMs: 0 });
  for (const each of flood) room.enter(each);
  assert.equal(room.overdue('198.51.100.1', LATER), null);
  const sameNetwork = { host: '2001:db8::2', startedMs: 2 };
  room.enter(sameNetwork);
  assert.equal(room.overdue('198.51.100.1', LATER + 1), flood[0]);
  assert.equal(room.longest(), flood[0]);
  for (const each of flood) room.leave(each);
  room.leave(sameNetwork);
  assert.equal(room.overdue('198.51.100.1', LATER), null);
});
