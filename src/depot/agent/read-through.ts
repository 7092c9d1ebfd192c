/**
 * The bytes of a blob for which the cache has no room: passed on as they come, kept nowhere. Nothing leaves unverified:
 * what has a torrent goes piece by piece; of what has none all is read, and the last byte waits for the digest.
 */
import { createHash, type Hash } from 'node:crypto';
import { HaulError } from '../../errors.js';
import { pieceHash } from '../../metainfo/geometry.js';
import type { Metainfo } from '../../metainfo/metainfo.js';
import type { ArtifactRow } from '../catalogue/port.js';
import type { ByteRange } from '../store/port.js';
import { checkTorrent } from './check-torrent.js';
import type { DepotPort } from './depot-port.js';
import { DepotAway, DepotFailed, DepotLies, reasonOf } from './depot-trouble.js';

export interface ReadThroughOptions {
  readonly row: ArtifactRow;
  readonly client: DepotPort;
  readonly signal: AbortSignal;
  /** So many more have come. */
  readonly onBytes: (bytes: number) => void;
}

/** @throws HaulError, DepotAway, DepotLies, Problem */
export async function* readThrough(options: ReadThroughOptions, range: ByteRange): AsyncGenerator<Uint8Array> {
  const { row, client } = options;
  if (row.infoHash === null) {
    yield* readRest(options, range, { lengthBytes: 0, hash: createHash('sha256') });
    return;
  }
  const given = await client.torrent(row.name);
  if (given === null) throw movedOn();
  yield* byPieces(options, range, checkTorrent(given, row).metainfo);
}

async function* byPieces(
  options: ReadThroughOptions,
  { begin, end }: ByteRange,
  { geometry, pieceHashes }: Metainfo,
): AsyncGenerator<Uint8Array> {
  let piece = geometry.pieceAt(begin);
  const until = geometry.pieceEnd(geometry.pieceAt(end - 1));
  let at = geometry.pieceBegin(piece);
  let held: Buffer[] = [];
  let heldBytes = 0;
  for await (const chunk of chunksOf(options, { begin: at, end: until })) {
    for (let from = 0; from < chunk.length; ) {
      const part = chunk.subarray(from, from + geometry.pieceLength(piece) - heldBytes);
      from += part.length;
      heldBytes += part.length;
      held.push(part);
      if (heldBytes < geometry.pieceLength(piece)) continue;
      const bytes = Buffer.concat(held);
      if (!createHash('sha1').update(bytes).digest().equals(pieceHash(pieceHashes, piece)))
        throw new DepotLies(`piece ${piece} of what it sends is bad`);
      yield bytes.subarray(Math.max(0, begin - at), end - at);
      at += heldBytes;
      held = [];
      heldBytes = 0;
      if (at < until) piece = geometry.pieceAt(at);
    }
  }
}

/**
 * All of it is read from where the digest is known on; the last byte waits for the digest of the whole.
 * @param before what it begins with, of which nothing has to be read again; it stays as it is
 * @throws as `readThrough`
 */
export async function* readRest(
  options: ReadThroughOptions,
  { begin, end }: ByteRange,
  before: { readonly lengthBytes: number; readonly hash: Hash },
): AsyncGenerator<Uint8Array> {
  const { sha256, lengthBytes } = options.row;
  const hash = before.hash.copy();
  let at = before.lengthBytes;
  let last: Uint8Array | null = null;
  for await (const chunk of chunksOf(options, { begin: at, end: lengthBytes })) {
    hash.update(chunk);
    const part = chunk.subarray(Math.max(0, begin - at), Math.max(0, end - at));
    at += chunk.length;
    if (part.length === 0) continue;
    if (at < end) yield part;
    else {
      if (part.length > 1) yield part.subarray(0, -1);
      last = Buffer.from(part.subarray(-1));
    }
  }
  if (hash.digest('hex') !== sha256) throw new DepotLies('its bytes have another SHA-256 than it said');
  if (last !== null) yield last;
}

/** Tries in a row that bring nothing. */
const TRIES = 3;

/** Exactly these bytes; a connection that breaks is made anew from where it was. */
async function* chunksOf(options: ReadThroughOptions, { begin, end }: ByteRange): AsyncGenerator<Buffer> {
  let at = begin;
  for (let tries = 1; at < end; tries++) {
    try {
      for await (const chunk of answerOf(options, { begin: at, end })) {
        at += chunk.length;
        tries = 0;
        yield chunk;
      }
    } catch (error) {
      const isOver = tries >= TRIES || error instanceof DepotFailed || options.signal.aborted;
      if (!(error instanceof DepotAway) || isOver) throw error;
    }
  }
}

/** From one answer. */
async function* answerOf(options: ReadThroughOptions, { begin, end }: ByteRange): AsyncGenerator<Buffer> {
  const { row, client, signal, onBytes } = options;
  const opened = await client.open(row, begin === 0 && end === row.lengthBytes ? null : { begin, end }, signal);
  if (opened === null) throw movedOn();
  const onAbort = (): void => void opened.body.destroy();
  signal.addEventListener('abort', onAbort);
  let left = end - begin;
  try {
    for await (const chunk of opened.body as AsyncIterable<Buffer>) {
      left -= chunk.length;
      if (left < 0) throw new DepotLies('it sent more than it had said');
      onBytes(chunk.length);
      yield chunk;
    }
  } catch (error) {
    if (error instanceof DepotLies || error instanceof HaulError) throw error;
    throw new DepotAway(reasonOf(error));
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
  if (left > 0) throw new DepotAway('its answer ended early');
}

function movedOn(): HaulError {
  return new HaulError('NOT_FOUND', 'the artifact is not what it was a moment ago; ask again');
}
