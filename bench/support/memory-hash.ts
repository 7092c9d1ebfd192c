/**
 * SHA-1 of pieces that are in memory already: one worker of our pool, and Node's own hash on one thread, over the same
 * mapping. Both compare every digest with the torrent's.
 */
import * as crypto from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import type { PieceIndex } from '../../src/metainfo/geometry.js';
import type { Metainfo } from '../../src/metainfo/metainfo.js';
import * as mmap from '../../src/native/mmap-io.js';
import { createWorkPool } from '../../src/work/pool.js';
import type { MemoryRange, WorkPool } from '../../src/work/port.js';
import type { Contender } from './hashing.js';
import { timedHere } from './timed.js';

const GIB = 2 ** 30;
/** As many as a quick download has under way. */
const JOBS_AT_ONCE = 64;

interface Piece {
  readonly range: MemoryRange;
  readonly digest: Uint8Array;
}

/** Maps the file in windows of whole pieces and makes all of it present. */
function mapPieces(path: string, { geometry, pieceHashes }: Metainfo): { pieces: Piece[]; unmap: () => void } {
  const fd = openSync(path, 'r');
  const windows: { address: number; lengthBytes: number }[] = [];
  const pieces: Piece[] = [];
  const perWindow = Math.max(1, Math.floor(GIB / geometry.pieceLengthBytes));
  for (let first = 0; first < geometry.pieceCount; first += perWindow) {
    const begin = geometry.pieceBegin(first as PieceIndex);
    const windowBytes = Math.min(perWindow * geometry.pieceLengthBytes, geometry.lengthBytes - begin);
    const windowAddress = mmap.map(windowBytes, mmap.PROT_READ, mmap.MAP_SHARED, fd, begin);
    mmap.advise(windowAddress, windowBytes, mmap.MADV_POPULATE_READ);
    windows.push({ address: windowAddress, lengthBytes: windowBytes });
    for (let piece = first; piece < Math.min(geometry.pieceCount, first + perWindow); piece++) {
      const beginBytes = geometry.pieceBegin(piece as PieceIndex) - begin;
      const lengthBytes = geometry.pieceLength(piece as PieceIndex);
      const range = { windowAddress, windowBytes, beginBytes, lengthBytes };
      pieces.push({ range, digest: pieceHashes.subarray(piece * 20, piece * 20 + 20) });
    }
  }
  closeSync(fd);
  const unmap = (): void => {
    for (const { address, lengthBytes } of windows) mmap.unmap(address, lengthBytes);
  };
  return { pieces, unmap };
}

/** How many pieces are good; some jobs are under way at any time. */
function verifyInPool(pool: WorkPool, pieces: readonly Piece[]): Promise<number> {
  return new Promise((resolve) => {
    let [next, done, good] = [0, 0, 0];
    const step = (): void => {
      const { range, digest } = pieces[next++]!;
      pool.submit({ kind: 'verify', ranges: [range], digest }, (result) => {
        if (result.ok && result.good) good++;
        if (++done === pieces.length) resolve(good);
        else if (next < pieces.length) step();
      });
    };
    while (next < Math.min(JOBS_AT_ONCE, pieces.length)) step();
  });
}

function verifyHere(pieces: readonly Piece[]): number {
  let good = 0;
  // Making a view of a window is dear, for a worker as well: once.
  const views = new Map<number, ArrayBuffer>();
  for (const { range, digest } of pieces) {
    const { windowAddress, windowBytes, beginBytes, lengthBytes } = range;
    const view = views.get(windowAddress) ?? mmap.view(windowAddress, windowBytes);
    views.set(windowAddress, view);
    const bytes = Buffer.from(view, beginBytes, lengthBytes);
    if (crypto.createHash('sha1').update(bytes).digest().equals(digest)) good++;
  }
  return good;
}

/** @param checksum what all are to give */
export function memoryHashes(path: string, metainfo: Metainfo, checksum: string): Contender[] {
  const contender = (name: string, count: (pieces: readonly Piece[]) => Promise<number>): Contender => ({
    name,
    needs: null,
    kinds: ['file'],
    async run() {
      const { pieces, unmap } = mapPieces(path, metainfo);
      try {
        // A new thread loads its code first.
        await count(pieces.slice(0, 1));
        const { value, ...timed } = await timedHere(() => count(pieces));
        if (value !== pieces.length) throw new Error('good data is called bad');
        return { ...timed, checksum };
      } finally {
        unmap();
      }
    },
  });
  let pool: WorkPool | null = null;
  const pooled = (pieces: readonly Piece[]): Promise<number> => {
    pool ??= createWorkPool({ threads: 1, needsMemory: true });
    return verifyInPool(pool, pieces);
  };
  return [
    contender('pool, 1 thread, from memory', pooled),
    contender('node:crypto, from memory', async (pieces) => verifyHere(pieces)),
  ];
}
