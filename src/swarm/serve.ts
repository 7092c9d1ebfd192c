/**
 * The way of a block up, one function per step, in order:
 *   request arrives → queued per peer → its range is made resident → header and slices go to the link → sent, unpinned.
 * Holds no algorithm: the choker has decided who may ask, storage decides what is resident.
 */
import { BLOCK_LENGTH_BYTES, LIMITS } from '../config.js';
import { type BlockIndex, NONE, type PieceIndex } from '../metainfo/geometry.js';
import { writeReject } from '../wire/encoder.js';
import type { Exchange } from './exchange.js';
import type { Peer } from './peer.js';

/** Step 1: checked and queued, or refused (BEP 6 `reject`). */
export function requestArrives(peer: Peer, index: number, begin: number, length: number): void {
  const { geometry, scheduler, have } = peer.exchange;
  const piece = geometry.asPiece(index);
  if (piece === NONE || !geometry.containsRange(piece, begin, length) || !isServedAtOnce(peer, piece, begin, length)) {
    peer.link.close(`asked for a range that does not exist: piece ${index}, begin ${begin}, length ${length}`);
    return;
  }
  const isOffered = have.has(piece) && scheduler.mayServe(peer.slot, piece);
  if (scheduler.isChoking(peer.slot) || !isOffered || peer.requests.length >= LIMITS.requestsPerPeer) {
    refuse(peer, piece, begin, length);
    return;
  }
  peer.requests.push(piece, begin, length);
}

function refuse(peer: Peer, piece: number, begin: number, length: number): void {
  if (!peer.supportsFast) return;
  writeReject(peer.link.out, piece, begin, length);
  peer.link.touch();
}

/** More than anybody gets is for whole blocks in a row, for a peer that knows such runs. */
function isServedAtOnce(peer: Peer, piece: PieceIndex, begin: number, length: number): boolean {
  if (length <= LIMITS.requestBytes) return true;
  return length <= LIMITS.runBytes && peer.runBlocks > 1 && peer.exchange.geometry.asRun(piece, begin, length) > 0;
}

/**
 * The whole request, or one block of a run: the others are still sent. A flood of cancels must stay cheap: few runs
 * have a block.
 */
export function cancelArrives(peer: Peer, index: number, begin: number, length: number): void {
  const { requests, runBlocks } = peer;
  const { geometry } = peer.exchange;
  // Blocks of it that went before were sent, or refused.
  if (requests.remove(index, begin, length, (from, part) => refuse(peer, index, from, part))) return;
  if (runBlocks === 1) return;
  const piece = geometry.asPiece(index);
  const block = piece === NONE ? NONE : geometry.asBlock(piece, begin, length);
  if (piece === NONE || block === NONE) return;
  for (let count = 2; count <= LIMITS.runBytes / BLOCK_LENGTH_BYTES; count *= 2) {
    const first = (block - (block % count)) as BlockIndex;
    const runLength = geometry.runLength(piece, first, count);
    if (!requests.removeBlock(piece, geometry.blockBegin(first), runLength, block - first)) continue;
    refuse(peer, piece, begin, length);
    return;
  }
}

/** We choke the peer: what it asked for and did not get is void (BEP 3), said so where BEP 6 asks for it. */
export function dropRequests(peer: Peer): void {
  const { requests } = peer;
  if (peer.supportsFast) {
    requests.forEach((piece, begin, length) => {
      writeReject(peer.link.out, piece, begin, length);
    });
  }
  requests.clear();
}

/** We do not have the piece any more: the same for its requests alone. */
export function dropRequestsFor(peer: Peer, lost: PieceIndex): void {
  for (const { begin, length } of peer.requests.removePiece(lost)) refuse(peer, lost, begin, length);
}

/** Steps 2 and 3: sends as much as the socket and the resident ranges allow. */
export function pump(peer: Peer): void {
  const { requests, link, exchange } = peer;
  const { storage, scheduler, uploads } = exchange;
  peer.waitsFor = 'nothing';
  if (link.isClosing || exchange.isClosed) return;
  if (exchange.trouble.isHolding) {
    if (requests.length > 0) peer.waitsFor = 'load';
    return;
  }
  let sentBytes = 0;
  const mostBytes = peer.pinned.uptake.isBrisk ? LIMITS.sendBytesPerPeer : LIMITS.slowSendBytesPerPeer;
  while (requests.length > 0 && link.queuedBytes < mostBytes) {
    readAhead(peer);
    const piece = requests.piece as PieceIndex;
    const { begin, lengthBytes: length } = requests;
    const verdict = peer.pinned.verdict(piece, begin, length);
    if (verdict !== 'free') {
      // `sent` comes back here when some of its own blocks have left, or wakes it when those of others have.
      if (verdict === 'turn') peer.waitsFor = 'turn';
      break;
    }
    if (uploads.isDry) {
      waitForTokens(peer, sentBytes);
      break;
    }
    const outcome = storage.pin(piece, begin, length);
    if (outcome !== 'ready') {
      peer.waitsFor = outcome === 'full' ? 'room' : 'load';
      break;
    }
    requests.shift();
    peer.pinned.add(piece, begin, length);
    slices.length = 0;
    storage.slices(piece, begin, length, slices);
    link.sendBlock(piece, begin, length, slices);
    uploads.take(length);
    scheduler.blockServed(peer.slot, piece);
    sentBytes += length;
  }
  slices.length = 0;
  if (sentBytes === 0) return;
  scheduler.bytesUploaded(peer.slot, sentBytes, exchange.now());
}

/** A rate limit is reached: the peer goes on when its turn comes, later where it sent more in this one. */
function waitForTokens(peer: Peer, sentBytes: number): void {
  if (peer.isWaitingForTokens) return;
  peer.isWaitingForTokens = true;
  peer.exchange.uploads.wait(() => {
    peer.isWaitingForTokens = false;
    pump(peer);
  }, sentBytes);
}

/** Reused by every call: only its elements are kept by the link. */
const slices: Buffer[] = [];

/**
 * Starts reading what is queued next, each request once, up to the peer's share: in bursts, because waking a worker
 * costs some 50 µs.
 */
function readAhead(peer: Peer): void {
  const { requests, exchange } = peer;
  if (requests.aheadBytes > LIMITS.readAheadBytesPerPeer / 2) return;
  // A small request reads a whole unit: who asks all over must not push out what others are about to be sent.
  while (requests.advance(LIMITS.readAheadBytesPerPeer, exchange.pins.aheadUnits)) {
    exchange.storage.readAhead(requests.aheadPiece as PieceIndex, requests.aheadBegin, requests.aheadLengthBytes);
  }
}

/**
 * A read-ahead came in, or memory was let go: whoever waited goes on. Where one finds no room the others need not ask.
 * The first that went away empty is the first to ask next time: a disk that is slower than all peers together, and
 * memory, are shared evenly.
 */
export function pumpAll(exchange: Exchange): void {
  const { peers, firstToPump } = exchange;
  let isFull = false;
  let firstInTurn = -1;
  exchange.pins.lookAgain();
  for (let i = 0; i < peers.length; i++) {
    const slot = (firstToPump + i) % peers.length;
    const peer = peers[slot];
    if (!peer || peer.waitsFor === 'nothing' || (isFull && peer.waitsFor === 'room')) continue;
    pump(peer);
    if (peer.waitsFor === 'turn' && firstInTurn < 0) firstInTurn = slot;
    if (isFull || peer.waitsFor !== 'room') continue;
    isFull = true;
    exchange.firstToPump = slot;
  }
  if (!isFull && firstInTurn >= 0) exchange.firstToPump = firstInTurn;
}

/** Step 4: the kernel has the bytes (or the link is gone): their ranges may leave memory. */
export function sent(peer: Peer, blocks: readonly number[]): void {
  const { storage, pins } = peer.exchange;
  for (let i = 0; i < blocks.length; i += 3) {
    storage.unpin(blocks[i] as PieceIndex, blocks[i + 1]!, blocks[i + 2]!);
    peer.pinned.remove(blocks[i]!, blocks[i + 1]!, blocks[i + 2]!);
  }
  peer.pinned.uptake.took(peer.link.takenBytes);
  if (pins.hasWaiting) wakeWaiting(peer.exchange);
  if (peer.requests.length === 0) return;
  // What it let go of is for those that waited first: it looks again after them.
  if (pins.hasWaiting) peer.waitsFor = 'turn';
  else pump(peer);
}

/** Memory was let go: once per turn of the event loop whoever waits for others looks again. */
function wakeWaiting(exchange: Exchange): void {
  if (exchange.isWaking) return;
  exchange.isWaking = true;
  setImmediate(() => {
    exchange.isWaking = false;
    if (!exchange.isClosed) pumpAll(exchange);
  });
}

/**
 * Once a second: while somebody waits because others keep too much in memory, whoever asked and does not read is let go
 * of. What was handed to the kernel cannot be taken back in another way. Where all read a little, the slowest goes, if
 * it takes next to nothing: those on slow lines take turns.
 */
export function giveWay(exchange: Exchange): void {
  const { pins } = exchange;
  pins.lookForRoom(exchange.peers.some((peer) => peer?.waitsFor === 'room'));
  pins.crowdedSeconds = pins.isShort ? pins.crowdedSeconds + 1 : 0;
  if (!pins.hasWaiting) return;
  let slowest: Peer | null = null;
  let hasIdle = false;
  for (const peer of exchange.peers) {
    if (peer === null || !peer.pinned.isInTheWay || peer.link.isClosing) continue;
    const { uptake } = peer.pinned;
    if (uptake.idleSeconds >= LIMITS.idleHolderSeconds) {
      peer.link.close('reads nothing of what it asked for while others wait');
      hasIdle = true;
    } else if (
      uptake.slowSeconds >= LIMITS.idleHolderSeconds &&
      uptake.lastSecondBytes < LIMITS.leastHolderBytesPerSec
    ) {
      if (slowest === null || uptake.lastSecondBytes < slowest.pinned.uptake.lastSecondBytes) slowest = peer;
    }
  }
  if (!hasIdle && pins.crowdedSeconds > LIMITS.idleHolderSeconds)
    slowest?.link.close('reads too slowly while others wait');
  wakeWaiting(exchange);
}
