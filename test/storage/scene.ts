/**
 * Torrents made up for storage tests: contents from a seed, hashes to match, temporary folders on two kinds of file
 * system.
 */
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { HaulError } from '../../src/errors.js';
import type { Bitfield } from '../../src/metainfo/bitfield.js';
import { Geometry, type PieceIndex } from '../../src/metainfo/geometry.js';
import { FileLayout } from '../../src/metainfo/layout.js';
import type { FileEntry, Metainfo } from '../../src/metainfo/metainfo.js';
import type { Selection } from '../../src/metainfo/selection.js';
import type { Storage } from '../../src/storage/port.js';
import { saveResume } from '../../src/storage/resume.js';
import { stampFiles } from '../../src/storage/stamp-files.js';

export interface FileScene {
  readonly path: string;
  readonly lengthBytes: number;
  readonly isPad?: boolean;
  readonly isExecutable?: boolean;
  readonly symlinkPath?: readonly string[];
}

export interface Scene {
  readonly metainfo: Metainfo;
  /** The whole torrent, pad bytes included. */
  readonly bytes: Buffer;
}

const BLOCK = 16 * 1024;

/** Not random, not periodic within a file: a linear congruential generator. */
export function noise(lengthBytes: number, seed: number): Buffer {
  const bytes = Buffer.alloc(lengthBytes);
  let state = seed >>> 0;
  for (let at = 0; at < lengthBytes; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

export function entriesOf(files: readonly FileScene[]): FileEntry[] {
  let beginBytes = 0;
  return files.map((file): FileEntry => {
    const entry = {
      path: file.path.split('/'),
      lengthBytes: file.lengthBytes,
      beginBytes,
      isPad: file.isPad ?? false,
      isExecutable: file.isExecutable ?? false,
      isHidden: false,
      symlinkPath: file.symlinkPath ?? null,
    };
    beginBytes += file.lengthBytes;
    return entry;
  });
}

/** Where the bytes of these files lie, with nothing skipped. */
export function layoutOf(files: readonly FileEntry[]): FileLayout {
  return new FileLayout({ files, geometry: new Geometry(1, BLOCK) });
}

/** Metainfo with the given hashes, or with zeros where the content does not matter. */
export function metainfoOf(files: readonly FileScene[], pieceLengthBytes: number, hashes?: Buffer): Metainfo {
  const entries = entriesOf(files);
  const last = entries.at(-1)!;
  const geometry = new Geometry(last.beginBytes + last.lengthBytes, pieceLengthBytes);
  const infoBytes = Buffer.from(JSON.stringify([files, pieceLengthBytes]));
  const infoHash = createHash('sha1').update(infoBytes).digest();
  return {
    name: entries[0]!.path[0]!,
    infoHash,
    infoHashHex: infoHash.toString('hex'),
    infoBytes,
    geometry,
    pieceHashes: hashes ?? Buffer.alloc(geometry.pieceCount * 20),
    files: entries,
    isMultiFile: files.length > 1,
    isPrivate: false,
    trackers: [],
    webSeeds: [],
    comment: null,
    createdBy: null,
    creationDate: null,
    warnings: [],
  };
}

export function sceneOf(files: readonly FileScene[], pieceLengthBytes: number, seed = 7): Scene {
  const bytes = Buffer.concat(
    files.map(({ lengthBytes, isPad }, index) =>
      isPad === true ? Buffer.alloc(lengthBytes) : noise(lengthBytes, seed + index),
    ),
  );
  const hashes: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += pieceLengthBytes) {
    hashes.push(
      createHash('sha1')
        .update(bytes.subarray(at, at + pieceLengthBytes))
        .digest(),
    );
  }
  return { metainfo: metainfoOf(files, pieceLengthBytes, Buffer.concat(hashes)), bytes };
}

/** Puts the content of a scene on disk, as a finished download has it. */
export function writeScene({ metainfo, bytes }: Scene, output: string): void {
  for (const { path, beginBytes, lengthBytes, isPad, symlinkPath } of metainfo.files) {
    if (isPad || symlinkPath !== null) continue;
    const target = join(output, ...path);
    fs.mkdirSync(dirname(target), { recursive: true });
    fs.writeFileSync(target, bytes.subarray(beginBytes, beginBytes + lengthBytes));
  }
}

export const FILE_SYSTEMS = fs.existsSync('/dev/shm')
  ? ([
      ['tmpfs', '/dev/shm'],
      ['the disk', tmpdir()],
    ] as const)
  : ([['the disk', tmpdir()]] as const);

export function makeFolder(parent: string = tmpdir()): string {
  return fs.mkdtempSync(join(parent, 'haul-storage-'));
}

export function openPiece(storage: Storage, piece: PieceIndex): Promise<HaulError | null> {
  return new Promise((resolve, reject) => {
    if (!storage.openPiece(piece, resolve)) reject(new Error(`no room for piece ${piece}`));
  });
}

export function verifyPiece(storage: Storage, piece: PieceIndex): Promise<boolean | HaulError> {
  return new Promise((resolve) => storage.verifyPiece(piece, resolve));
}

export function digestBlocks(storage: Storage, piece: PieceIndex): Promise<Uint8Array | HaulError> {
  return new Promise((resolve) => storage.digestBlocks(piece, resolve));
}

/** Stores a whole piece of the scene, its blocks in an order made from the seed, each block in two parts. */
export function storePiece(storage: Storage, { metainfo, bytes }: Scene, piece: PieceIndex, seed = 1): void {
  const { geometry } = metainfo;
  const blocks = Array.from({ length: geometry.blockCount(piece) }, (_, block) => block);
  const dice = noise(blocks.length, seed);
  blocks.sort((a, b) => dice[a]! - dice[b]! || a - b);
  const pieceBegin = geometry.pieceBegin(piece);
  for (const block of blocks) {
    const begin = block * BLOCK;
    const length = Math.min(BLOCK, geometry.pieceLength(piece) - begin);
    const split = length >> 1;
    const source = Buffer.concat([
      Buffer.from('before'),
      bytes.subarray(pieceBegin + begin, pieceBegin + begin + length),
    ]);
    storage.store(piece, begin, source, 6, 6 + split);
    storage.store(piece, begin + split, source, 6 + split, 6 + length);
  }
}

/** Opens, stores, verifies and closes; false when the hash did not match. */
export async function download(storage: Storage, scene: Scene, piece: PieceIndex): Promise<boolean> {
  const error = await openPiece(storage, piece);
  if (error !== null) throw error;
  storePiece(storage, scene, piece, piece + 1);
  const outcome = await verifyPiece(storage, piece);
  if (typeof outcome !== 'boolean') throw outcome;
  storage.closePiece(piece);
  return outcome;
}

/** Waits until the range is pinned. Only one reader at a time: it takes over `onReadable`. */
export async function pinned(storage: Storage, piece: PieceIndex, begin: number, length: number): Promise<void> {
  while (true) {
    const readable = new Promise<void>((resolve, reject) => {
      storage.onReadable = resolve;
      storage.onError = reject;
    });
    if (storage.reads.pin(piece, begin, length) === 'ready') return;
    await readable;
  }
}

/** A copy of a range, through pin, slices and unpin. */
export async function readRange(storage: Storage, piece: PieceIndex, begin: number, length: number): Promise<Buffer> {
  await pinned(storage, piece, begin, length);
  const slices: Buffer[] = [];
  storage.reads.slices(piece, begin, length, slices);
  const copy = Buffer.concat(slices);
  storage.reads.unpin(piece, begin, length);
  return copy;
}

export function pieces({ geometry }: Metainfo): PieceIndex[] {
  return Array.from({ length: geometry.pieceCount }, (_, piece) => piece as PieceIndex);
}

/** Records these pieces as a download would that finds the files as they are now. */
export async function record(
  metainfo: Metainfo,
  output: string,
  synced: Bitfield,
  isClean: boolean,
  selection: Selection | null = null,
): Promise<void> {
  const stamps = await stampFiles(metainfo, output, selection);
  await saveResume(metainfo, output, { synced, isClean, stamps }, selection);
}

/**
 * Deletes the file and puts another one of the same length and time into its place, with the same inode number.
 * False where the file system does not give a number out again soon.
 */
export function rebear(path: string, bytes: Buffer): boolean {
  const { ino, atime, mtime } = fs.statSync(path);
  fs.rmSync(path);
  const spare: string[] = [];
  for (let tries = 0; tries < 500; tries++) {
    fs.writeFileSync(path, bytes);
    fs.utimesSync(path, atime, mtime);
    if (fs.statSync(path).ino === ino) break;
    spare.push(`${path}.${tries}`);
    fs.renameSync(path, spare.at(-1)!);
  }
  for (const name of spare) fs.rmSync(name);
  return fs.existsSync(path);
}
