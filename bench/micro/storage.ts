/**
 * What a block costs in storage, with nothing around it: `npm run bench -- storage [--turns 3] [--dir FOLDER]
 * [--small]`. The checksum is of what was stored: the same for every kind of storage and every file system.
 */
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { BLOCK_LENGTH_BYTES } from '../../src/config.js';
import { Geometry, type PieceIndex } from '../../src/metainfo/geometry.js';
import type { Metainfo } from '../../src/metainfo/metainfo.js';
import * as mmap from '../../src/native/mmap-io.js';
import { openStorage } from '../../src/storage/open.js';
import type { Storage, StorageKind } from '../../src/storage/port.js';
import { createWorkPool } from '../../src/work/pool.js';
import type { MemoryRange, WorkJob, WorkPool, WorkResult } from '../../src/work/port.js';
import { fileSystemOf } from '../support/job.js';
import { count } from '../support/options.js';
import { Results } from '../support/results.js';

const MIB = 1024 * 1024;
const PIECE_BYTES = MIB;
const PIECES_AHEAD = 8;

/** Set by `main`. */
let isSmall = false;
let totalBytes = 512 * MIB;

function run(pool: WorkPool, job: WorkJob): Promise<WorkResult> {
  return new Promise((resolve) => pool.submit(job, resolve));
}

/** Minor faults of the main thread so far: field 10 of proc(5) `stat`. */
function mainThreadFaults(): number {
  const text = fs.readFileSync(`/proc/self/task/${process.pid}/stat`, 'latin1');
  return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[7]);
}

function madeUp(lengthBytes: number, piece: Buffer): Metainfo {
  const geometry = new Geometry(lengthBytes, PIECE_BYTES);
  const digest = createHash('sha1').update(piece).digest();
  const infoHash = Buffer.alloc(20, 1);
  return {
    name: 'file',
    infoHash,
    infoHashHex: infoHash.toString('hex'),
    infoBytes: Buffer.alloc(0),
    geometry,
    pieceHashes: Buffer.concat(Array.from({ length: geometry.pieceCount }, () => digest)),
    files: [
      {
        path: ['file'],
        lengthBytes,
        beginBytes: 0,
        isPad: false,
        isExecutable: false,
        isHidden: false,
        symlinkPath: null,
      },
    ],
    isMultiFile: false,
    isPrivate: false,
    trackers: [],
    webSeeds: [],
    comment: null,
    createdBy: null,
    creationDate: null,
    warnings: [],
  };
}

async function benchPool(pool: WorkPool): Promise<Record<string, number>> {
  const windowBytes = 64 * MIB;
  const flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS;
  const windowAddress = mmap.map(windowBytes, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1);
  const range = (beginBytes: number): MemoryRange => ({ windowAddress, windowBytes, beginBytes, lengthBytes: MIB });
  const pieces = Array.from({ length: 64 }, (_, index) => [range(index * MIB)]);
  await Promise.all(pieces.map((ranges) => run(pool, { kind: 'populate', forWriting: true, ranges })));
  const digest = Buffer.alloc(20);
  await Promise.all(pieces.map((ranges) => run(pool, { kind: 'verify', ranges, digest })));

  const trips = isSmall ? 200 : 5000;
  let begin = performance.now();
  for (let trip = 0; trip < trips; trip++) await run(pool, { kind: 'release', ranges: [] });
  const roundTripMicros = ((performance.now() - begin) * 1000) / trips;

  const rounds = isSmall ? 1 : 16;
  begin = performance.now();
  for (let round = 0; round < rounds; round++) {
    await Promise.all(pieces.map((ranges) => run(pool, { kind: 'verify', ranges, digest })));
  }
  const verifyMbPerSec = (rounds * 64 * MIB) / 1e3 / (performance.now() - begin);
  mmap.unmap(windowAddress, windowBytes);
  return { roundTripMicros, verifyMbPerSec };
}

function openAhead(storage: Storage, piece: PieceIndex): Promise<void> {
  return new Promise((resolve, reject) => {
    const isTaken = storage.openPiece(piece, (error) => (error === null ? resolve() : reject(error)));
    if (!isTaken) reject(new Error(`no room for piece ${piece}`));
  });
}

interface Measured {
  readonly figures: Record<string, number>;
  readonly checksum: string;
}

/**
 * Opens some pieces ahead, stores and verifies: the timings are of each step alone, the whole is not a rate of
 * anything.
 */
async function benchStorage(pool: WorkPool, kind: StorageKind, parent: string): Promise<Measured> {
  const folder = fs.mkdtempSync(join(parent, 'haul-bench-'));
  const piece = Buffer.alloc(PIECE_BYTES, 'the quick brown fox');
  const metainfo = madeUp(totalBytes, piece);
  const storage = await openStorage({ metainfo, output: folder, pool, kind, forWriting: true });
  await storage.prepare({ forWriting: true });
  const times = { open: 0, store: 0, verify: 0, faults: 0 };
  const { pieceCount } = metainfo.geometry;
  for (let first = 0; first < pieceCount; first += PIECES_AHEAD) {
    const group = Array.from({ length: PIECES_AHEAD }, (_, index) => (first + index) as PieceIndex);
    let begin = performance.now();
    await Promise.all(group.map((index) => openAhead(storage, index)));
    times.open += performance.now() - begin;
    const faults = mainThreadFaults();
    begin = performance.now();
    for (const index of group) {
      for (let at = 0; at < PIECE_BYTES; at += BLOCK_LENGTH_BYTES)
        storage.store(index, at, piece, at, at + BLOCK_LENGTH_BYTES);
    }
    times.store += performance.now() - begin;
    times.faults += mainThreadFaults() - faults;
    begin = performance.now();
    await Promise.all(group.map((index) => new Promise((resolve) => storage.verifyPiece(index, resolve))));
    times.verify += performance.now() - begin;
    for (const index of group) storage.closePiece(index);
  }
  const blocks = totalBytes / BLOCK_LENGTH_BYTES;
  const figures = {
    openMbPerSec: totalBytes / 1e3 / times.open,
    storeNsPerBlock: (times.store * 1e6) / blocks,
    mainFaultsPerGb: (times.faults * 1e9) / totalBytes,
    // Positional storage writes here.
    verifyMbPerSec: totalBytes / 1e3 / times.verify,
    serveNsPerBlock: await benchServing(storage),
  };
  await storage.close();
  const checksum = createHash('sha1')
    .update(fs.readFileSync(join(folder, 'file')))
    .digest('hex');
  fs.rmSync(folder, { recursive: true });
  return { figures, checksum };
}

async function benchServing(storage: Storage): Promise<number> {
  const piece = 0 as PieceIndex;
  while (storage.reads.pin(piece, 0, PIECE_BYTES) !== 'ready')
    await new Promise<void>((resolve) => (storage.onReadable = resolve));
  storage.reads.unpin(piece, 0, PIECE_BYTES);
  const rounds = isSmall ? 20 : 2000;
  const slices: Buffer[] = [];
  const begin = performance.now();
  for (let round = 0; round < rounds; round++) {
    for (let at = 0; at < PIECE_BYTES; at += BLOCK_LENGTH_BYTES) {
      storage.reads.pin(piece, at, BLOCK_LENGTH_BYTES);
      slices.length = 0;
      storage.reads.slices(piece, at, BLOCK_LENGTH_BYTES, slices);
      storage.reads.unpin(piece, at, BLOCK_LENGTH_BYTES);
    }
  }
  const blocks = rounds * (PIECE_BYTES / BLOCK_LENGTH_BYTES);
  return ((performance.now() - begin) * 1e6) / blocks;
}

const OPTIONS = {
  small: { type: 'boolean', default: false },
  dir: { type: 'string' },
  turns: { type: 'string', default: '3' },
  out: { type: 'string' },
} as const;

export async function main(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...argv], options: OPTIONS });
  isSmall = values.small;
  totalBytes = isSmall ? 16 * MIB : 512 * MIB;
  const turns = isSmall ? 1 : count('turns', values.turns);
  const parents =
    values.dir !== undefined ? [values.dir] : ['/dev/shm', tmpdir()].filter((each) => fs.existsSync(each));
  const parameters = { pieceLengthBytes: PIECE_BYTES, lengthBytes: totalBytes, turns };
  const results = new Results('storage', { argv, parameters });
  const pool = createWorkPool({ threads: 1 });
  const checksums = new Set<string>();
  for (let turn = 0; turn < turns; turn++) {
    results.add({ series: 'pool, 1 thread', turn, figures: await benchPool(pool) });
    for (const parent of parents) {
      for (const kind of ['mapped', 'positional'] as const) {
        const measured = await benchStorage(pool, kind, parent);
        checksums.add(measured.checksum);
        results.add({ series: kind, turn, parameters: { fileSystem: fileSystemOf(parent) }, ...measured });
      }
    }
  }
  await pool.close();
  if (checksums.size !== 1) throw new Error('the storages do not agree on what was stored');
  await results.finish();
}
