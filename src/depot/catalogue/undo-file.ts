/**
 * What takes a batch back that failed, kept in the folder of the catalogue while it is not certain what became of it:
 * LevelDB may find the batch in its log at the next start, and who was told no must not find it done. A crash between
 * the undoing and the end of the file undoes it again, which changes nothing: nobody writes in between.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { forceFolder } from '../../storage/force.js';
import { readOwnText } from '../read-own.js';
import { replaceFile } from '../replace-file.js';
import type { Operation } from './writer.js';

const NAME = 'undo';

export async function writeUndo(folder: string, undo: readonly Operation[]): Promise<void> {
  await replaceFile(join(folder, NAME), `${JSON.stringify(undo)}\n`);
}

/** Null: there is none. @throws what the file system says, and SyntaxError where it is damaged */
export async function readUndo(folder: string): Promise<Operation[] | null> {
  let text: string;
  try {
    text = await readOwnText(join(folder, NAME));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  const undo: unknown = JSON.parse(text);
  if (!Array.isArray(undo) || !undo.every(isOperation)) throw new SyntaxError('it holds no operations');
  return undo;
}

export async function dropUndo(folder: string): Promise<void> {
  await rm(join(folder, NAME), { force: true });
  await forceFolder(folder);
}

function isOperation(value: unknown): value is Operation {
  const { type, key, value: text } = (value ?? {}) as { readonly [Field in 'type' | 'key' | 'value']?: unknown };
  return typeof key === 'string' && (type === 'del' || (type === 'put' && typeof text === 'string'));
}
