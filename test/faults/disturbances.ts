/**
 * What somebody may do to the output of a download while it runs. Each works on real files and draws from the given
 * dice.
 */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import path from 'node:path';

export const DISTURBANCES = ['delete', 'truncate', 'extend', 'replace', 'overwrite', 'move', 'hole'] as const;
export type Disturbance = (typeof DISTURBANCES)[number];

export type Dice = () => number;

const STEP_BYTES = 1024 * 1024;
const EXTENSION_BYTES = 300_000;
/** Of a tree that many files at most. */
const FILES = 3;

/** @param root the file or folder of the torrent, inside the output folder. Files that are not there are left alone. */
export function disturb(what: Disturbance, root: string, dice: Dice): void {
  if (what === 'move') {
    // The torrent's own file or folder, or the whole output folder.
    const moved = dice() < 0.5 ? root : path.dirname(root);
    fs.renameSync(moved, `${moved}.moved`);
    return;
  }
  for (const file of drawFiles(root, dice)) disturbFile(what, file, dice);
}

function disturbFile(what: Exclude<Disturbance, 'move'>, file: string, dice: Dice): void {
  const { size } = fs.statSync(file);
  if (what === 'delete') fs.rmSync(file);
  else if (what === 'truncate') fs.truncateSync(file, Math.floor(dice() * size));
  else if (what === 'extend') fs.appendFileSync(file, Buffer.alloc(1 + Math.floor(dice() * EXTENSION_BYTES), 'more'));
  else if (what === 'replace') replace(file, size, dice);
  else {
    const length = Math.ceil(size / 3);
    const begin = Math.floor(dice() * (size - length));
    if (what === 'overwrite') overwrite(file, begin, length, dice);
    else punch(file, begin, length);
  }
}

/** Another file of the same length, half of the time with the same time too. */
function replace(file: string, size: number, dice: Dice): void {
  const { atime, mtime } = fs.statSync(file);
  fs.writeFileSync(`${file}.new`, '');
  fs.truncateSync(`${file}.new`, size);
  overwrite(`${file}.new`, 0, size, dice);
  if (dice() < 0.5) fs.utimesSync(`${file}.new`, atime, mtime);
  fs.renameSync(`${file}.new`, file);
}

function overwrite(file: string, begin: number, length: number, dice: Dice): void {
  const fill = Buffer.alloc(Math.min(STEP_BYTES, length), `other ${Math.floor(dice() * 1e9)} `);
  const fd = fs.openSync(file, 'r+');
  for (let at = 0; at < length; at += fill.length)
    fs.writeSync(fd, fill, 0, Math.min(fill.length, length - at), begin + at);
  fs.closeSync(fd);
}

function punch(file: string, begin: number, length: number): void {
  const args = ['--punch-hole', '--offset', String(begin), '--length', String(length), file];
  const { status, stderr } = spawnSync('fallocate', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`fallocate ${args.join(' ')}: ${stderr}`);
}

/** The file itself, or some files of a tree, long ones more often. */
function drawFiles(root: string, dice: Dice): string[] {
  if (fs.statSync(root).isFile()) return [root];
  const files = fs
    .readdirSync(root, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => ({ file: path.join(root, name), status: fs.statSync(path.join(root, name)) }))
    .filter(({ status }) => status.isFile() && status.size > 0);
  const drawn = new Set<string>();
  for (let count = 1 + Math.floor(dice() * FILES); count > 0; count--) drawn.add(drawByLength(files, dice));
  return [...drawn];
}

function drawByLength(files: readonly { file: string; status: fs.Stats }[], dice: Dice): string {
  const totalBytes = files.reduce((sum, { status }) => sum + status.size, 0);
  let left = dice() * totalBytes;
  for (const { file, status } of files) {
    left -= status.size;
    if (left < 0) return file;
  }
  return files.at(-1)!.file;
}
