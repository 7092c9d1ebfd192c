/**
 * The readers of the bench `cold`, one process: N cold ones that keep their requests anywhere in the file, and a hot
 * one that asks again and again, one block at a time, for the beginning of it.
 *   cold-readers PORT TORRENT FILE --peers N --depth N --hot-bytes N --hot-gap-ms N --seconds S
 *   {"event":"ready"}     all are unchoked, the hot range has been read once
 *   go                    a line: they read for S seconds
 *   {"event":"done",…}    `Done`; from now on they ask for nothing
 *   {"event":"checked"}   a sample of what came is what is in the file
 * Leaves at the end of standard input.
 */
import { hash } from 'node:crypto';
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { BLOCK_LENGTH_BYTES } from '../../src/config.js';
import { parseTorrent } from '../../src/index.js';
import { makeRandom } from '../../src/random.js';
import { Reader, type Samples } from './reader.js';

/** Of response times; a request that was never answered counts with the time it waited. */
export interface Waits {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface Done {
  readonly seconds: number;
  readonly coldBlocks: number;
  readonly hotBlocks: number;
  readonly cold: Waits;
  readonly hot: Waits;
  /** Blocks of the cold reader that got least, in percent of an even share. */
  readonly leastSharePercent: number;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    peers: { type: 'string', default: '50' },
    depth: { type: 'string', default: '4' },
    'hot-bytes': { type: 'string', default: String(8 * 2 ** 20) },
    'hot-gap-ms': { type: 'string', default: '2' },
    seconds: { type: 'string', default: '20' },
  },
});
const [port = '', torrentPath = '', file = ''] = positionals;
const depth = Number(values.depth);
const metainfo = parseTorrent(readFileSync(torrentPath));
const { lengthBytes } = metainfo.geometry;
const blockCount = Math.floor(lengthBytes / BLOCK_LENGTH_BYTES);
const hotBlockCount = Math.min(blockCount, Math.ceil(Number(values['hot-bytes']) / BLOCK_LENGTH_BYTES));
const random = makeRandom(1);
const samples: Samples = { blocks: [], digests: [] };
let isReading = false;
/** The seed may leave: what it has to say was said. */
let isDone = false;

function say(event: string, facts: object = {}): void {
  process.stdout.write(`${JSON.stringify({ event, ...facts })}\n`);
}

function onTrouble(message: string): void {
  if (!isDone) say('error', { message });
}

/** Connects a reader; resolves when the seed has unchoked it. */
function connect(number: number, readerDepth: number, onBlock: (reader: Reader, ms: number) => void): Promise<Reader> {
  return new Promise((resolve) => {
    const peerId = `-QT0001-${String(number).padStart(12, '0')}`;
    const onUnchoked = (): void => resolve(reader);
    const common = { port: Number(port), metainfo, samples, onTrouble, onUnchoked };
    const reader = new Reader({ ...common, peerId, depth: readerDepth, onBlock });
  });
}

const anyBlock = (): number => Math.floor(random() * blockCount);
const coldUs = createHistogram();
const hotUs = createHistogram();
const record = (histogram: RecordableHistogram, ms: number): void =>
  histogram.record(Math.max(1, Math.round(ms * 1000)));

function onColdBlock(reader: Reader, waitedMs: number): void {
  if (!isReading) return;
  record(coldUs, waitedMs);
  reader.ask(anyBlock());
}

let hotBlocksRead = 0;
let onHotRangeRead: (() => void) | null = null;

function askHot(reader: Reader): void {
  if (!isReading) return;
  reader.ask(Math.floor(random() * hotBlockCount));
  reader.flush();
}

function onHotBlock(reader: Reader, waitedMs: number): void {
  if (isReading) {
    record(hotUs, waitedMs);
    setTimeout(askHot, Number(values['hot-gap-ms']), reader);
  } else if (++hotBlocksRead < hotBlockCount) reader.ask(hotBlocksRead);
  else onHotRangeRead?.();
}

async function readHotRange(reader: Reader): Promise<void> {
  const isRead = new Promise<void>((resolve) => {
    onHotRangeRead = resolve;
  });
  reader.ask(0);
  reader.flush();
  await isRead;
  onHotRangeRead = null;
}

function waits(histogram: RecordableHistogram, readers: readonly Reader[]): Waits {
  for (const reader of readers) reader.waiting((ms) => record(histogram, ms));
  const ms = (percentile: number): number => histogram.percentile(percentile) / 1000;
  return { p50Ms: ms(50), p99Ms: ms(99), maxMs: histogram.max / 1000 };
}

function check(): void {
  const fd = openSync(file, 'r');
  const block = Buffer.allocUnsafe(BLOCK_LENGTH_BYTES);
  samples.blocks.forEach((number, index) => {
    readSync(fd, block, 0, BLOCK_LENGTH_BYTES, number * BLOCK_LENGTH_BYTES);
    if (hash('sha1', block, 'hex') !== samples.digests[index])
      throw new Error(`block ${number} is not what is in the file`);
  });
  closeSync(fd);
  say('checked');
}

function read(cold: readonly Reader[], hot: Reader): void {
  const hotBefore = hot.blockCount;
  const beginMs = performance.now();
  isReading = true;
  for (const reader of cold) {
    for (let i = 0; i < depth; i++) reader.ask(anyBlock());
    reader.flush();
  }
  askHot(hot);
  setTimeout(() => {
    isReading = false;
    isDone = true;
    const seconds = (performance.now() - beginMs) / 1000;
    const counts = cold.map((reader) => reader.blockCount);
    const coldBlocks = counts.reduce((sum, count) => sum + count, 0);
    const done: Done = {
      seconds,
      coldBlocks,
      hotBlocks: hot.blockCount - hotBefore,
      cold: waits(coldUs, cold),
      hot: waits(hotUs, [hot]),
      leastSharePercent: (100 * Math.min(...counts) * cold.length) / Math.max(1, coldBlocks),
    };
    say('done', done);
    check();
  }, Number(values.seconds) * 1000);
}

const hot = await connect(0, 1, onHotBlock);
await readHotRange(hot);
const cold = await Promise.all(
  Array.from({ length: Number(values.peers) }, (_, index) => connect(index + 1, depth, onColdBlock)),
);
const input = createInterface({ input: process.stdin });
input.on('line', (line) => {
  if (line === 'go') read(cold, hot);
});
input.once('close', () => process.exit(0));
say('ready');
