/** What all cases share: a file and a tree, their torrents, and a process that seeds each of them over loopback. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { startChild } from '../../lab/child.js';
import type { TreeFile } from '../../lab/data.js';
import type { Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { fileSet, treeSet } from '../support/engines.js';

export const SHAPES = ['file', 'tree'] as const;
export type Shape = (typeof SHAPES)[number];

const KIB = 1024;
const MIB = 1024 * KIB;
export const LENGTH_BYTES = 12 * MIB;
const PIECE_BYTES = 64 * KIB;
const READY_MS = 30_000;
const OUR_HAUL = fileURLToPath(new URL('../../src/cli/haul.cjs', import.meta.url));

/** Large files, small ones, one that is empty; they share pieces. */
const TREE: readonly TreeFile[] = [
  ...[0, 1, 2].map((at) => ({ path: `disk/${at}.img`, lengthBytes: 3 * MIB + 1000 * at })),
  ...Array.from({ length: 24 }, (_, at) => ({ path: `lib/${at % 4}/${at}.so`, lengthBytes: 100_001 + 2000 * at })),
  { path: 'empty', lengthBytes: 0 },
];

export interface Offer {
  /** The file or folder that is seeded. */
  readonly path: string;
  readonly name: string;
  readonly torrentFile: string;
  readonly peer: string;
}

export interface Stage {
  /** The program under test. */
  readonly haul: string;
  /** False for a build that lacks the options which the tests need. */
  readonly isOurs: boolean;
  readonly offers: Readonly<Record<Shape, Offer>>;
}

/** @param haul another build of the command, to compare with; default: this one */
export async function openStage(scope: Scope, haul?: string): Promise<Stage> {
  const main = haul ?? OUR_HAUL;
  const offers = {} as Record<Shape, Offer>;
  for (const shape of SHAPES) {
    const options = { pieceLengthBytes: PIECE_BYTES };
    const set = await (shape === 'file' ? fileSet(scope, LENGTH_BYTES, options) : treeSet(scope, TREE, options));
    const torrentFile = path.join(await tempFolder(scope), `${shape}.torrent`);
    await writeFile(torrentFile, set.torrent);
    const args = [main, 'seed', torrentFile, '--data', set.folder, '--port', '0', '--json'];
    const seed = startChild(scope, process.execPath, args);
    const line = await seed.line('it seeds', READY_MS, (text) => text.includes('"listening"'));
    const { port } = JSON.parse(line) as { port: number };
    offers[shape] = { path: set.path, name: set.metainfo.name, torrentFile, peer: `127.0.0.1:${port}` };
  }
  return { haul: main, isOurs: haul === undefined, offers };
}
