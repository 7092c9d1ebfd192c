/**
 * The client that comes with S3, by itself: `node dist/bench/support/s3-client.js put|get ENDPOINT BUCKET KEY FILE`.
 * Says its MB/s, from the first request to the last answer. It puts parts of 8 MiB, four at once, as the depot does.
 */
import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { forEachConcurrently } from '../../src/storage/concurrently.js';

const PART_BYTES = 8 * 1024 * 1024;
const PARTS_AT_ONCE = 4;

const [task, endpoint = '', Bucket = '', Key = '', file = ''] = process.argv.slice(2);
const client = new S3Client({ endpoint, forcePathStyle: true, requestChecksumCalculation: 'WHEN_REQUIRED' });

async function put(): Promise<number> {
  const handle = await open(file, 'r');
  const { size } = await handle.stat();
  const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key }));
  const numbers = Array.from({ length: Math.ceil(size / PART_BYTES) }, (_, index) => index + 1);
  const Parts: { PartNumber: number; ETag: string | undefined }[] = [];
  await forEachConcurrently(numbers, PARTS_AT_ONCE, async (PartNumber) => {
    const begin = (PartNumber - 1) * PART_BYTES;
    const Body = Buffer.allocUnsafeSlow(Math.min(PART_BYTES, size - begin));
    await handle.read(Body, 0, Body.length, begin);
    const { ETag } = await client.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body }));
    Parts.push({ PartNumber, ETag });
  });
  Parts.sort((one, other) => one.PartNumber - other.PartNumber);
  await client.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }));
  await handle.close();
  return size;
}

async function get(): Promise<number> {
  const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
  let lengthBytes = 0;
  for await (const chunk of Body as Readable) lengthBytes += chunk.length;
  return lengthBytes;
}

const beginMs = performance.now();
const lengthBytes = task === 'put' ? await put() : await get();
process.stdout.write(`${lengthBytes / 1000 / (performance.now() - beginMs)}\n`);
client.destroy();
