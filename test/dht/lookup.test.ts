/** Whom one lookup asks, and how often. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Candidate, Lookup } from '../../src/dht/lookup.js';
import type { Reply } from '../../src/dht/messages.js';
import { formatAddress } from '../../src/net/address.js';

const TARGET = Buffer.alloc(20, 7);

function near(number: number): Buffer {
  const id = Buffer.from(TARGET);
  id.writeUInt16BE(id.readUInt16BE(18) ^ number, 18);
  return id;
}

function scene() {
  const asked: Candidate[] = [];
  const ask = (candidate: Candidate): boolean => asked.push(candidate) > 0;
  const lookup = new Lookup({ target: TARGET, ownId: Buffer.alloc(20), ask, onDone: () => {} });
  const ports = (host: string): string[] =>
    asked.map(({ address }) => formatAddress(address)).filter((text) => text.startsWith(host));
  return { lookup, asked, ports };
}

test('a victim that is named at many ports, and silent at all of them, gets two datagrams', () => {
  const { lookup, asked, ports } = scene();
  for (let round = 0; round < 20; round++) {
    lookup.add(
      Array.from({ length: 8 }, (_, index) => ({
        id: near(1 + round * 8 + index),
        address: { host: '9.9.9.9', port: 1 + round * 8 + index },
      })),
      2,
    );
    lookup.step(0);
    for (const candidate of asked) if (candidate.state === 'asked') lookup.failed(candidate);
  }
  assert.deepEqual(ports('9.9.9.9').length, 2);
});

test('one that answers under another id than it was named with keeps its right name in', () => {
  const { lookup, asked, ports } = scene();
  const right = { id: near(9), address: { host: '9.9.9.9', port: 9 } };
  lookup.add(
    [1, 2].map((number) => ({ id: near(number), address: { host: '9.9.9.9', port: number } })),
    2,
  );
  lookup.step(0);
  const reply = { id: near(77), token: null } as Reply;
  for (const candidate of [...asked]) lookup.answered(candidate, reply, []);
  lookup.isOver = false;
  lookup.add([right], 2);
  lookup.step(0);
  assert.deepEqual(ports('9.9.9.9').at(-1), '9.9.9.9:9');
});
