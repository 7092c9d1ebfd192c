/** Who may be a peer, as `--allow-peers` and `--deny-peers` say it: an entry, or a file with one on each line. */
import { HaulError } from '../errors.js';
import { parseRange, RANGE_RULE } from '../net/address-ranges.js';
import { readSmallFile } from './small-file.js';
import { ValueError } from './values.js';

/** Half a million lines. */
const FILE_BYTES_MAX = 16 * 1024 * 1024;
const SHOWN_CHARACTERS = 60;

/** The entries; read where the option is read, for the file may be a pipe. @throws ValueError */
export function parsePeerList(text: string): readonly string[] {
  if (parseRange(text) !== null) return [text];
  let lines: string[];
  try {
    lines = readSmallFile(text, 'read', 'the file', FILE_BYTES_MAX).split(/\r?\n/);
  } catch (error) {
    if (!(error instanceof HaulError)) throw error;
    if (error.code !== 'NOT_FOUND') throw new ValueError(`${error.message}.`);
    throw new ValueError(`It is not ${RANGE_RULE}, and no such file is there.`);
  }
  const entries: string[] = [];
  for (const [index, line] of lines.entries()) {
    const entry = line.replace(/#.*/, '').trim();
    if (entry === '') continue;
    if (parseRange(entry) === null) {
      const shown = JSON.stringify(entry.slice(0, SHOWN_CHARACTERS));
      throw new ValueError(`Line ${index + 1} is ${shown}, not ${RANGE_RULE}.`);
    }
    entries.push(entry);
  }
  return entries;
}
