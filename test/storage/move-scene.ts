/** A download that is half there, for `move-data.test.ts` and the process that is killed while it moves it. */
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { Bitfield } from '../../src/metainfo/bitfield.js';
import { Selection } from '../../src/metainfo/selection.js';
import { type MovedData, type MoveOptions, moveData } from '../../src/storage/move-data.js';
import { partFilePath } from '../../src/storage/resume.js';
import * as scenes from './scene.js';

/** 'alone': the root holds nothing else. 'shared': something of the user's too. 'far': another file system. */
export type MoveKind = 'alone' | 'shared' | 'far' | 'seed';

/** A whole file, one that is not, an empty one, a link, one that is skipped, and pieces that lie in two files. */
export const MOVE_SCENE = scenes.sceneOf(
  [
    { path: 't/whole', lengthBytes: 40_000 },
    { path: 't/a/half', lengthBytes: 70_001, isExecutable: true },
    { path: 't/a/b/empty', lengthBytes: 0 },
    { path: 't/a/link', lengthBytes: 0, symlinkPath: ['whole'] },
    { path: 't/skipped', lengthBytes: 50_000 },
    { path: 't/z/last', lengthBytes: 30_003 },
  ],
  20_000,
);
const { metainfo } = MOVE_SCENE;
export const SKIPPING = Selection.of(
  metainfo,
  metainfo.files.map(({ path }) => (path.at(-1) === 'skipped' ? 'skip' : 'normal')),
);
export const FOREIGN = 't/a/of-the-user';

export function selectionOf(kind: MoveKind): Selection | null {
  return kind === 'seed' ? null : SKIPPING;
}

/** @returns the pieces that its record knows */
export async function layOut(output: string, kind: MoveKind): Promise<Bitfield> {
  scenes.writeScene(MOVE_SCENE, output);
  fs.symlinkSync('../whole', join(output, 't/a/link'));
  fs.chmodSync(join(output, 't/a/half'), 0o750);
  if (kind === 'shared') fs.writeFileSync(join(output, FOREIGN), 'mine');
  const good = new Bitfield(metainfo.geometry.pieceCount);
  if (kind === 'seed') return good;
  fs.unlinkSync(join(output, 't/skipped'));
  fs.writeFileSync(partFilePath(metainfo, output), scenes.noise(40_000, 3));
  for (let piece = 0; piece < good.bitCount; piece++) if (SKIPPING.isWanted(piece) && piece !== 4) good.set(piece);
  await scenes.record(metainfo, output, good, true, SKIPPING);
  return good;
}

export function move(
  from: string,
  to: string,
  kind: MoveKind,
  more: Partial<MoveOptions> = {},
): Promise<MovedData | null> {
  const signal = new AbortController().signal;
  const isSeed = kind === 'seed';
  return moveData({
    metainfo,
    from,
    to,
    selection: selectionOf(kind),
    isSeed,
    stamps: null,
    have: null,
    signal,
    ...more,
  });
}

/** Every file of a folder and what is in it, links as their text, our own state left out. */
export function contentOf(folder: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const entry of fs.readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const name = path.slice(folder.length + 1);
    if (entry.isDirectory() || /^\.[0-9a-f]{16}\.haul-(resume|lock)/.test(name)) continue;
    found[name] = entry.isSymbolicLink() ? `-> ${fs.readlinkSync(path)}` : fs.readFileSync(path, 'latin1');
  }
  return found;
}

export function exists(path: string): boolean {
  return fs.existsSync(dirname(path)) && fs.lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
