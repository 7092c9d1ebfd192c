/** A body of many texts: their bytes one behind the other, whatever they are, and those of no other answer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TextSlices } from '../../src/depot/http/text-slices.js';

const TEXTS = ['', 'a', 'ä/ö', '\u{1f600}', 'x\u2028y', '\u007f', 'z'.repeat(1000), 'ü'.repeat(300_000)];

async function bytesOf(texts: readonly string[]): Promise<Buffer> {
  const slices = new TextSlices();
  for (const text of texts) slices.add(text);
  const body = slices.body();
  if (body instanceof Uint8Array) return Buffer.from(body);
  const parts: Buffer[] = [];
  for await (const part of body.open()) parts.push(Buffer.from(part));
  const bytes = Buffer.concat(parts);
  assert.equal(bytes.length, body.lengthBytes);
  return bytes;
}

test('texts come out as they went in, in UTF-8, few or many', async () => {
  for (const texts of [[], ['short'], TEXTS, Array(3000).fill('{"name":"ci/42/ä.bin"}'), ['y'.repeat(256 * 1024)]]) {
    const bytes = await bytesOf(texts);
    assert.ok(bytes.equals(Buffer.from(texts.join(''))), `${texts.length} texts`);
  }
});

test('answers that are on their way at once, and one that was not taken, keep their bytes', async () => {
  const slicesOf = (letter: string): TextSlices => {
    const slices = new TextSlices();
    for (let index = 0; index < 500; index++) slices.add(letter.repeat(1000));
    return slices;
  };
  const isAll = (bytes: Uint8Array, letter: string): boolean => bytes.every((byte) => byte === letter.charCodeAt(0));
  const left = slicesOf('a').open();
  const leftPart = (await left.next()).value!;
  const under = slicesOf('b').open();
  const underPart = (await under.next()).value!;
  await left.return(undefined);
  for (const letter of 'cdef') assert.ok(isAll(await bytesOf([letter.repeat(400_000)]), letter));
  for (const letter of 'cdef') for await (const part of slicesOf(letter).open()) assert.ok(isAll(part, letter));
  assert.ok(isAll(leftPart, 'a'));
  assert.ok(isAll(underPart, 'b'));
});
