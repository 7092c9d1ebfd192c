/**
 * What `haul publish` is told to send, where it is no plain path: globs, and "!" before what is left out. As in
 * actions/upload-artifact the later one of those that match a file decides, and what is said of a folder is said of all
 * below it. What is there under a name is that, whatever characters it has.
 */
import { existsSync } from 'node:fs';
import { join, resolve, sep } from 'node:path';
import { type NameTest, namePattern } from '../depot/http/name-pattern.js';
import { HaulError } from '../errors.js';

export interface PathRule {
  /** Absolute: where files are looked for, and what their names leave out. */
  readonly root: string;
  /** Of paths below the root, with slashes; null: the root itself, and all below it. */
  readonly test: NameTest | null;
  readonly isExcluded: boolean;
  /** As the user wrote it. */
  readonly text: string;
}

const GLOB = /[*?[]/;

/** @throws HaulError BAD_ARGUMENT */
export function parsePathRule(text: string): PathRule {
  const isExcluded = text.startsWith('!') && !existsSync(text);
  const path = isExcluded ? text.slice(1).trim() : text;
  if (path === '') throw new HaulError('BAD_ARGUMENT', 'a path is empty', { option: 'paths' });
  if (existsSync(path) || !GLOB.test(path)) return { root: resolve(path), test: null, isExcluded, text };
  const parts = resolve(path).split(sep);
  const first = parts.findIndex((part) => GLOB.test(part));
  const test = namePattern(parts.slice(first).join('/'));
  if (typeof test === 'string') throw new HaulError('BAD_ARGUMENT', `${text}: ${test}`, { option: 'paths' });
  return { root: parts.slice(0, first).join(sep) || sep, test, isExcluded, text };
}

/** Whether a rule is about this file: about itself, or about a folder that it is in. */
function concerns({ root, test }: PathRule, path: string): boolean {
  if (path !== root && !path.startsWith(root.endsWith(sep) ? root : root + sep)) return false;
  if (test === null) return true;
  const parts = path.slice(join(root, sep).length).split(sep);
  return parts.some((_, index) => test(parts.slice(0, index + 1).join('/')));
}

/** The last rule that is about a file says whether it is sent. */
export function isChosen(rules: readonly PathRule[], path: string): boolean {
  return rules.findLast((rule) => concerns(rule, path))?.isExcluded === false;
}
