/**
 * Files that another program may have written into while we did: what is here of them is hashed again before anything
 * is said of it.
 */
import { HaulError } from '../errors.js';
import type { Log } from '../log.js';
import { Bitfield } from '../metainfo/bitfield.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import { piecesTouching } from '../metainfo/piece-spans.js';
import type { Selection } from '../metainfo/selection.js';
import type { Storage } from '../storage/port.js';
import type { Content } from './content.js';

/** Somebody who writes all the time is not waited for. */
const TRIES = 3;

export interface Suspected {
  readonly storage: Pick<Storage, 'inspect' | 'suspects' | 'acquit'>;
  readonly content: Pick<Content, 'recheck'>;
  readonly log: Log;
  readonly metainfo: Metainfo;
  readonly output: string;
  readonly selection: Selection | null;
  readonly have: Bitfield;
  readonly signal: AbortSignal;
  /** False: what comes to light during the proof is left to the next one. */
  readonly untilQuiet: boolean;
}

/**
 * Resolves when no file is under suspicion.
 * @throws HaulError what `inspect` finds; BAD_DATA: other bytes are in it; ABORTED
 */
export async function proveSuspects(suspected: Suspected): Promise<void> {
  const { storage, content, metainfo, output, log, signal, untilQuiet } = suspected;
  for (let tries = 1; ; tries++) {
    const { trouble } = await storage.inspect();
    if (trouble !== null) throw trouble;
    const { suspects } = storage;
    if (suspects.length === 0) return;
    const files = suspects.map(({ file }) => file);
    const names = namesOf(metainfo, files);
    log('warn', `another program wrote to ${names} while it was in use; what is here of it is hashed again`);
    const only = piecesOf(suspected, files);
    // What the disk does not give back is no other program's doing.
    const options = { only, onProgress: () => {}, signal, isStrict: true };
    const good = await content.recheck(options);
    if (good.count === only.count) {
      storage.acquit(suspects);
      if (!untilQuiet) return;
      if (tries < TRIES) continue;
    }
    const badPieces = only.count - good.count;
    const what = badPieces > 0 ? `${badPieces} pieces are spoiled` : 'it goes on';
    const who = `another program wrote to ${names} while it was in use`;
    const message = `${output}: ${who}, ${what}; run the same command again`;
    throw new HaulError('BAD_DATA', message, { path: output, badPieces });
  }
}

function piecesOf({ metainfo, have, selection }: Suspected, files: readonly number[]): Bitfield {
  const isSuspect = new Set(files);
  const pieces = piecesTouching(metainfo, (file) => isSuspect.has(file) && selection?.isSkipped(file) !== true);
  const inPartFile = isSuspect.has(metainfo.files.length) ? selection?.borders() : undefined;
  const only = new Bitfield(have.bitCount);
  for (let piece = 0; piece < have.bitCount; piece++)
    if (have.has(piece) && (pieces.has(piece) || inPartFile?.has(piece) === true)) only.set(piece);
  return only;
}

function namesOf({ files, name }: Metainfo, suspects: readonly number[]): string {
  const first = files[suspects[0]!]?.path.join('/') ?? `the hidden part file of ${name}`;
  return suspects.length === 1 ? first : `${first} and ${suspects.length - 1} more files`;
}
