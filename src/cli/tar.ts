/** A tar archive (POSIX pax) as it is sent: headers and padding between the bytes of files. Pure but for who reads. */
import type { FileToPublish } from './publish-files.js';

const BLOCK_BYTES = 512;
const NAME_BYTES = 100;
const SIZE_MAX = 0o77777777777;

function octal(value: number, digits: number): string {
  return `${Math.floor(value).toString(8).padStart(digits, '0')}\0`;
}

function header(name: string, size: number, mode: number, mtimeMs: number, type: '0' | 'x'): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  const put = (text: string, at: number): void => void block.write(text, at, 'latin1');
  block.write(Buffer.from(name).subarray(0, NAME_BYTES).toString('latin1'), 0, 'latin1');
  put(octal(mode, 7), 100);
  put(octal(0, 7), 108);
  put(octal(0, 7), 116);
  put(octal(size > SIZE_MAX ? 0 : size, 11), 124);
  put(octal(Math.max(0, mtimeMs / 1000), 11), 136);
  put('        ', 148);
  put(type, 156);
  put('ustar\x0000', 257);
  let sum = 0;
  for (const byte of block) sum += byte;
  put(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

function record(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  const bytes = Buffer.byteLength(rest);
  let length = bytes + String(bytes).length;
  if (bytes + String(length).length !== length) length = bytes + String(length).length;
  return `${length}${rest}`;
}

function padded(bytes: Buffer): Buffer {
  const rest = bytes.length % BLOCK_BYTES;
  return rest === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(BLOCK_BYTES - rest)]);
}

/** What stands before the bytes of a file. */
export function tarHead({ name, lengthBytes, mode, mtimeMs }: FileToPublish): Buffer {
  const records: string[] = [];
  // biome-ignore lint/suspicious/noControlCharactersInRegex: all that is not plain ASCII goes into a record
  if (Buffer.byteLength(name) > NAME_BYTES || /[^\x00-\x7f]/.test(name)) records.push(record('path', name));
  if (lengthBytes > SIZE_MAX) records.push(record('size', String(lengthBytes)));
  const plain = header(name, lengthBytes, mode, mtimeMs, '0');
  if (records.length === 0) return plain;
  const text = Buffer.from(records.join(''));
  return Buffer.concat([header('PaxHeader', text.length, 0o644, mtimeMs, 'x'), padded(text), plain]);
}

/** What stands behind them. */
export function tarTail({ lengthBytes }: FileToPublish): Buffer {
  return Buffer.alloc((BLOCK_BYTES - (lengthBytes % BLOCK_BYTES)) % BLOCK_BYTES);
}

/** What stands behind all. */
export function tarEnd(): Buffer {
  return Buffer.alloc(2 * BLOCK_BYTES);
}
