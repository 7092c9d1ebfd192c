/** What the store on S3 computes by itself: lengths of parts, its URL, room of the cache, words for errors. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CacheRoom } from '../../../src/depot/store/s3/cache-room.js';
import { S3_LIMITS } from '../../../src/depot/store/s3/limits.js';
import { mostBytes, partLength, partsOf } from '../../../src/depot/store/s3/part-lengths.js';
import { parseS3Url } from '../../../src/depot/store/s3/place.js';
import { encodePieces, parsePieces } from '../../../src/depot/store/s3/records.js';
import { loadSdk } from '../../../src/depot/store/s3/sdk.js';
import { refusedAtStart, unavailable } from '../../../src/depot/store/s3/trouble.js';
import { HaulError } from '../../../src/errors.js';
import { code, MIB } from '../depot-kit.js';

const TIB = 1024 * 1024 * MIB;

test('10,000 parts hold 16 TiB, announced or not, and none is shorter or longer than S3 takes', () => {
  for (const announced of [null, 16 * TIB]) {
    assert.ok(mostBytes(announced) >= 16 * TIB, `${announced}`);
    for (let index = 0; index < S3_LIMITS.parts; index++) {
      const length = partLength(announced, index);
      assert.ok(length >= 5 * MIB && length <= 5 * 1024 * MIB, `part ${index}: ${length}`);
    }
  }
  assert.equal(partLength(null, 0), 8 * MIB);
  assert.equal(partLength(100 * MIB, 3), 8 * MIB);
  assert.equal(partLength(80_001 * MIB, 0), 9 * MIB, 'all alike, and a whole number of MiB');
});

test('the parts of a blob cover it, one after the other', () => {
  for (const length of [1, 8 * MIB, 8 * MIB + 1, 100 * MIB - 3]) {
    let at = 0;
    for (const [index, { number, begin, lengthBytes }] of partsOf(length).entries()) {
      assert.deepEqual([number, begin], [index + 1, at]);
      at += lengthBytes;
    }
    assert.equal(at, length);
  }
});

test('the URL of a store says bucket, prefix, endpoint, region and path style', () => {
  assert.deepEqual(parseS3Url('s3://artifacts/ci/main/'), {
    bucket: 'artifacts',
    prefix: 'ci/main/',
    endpoint: null,
    region: null,
    isPathStyle: false,
    title: 's3://artifacts/ci/main',
  });
  const other = parseS3Url('s3://a.b-c?endpoint=http://127.0.0.1:9000/&region=garage&path-style=false');
  assert.deepEqual(other, {
    bucket: 'a.b-c',
    prefix: '',
    endpoint: 'http://127.0.0.1:9000',
    region: 'garage',
    isPathStyle: false,
    title: 's3://a.b-c',
  });
  assert.equal(parseS3Url('s3://abc?endpoint=https://s3.example.org').isPathStyle, true);
});

test('a URL that is none is refused in words that hold nothing of it', () => {
  const bad = [
    's3://',
    's3://A_B',
    's3://key:hush@bucket/x',
    's3://bucket/x?endpoint=http://key:hush@host',
    's3://bucket/../x',
    's3://bucket/a//b',
    's3://bucket/x?hush=1',
    's3://bucket/x?region=a&region=b',
    's3://bucket/x?region=%0ahush',
    's3://bucket/x?endpoint=file:///hush',
    's3://bucket/x?endpoint=http://h/?hush=1',
    's3://bucket/x?path-style=hush',
    's3://bucket:9000/x',
    's3://bucket/x#hush',
    `s3://bucket/${'x'.repeat(600)}`,
    's3://bucket/%00',
    'https://bucket/x',
  ];
  for (const url of bad) {
    assert.throws(
      () => parseS3Url(url),
      (error: unknown) => code('BAD_ARGUMENT')(error) && !(error as Error).message.includes('hush'),
      url,
    );
  }
});

test('the cache evicts the longest unused, nothing in use, down to a tenth below its bound', async () => {
  const gone: string[] = [];
  let uploads = 0;
  const room = new CacheRoom(100, () => uploads);
  const add = (key: string) => room.add(key, 10, async () => gone.push(key));
  for (const key of 'abcdefghij') add(key);
  assert.equal(await room.make(0), true);
  room.touch('a');
  const release = room.use('b');
  assert.equal(await room.make(10), true);
  assert.deepEqual(gone, ['c', 'd'], 'a was used, b is in use');
  release();
  release();
  uploads = 75;
  assert.equal(await room.make(0), true);
  assert.equal(gone.join(''), 'cdefghija', 'b was used last');
  assert.equal(await room.make(1000), false, 'more than there is');
  assert.equal(room.bytes, 0);
});

test('hashes of pieces that are damaged, or of another blob, are not there', () => {
  const sha256 = 'a'.repeat(64);
  const record = { lengthBytes: 20 * MIB, pieceLengthBytes: 16 * MIB, pieces: new Uint8Array(40).fill(7) };
  const text = encodePieces(sha256, record).toString();
  assert.deepEqual(parsePieces(text, sha256, 20 * MIB), record);
  assert.equal(parsePieces(text, 'b'.repeat(64), 20 * MIB), null);
  assert.equal(parsePieces(text, sha256, 20 * MIB + 1), null);
  assert.equal(parsePieces(text.slice(0, -10), sha256, 20 * MIB), null);
  assert.equal(parsePieces(text.replace('Bwc', 'Bxc'), sha256, 20 * MIB), null);
  assert.equal(parsePieces('', sha256, 20 * MIB), null);
});

test('without the package a line says what to install; another failure of it is told as it is', async () => {
  const missing = Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' });
  await assert.rejects(
    loadSdk(() => Promise.reject(missing)),
    (error: unknown) => {
      assert.ok(HaulError.is(error) && error.code === 'BAD_ARGUMENT');
      assert.match(error.message, /npm install @aws-sdk\/client-s3/);
      return true;
    },
  );
  await assert.rejects(
    loadSdk(() => Promise.reject(new SyntaxError('broken'))),
    SyntaxError,
  );
});

test('what the SDK throws becomes a line of ours, without its message', () => {
  const named = (name: string, status = 403) =>
    Object.assign(new Error('AKIAHUSH hush'), { name, $metadata: { httpStatusCode: status } });
  const cases: [unknown, string, string][] = [
    [named('NoSuchBucket', 404), 'BAD_ARGUMENT', 'NETWORK'],
    [named('PermanentRedirect', 301), 'BAD_ARGUMENT', 'NETWORK'],
    [named('AuthorizationHeaderMalformed', 400), 'BAD_ARGUMENT', 'NETWORK'],
    [named('InvalidAccessKeyId'), 'NO_PERMISSION', 'NETWORK'],
    [named('ExpiredToken', 400), 'NO_PERMISSION', 'NETWORK'],
    [named('RequestTimeTooSkewed'), 'NO_PERMISSION', 'NETWORK'],
    [named('CredentialsProviderError', 0), 'NO_PERMISSION', 'NETWORK'],
    [named('SlowDown', 503), 'NETWORK', 'NETWORK'],
    [named('XMinioStorageFull', 507), 'NETWORK', 'NO_SPACE'],
    [Object.assign(new Error('connect hush'), { code: 'ECONNREFUSED' }), 'NETWORK', 'NETWORK'],
    [{ hush: 'hush' }, 'NETWORK', 'NETWORK'],
    [null, 'NETWORK', 'NETWORK'],
  ];
  for (const [thrown, atStart, running] of cases) {
    for (const [error, expected] of [
      [refusedAtStart(thrown, 's3://b'), atStart],
      [unavailable(thrown, 's3://b', 'read'), running],
    ] as const) {
      assert.equal(error.code, expected, JSON.stringify(thrown));
      assert.ok(!/hush/i.test(`${error.message} ${JSON.stringify(error.facts)}`), error.message);
      assert.equal(error.cause, undefined);
    }
  }
});
