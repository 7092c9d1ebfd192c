/** Pieces of a file in one call of the native library, against node:crypto. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { openScope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { nativeLibrary } from '../../src/native/library.js';
import { DIGEST_FILE_PIECES, digestFile, type HashAlgorithm, hashWays } from '../../src/native/multihash.js';

const KIB = 1024;
const CONTENT = randomBytes(300 * KIB + 77);
const ALGORITHMS: readonly HashAlgorithm[] = ['sha1', 'sha256'];

function expected(algorithm: HashAlgorithm, bytes: Buffer, pieceLengthBytes: number): string {
  const digests: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += pieceLengthBytes) {
    digests.push(
      createHash(algorithm)
        .update(bytes.subarray(at, at + pieceLengthBytes))
        .digest(),
    );
  }
  return Buffer.concat(digests).toString('hex');
}

/** Cuts at pages: within one the rest of it would be zeros. */
const CUTTER = `
  const { closeSync, ftruncateSync, openSync, writeSync } = require('node:fs');
  const { parentPort, workerData: { file, content, isOver } } = require('node:worker_threads');
  const fd = openSync(file, 'r+');
  const cut = 2 ** 20 + 4096;
  parentPort.postMessage('ready');
  while (Atomics.load(isOver, 0) === 0) {
    ftruncateSync(fd, cut);
    writeSync(fd, content, cut, content.length - cut, cut);
  }
  closeSync(fd);
`;

const skip = hashWays('sha1').length === 0 ? 'nothing here hashes many at once' : false;

describe('the pieces of a file in one call', { skip }, () => {
  test('whole and shorter last pieces, any begin, however little memory there is for each', async (t) => {
    const file = path.join(await tempFolder(openScope(t)), 'file');
    writeFileSync(file, CONTENT);
    const fd = openSync(file, 'r');
    t.after(() => closeSync(fd));
    for (const algorithm of ALGORITHMS) {
      for (const pieceLengthBytes of [1, 63, 64, 1000, 16 * KIB, 100_000, 2 ** 20]) {
        for (const lengthBytes of [1, 64, 16 * KIB, 150 * KIB + 13, CONTENT.length - 5]) {
          const count = Math.ceil(lengthBytes / pieceLengthBytes);
          if (count > DIGEST_FILE_PIECES) continue;
          for (const scratchBytes of [64 * count, 200 * count + 1, 4096 * count, 2 ** 20]) {
            const place = { fd, beginBytes: 5 };
            const scratch = Buffer.alloc(scratchBytes);
            const found = digestFile(algorithm, place, { count, pieceLengthBytes, lengthBytes }, scratch);
            const bytes = CONTENT.subarray(5, 5 + lengthBytes);
            const what = `${algorithm}, ${lengthBytes} bytes in pieces of ${pieceLengthBytes} through ${scratchBytes}`;
            assert.equal(found?.toString('hex'), expected(algorithm, bytes, pieceLengthBytes), what);
          }
        }
      }
    }
  });

  test('says what is wrong: a file that ends too early, no file, lengths that do not fit', async (t) => {
    const file = path.join(await tempFolder(openScope(t)), 'file');
    writeFileSync(file, CONTENT.subarray(0, 1000));
    const fd = openSync(file, 'r');
    t.after(() => closeSync(fd));
    const { errno } = constants;
    const scratch = Buffer.alloc(64 * KIB);
    const digests = Buffer.alloc(20 * (DIGEST_FILE_PIECES + 1));
    const call = (of: number, begin: number, length: number, piece: number, scratchBytes = scratch.length): number =>
      nativeLibrary()!.digestFile(0, of, begin, length, piece, scratch, scratchBytes, digests);
    assert.equal(call(fd, 0, 1000, 100), 0);
    assert.equal(call(fd, 0, 1001, 100), -errno.ENODATA);
    assert.equal(call(fd, 5000, 1, 1), -errno.ENODATA);
    assert.equal(call(-1, 0, 10, 10), -errno.EBADF);
    assert.equal(call(fd, 0, 0, 10), -errno.EINVAL);
    assert.equal(call(fd, 0, 10, 0), -errno.EINVAL);
    assert.equal(call(fd, 0, DIGEST_FILE_PIECES + 1, 1), -errno.EINVAL);
    assert.equal(call(fd, 0, 200, 100, 127), -errno.EINVAL);
    assert.equal(nativeLibrary()!.digestFile(2, fd, 0, 10, 10, scratch, scratch.length, digests), -errno.ENOSYS);
    assert.equal(
      digestFile('sha1', { fd, beginBytes: 0 }, { count: 11, pieceLengthBytes: 100, lengthBytes: 1001 }, scratch),
      null,
    );
  });

  test('a file that is cut off again and again ends nothing, and its digest is never another one', async (t) => {
    const file = path.join(await tempFolder(openScope(t)), 'file');
    const content = randomBytes(4 * 2 ** 20);
    writeFileSync(file, content);
    const fd = openSync(file, 'r');
    t.after(() => closeSync(fd));
    const isOver = new Int32Array(new SharedArrayBuffer(4));
    const cutter = new Worker(CUTTER, { eval: true, workerData: { file, content, isOver } });
    await once(cutter, 'message');
    const right = expected('sha1', content, 2 ** 20);
    const whole = { count: 4, pieceLengthBytes: 2 ** 20, lengthBytes: content.length };
    const scratch = Buffer.alloc(2 ** 20);
    const found = Array.from({ length: 200 }, () => digestFile('sha1', { fd, beginBytes: 0 }, whole, scratch));
    Atomics.store(isOver, 0, 1);
    await once(cutter, 'exit');
    for (const digests of found) if (digests !== null) assert.equal(digests.toString('hex'), right);
    assert.equal(digestFile('sha1', { fd, beginBytes: 0 }, whole, scratch)?.toString('hex'), right);
  });
});
