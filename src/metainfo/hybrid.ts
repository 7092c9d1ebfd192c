/**
 * Hybrid torrents (BEP 52) describe their files twice: `files` or `length` for version 1, `file tree` for version 2. We
 * read the first; others read the second and share with the same peers. So both must say the same: files, lengths,
 * names, order, and padding that lets every file begin at a piece. Otherwise one torrent has two contents, and is
 * refused.
 */
import { HaulError } from '../errors.js';
import { type BencodeDictionary, scan } from './bencode.js';
import { type TreeFile, treeFiles } from './file-tree.js';
import { latin1, showName } from './paths.js';
import type { ListedFile } from './torrent-files.js';

export function isHybrid(info: BencodeDictionary): boolean {
  return info.has('file tree') || info.get('meta version') === 2;
}

/**
 * Compares the two halves of a hybrid.
 * @param infoBytes the info dictionary, scanned before
 * @param rawName the torrent's name: the path of its file when there is no list
 * @param listed the files as version 1 has them
 * @throws HaulError BAD_TORRENT
 */
export function checkHalves(
  infoBytes: Uint8Array,
  rawName: Uint8Array,
  listed: readonly ListedFile[],
  pieceLengthBytes: number,
): void {
  const span = scan(infoBytes, { requireSortedKeys: false }).span('file tree');
  if (span === null) throw disagree("version 2 has no 'file tree'");
  const second = treeFiles(infoBytes.subarray(span[0], span[1]));
  for (const file of listed) {
    if (!file.isPad) compare(file, rawName, second.next().value);
  }
  const more: TreeFile | undefined = second.next().value;
  if (more !== undefined) throw disagree(`the file ${shown(more.path)} is in version 2 alone`);
  checkPadding(listed, pieceLengthBytes);
}

function compare(first: ListedFile, rawName: Uint8Array, second: TreeFile | undefined): void {
  const path = first.rawPath!.length === 0 ? [rawName] : first.rawPath!;
  const fail = (how: string) => disagree(`the file ${shown(path.map(latin1))} ${how}`);
  if (second === undefined) throw fail('is in version 1 alone');
  if (!isSame(path, second.path)) throw fail(`is ${shown(second.path)} in version 2`);
  if (first.lengthBytes !== second.lengthBytes) {
    throw fail(`has ${first.lengthBytes} bytes, and ${second.lengthBytes} in version 2`);
  }
  const isSameLink = first.rawTarget === null ? second.target === null : isSame(first.rawTarget, second.target);
  if (!isSameLink) throw fail('is not the same symbolic link in both');
}

function isSame(raw: readonly Uint8Array[], path: readonly string[] | null): boolean {
  return path !== null && raw.length === path.length && raw.every((component, at) => latin1(component) === path[at]);
}

/**
 * Version 2 begins every file at a piece; version 1 must pad to get there. Padding after the last file may be or not
 * be.
 */
function checkPadding(listed: readonly ListedFile[], pieceLengthBytes: number): void {
  let nextBytes = 0;
  for (const { isPad, lengthBytes, beginBytes, rawPath } of listed) {
    if (isPad || lengthBytes === 0) continue;
    if (beginBytes !== nextBytes) {
      const file = shown(rawPath!.map(latin1));
      throw disagree(`the file ${file} begins at byte ${beginBytes}, and at ${nextBytes} in version 2`);
    }
    nextBytes = Math.ceil((beginBytes + lengthBytes) / pieceLengthBytes) * pieceLengthBytes;
  }
  const last = listed.at(-1);
  const endBytes = last === undefined ? 0 : last.beginBytes + last.lengthBytes;
  if (endBytes > nextBytes) throw disagree(`there are ${endBytes} bytes, and at most ${nextBytes} in version 2`);
}

/** @param path in Latin-1, as compared; shown as the UTF-8 that it should be */
function shown(path: readonly string[]): string {
  return showName(Buffer.from(path.join('/'), 'latin1').toString());
}

function disagree(how: string): HaulError {
  return new HaulError('BAD_TORRENT', `bad torrent: its two versions (BEP 52) disagree: ${how}`);
}
