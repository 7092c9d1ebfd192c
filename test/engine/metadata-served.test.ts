/** The info dictionary as peers get it of us (BEP 9), asked over a real connection. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { withDeadline } from '../../lab/wait.js';
import { LIMITS } from '../../src/config.js';
import { infoHashOf } from '../../src/metainfo/info-hash.js';
import { writeExtended } from '../../src/wire/encoder.js';
import { encodeExtendedHandshake, parseExtendedHandshake } from '../../src/wire/extensions.js';
import { encodeMetadataRequest, METADATA_PIECE_BYTES, parseMetadataMessage } from '../../src/wire/metadata.js';
import { type DataSet, fileSet, startSeed } from '../support/engines.js';
import { connectRawPeer, type RawPeer } from '../support/raw-peer.js';

const OURS = 9;

/** A thousand pieces: the info dictionary has two pieces. */
async function meet(scope: Scope): Promise<{ set: DataSet; peer: RawPeer; number: number }> {
  const set = await fileSet(scope, 1000 * 16_384, { pieceLengthBytes: 16_384 });
  const seed = await startSeed(scope, set);
  const { metainfo } = set;
  const peer = await connectRawPeer(scope, {
    port: seed.port!,
    metainfo,
    peerId: '-XX0001-askmetadata0',
    extended: true,
  });
  const payload = Buffer.from((await peer.event('extended 0 ')).split(' ')[2]!, 'hex');
  const said = parseExtendedHandshake(payload);
  assert.ok(!('code' in said));
  assert.equal(said.metadataSize, metainfo.infoBytes.length);
  writeExtended(peer.out, 0, encodeExtendedHandshake({ m: { ut_metadata: OURS }, version: 'test', reqq: 10 }));
  return { set, peer, number: said.m.get('ut_metadata')! };
}

function ask(peer: RawPeer, number: number, piece: number): void {
  writeExtended(peer.out, number, encodeMetadataRequest(piece));
}

function answers(peer: RawPeer) {
  return peer.recorder.events
    .filter((event) => event.startsWith(`extended ${OURS} `))
    .map((event) => parseMetadataMessage(Buffer.from(event.split(' ')[2]!, 'hex')));
}

test('who asks for the metadata gets it piece by piece, and a rejection for a piece that is none', async (t) => {
  const scope = openScope(t);
  const { set, peer, number } = await meet(scope);
  const { infoBytes, infoHash } = set.metainfo;
  assert.ok(infoBytes.length > METADATA_PIECE_BYTES);
  ask(peer, number, 1);
  ask(peer, number, 0);
  ask(peer, number, 2);
  writeExtended(peer.out, number, Buffer.from('nonsense'));
  writeExtended(peer.out, number, Buffer.from('d8:msg_typei9e5:piecei0ee'));
  peer.flush();
  // A rejection is d8:msg_typei2e…
  await peer.event(`extended ${OURS} ${Buffer.from('d8:msg_typei2e').toString('hex')}`);
  const [second, first, third] = answers(peer);
  assert.ok(first && 'type' in first && first.type === 'data' && second && 'type' in second && second.type === 'data');
  assert.equal(first.totalBytes, infoBytes.length);
  assert.deepEqual(infoHashOf(Buffer.concat([first.bytes, second.bytes])), infoHash);
  assert.deepEqual(third, { type: 'reject', piece: 2 });
});

test('a peer that asks for metadata without end is dropped, and was given no more than its share', async (t) => {
  const scope = openScope(t);
  const { peer, number } = await meet(scope);
  for (let i = 0; i < LIMITS.metadataRejectsPerPeer + 100; i++) ask(peer, number, i % 2);
  peer.flush();
  await withDeadline(peer.closed, 'the flood ends', 10_000);
  const given = answers(peer).filter((answer) => answer !== null && 'type' in answer && answer.type === 'data');
  assert.ok(given.length <= 2 * 2 + LIMITS.metadataSparePieces + 1, `${given.length} pieces`);
});
