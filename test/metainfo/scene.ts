/** Torrents written for tests, one field at a time. */
import assert from 'node:assert/strict';
import { HaulError } from '../../src/errors.js';
import { type BencodeInput, encodeBencode } from '../../src/metainfo/bencode.js';
import { parseTorrent } from '../../src/metainfo/torrent.js';

export type Fields = Record<string, BencodeInput | undefined>;

export const HASH = Buffer.alloc(20, 7);

export function single(info: Fields = {}, top: Fields = {}): Buffer {
  const whole = {
    name: 'image.iso',
    length: 50_000,
    'piece length': 32_768,
    pieces: Buffer.concat([HASH, HASH]),
    ...info,
  };
  return encodeBencode({ info: whole, ...top });
}

export function file(path: string, length: number, more: Fields = {}): BencodeInput {
  return { path: path.split('/'), length, ...more };
}

export function multi(files: BencodeInput, info: Fields = {}): Buffer {
  return single({ length: undefined, name: 'tree', files, pieces: HASH, ...info });
}

export function refused(bytes: Uint8Array, code: string, message: RegExp): void {
  assert.throws(
    () => parseTorrent(bytes),
    (error) => {
      assert.ok(error instanceof HaulError, String(error));
      assert.equal(error.code, code, error.message);
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, /\n/);
      return true;
    },
  );
}
