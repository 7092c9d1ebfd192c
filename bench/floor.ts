/**
 * `npm run bench -- floor [--size 1G] [--folder DIR] [--turns 5] [--ours FILE | --no-ours] [--small] [--out FILE]`
 * What this machine could do at best from Node, on the same bytes, and our multiple of it:
 *   discard   a plain socket read into one shared buffer, bytes dropped
 *   copy      the same, copied into mapped, prefaulted memory
 *   writev    sending 13-byte headers and 16 KiB slices of mapped memory
 *   sha1      SHA-1 of each MiB in one worker
 *   together  a plain stream copied into memory that one worker makes present ahead and hashes behind: the least a
 *             verified download takes with everything at once, when cores, caches and memory are shared.
 *             together-2: with one worker for the pages and one for the SHA-1
 * The floor of receiving is copy + prefault + sha1, that of sending is writev. Ours is `loopback` in the same turns, or
 * the medians in a FILE that it wrote.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Scope } from '../lab/scope.js';
import { ValueError } from '../src/cli/values.js';
import { parseTorrent } from '../src/metainfo/torrent.js';
import { runLoopback } from './loopback.js';
import { checkCopy, defaultFolder, FILE_NAME, type Job, makeJobs, outputFolder } from './support/job.js';
import { count, length } from './support/options.js';
import { cpuSeconds } from './support/procstat.js';
import { Results, type ResultsFile } from './support/results.js';
import { event, type Side, startSide } from './support/sides.js';

const PEER = fileURLToPath(new URL('./support/floor-peer.js', import.meta.url));
const HEADER_BYTES = 13;
const BLOCK_BYTES = 16_384;

type Figures = Record<string, number>;

interface Measured {
  readonly figures: Figures;
  readonly checksum?: string;
}

function startPeer(scope: Scope, ...words: readonly (string | number)[]): Promise<Side> {
  return startSide(scope, [process.execPath, PEER, ...words.map(String)]);
}

async function prefaultSecPerGb(side: Side, job: Job): Promise<number> {
  return Number((await event(side.child, 'ready')).prefaultSec) / (job.lengthBytes / 1e9);
}

/** From "go" to "done": seconds, and what the event said. */
async function go(side: Side): Promise<{ seconds: number; said: Record<string, unknown> }> {
  const beginMs = performance.now();
  side.child.send('go');
  const said = await event(side.child, 'done');
  return { seconds: (performance.now() - beginMs) / 1000, said };
}

/** A sender and a receiver. Blocks with headers are more bytes on the wire; the rate is of the payload. */
async function transfer(
  sendMode: 'stream' | 'writev',
  receiveMode: 'discard' | 'copy' | 'together' | 'together-2',
  job: Job,
): Promise<Measured> {
  const scope = new Scope();
  const output = await outputFolder(job);
  scope.defer(output.remove);
  try {
    const headers = sendMode === 'writev' ? (job.lengthBytes / BLOCK_BYTES) * HEADER_BYTES : 0;
    const original = path.join(job.dataFolder, FILE_NAME);
    const sender = await startPeer(scope, 'send', sendMode, original, job.lengthBytes);
    const wireBytes = job.lengthBytes + headers;
    const receiver = await startPeer(scope, 'receive', receiveMode, output.copy, wireBytes, sender.port);
    const { seconds, said } = await go(receiver);
    const [received, sent] = [receiver.use(), sender.use()];
    if (said.digest !== undefined) checkDigest(job, said.digest);
    const prefault = await prefaultSecPerGb(receiver, job);
    await receiver.child.stop();
    const gigabytes = job.lengthBytes / 1e9;
    const figures: Figures = {
      mbPerSec: job.lengthBytes / 1e6 / seconds,
      receiveCpuSecPerGb: cpuSeconds(received.process) / gigabytes,
      receiveUsPerBlock: (cpuSeconds(received.mainThread) * 1e6) / (job.lengthBytes / BLOCK_BYTES),
      sendCpuSecPerGb: cpuSeconds(sent.process) / gigabytes,
    };
    if (receiveMode === 'discard') return { figures };
    if (receiveMode === 'copy') figures.prefaultCpuSecPerGb = prefault;
    return { figures, checksum: await checkCopy('floor', output.copy, job) };
  } finally {
    await scope.close();
  }
}

/** The digest of all digests of pieces. */
function checkDigest(job: Job, digest: unknown): string {
  const { pieceHashes } = parseTorrent(readFileSync(job.torrent));
  const expected = createHash('sha256').update(pieceHashes).digest('hex');
  if (digest !== expected) throw new Error('floor: the digests of the pieces are not those of the torrent');
  return expected;
}

async function hashAlone(job: Job): Promise<Measured> {
  const scope = new Scope();
  try {
    const hasher = await startPeer(scope, 'hash', 'sha1', path.join(job.dataFolder, FILE_NAME), job.lengthBytes);
    const { seconds, said } = await go(hasher);
    const used = hasher.use();
    const expected = checkDigest(job, said.digest);
    const figures = {
      mbPerSec: job.lengthBytes / 1e6 / seconds,
      hashCpuSecPerGb: cpuSeconds(used.process) / (job.lengthBytes / 1e9),
    };
    return { figures, checksum: expected };
  } finally {
    await scope.close();
  }
}

/** The medians of the first case in a file that `loopback` wrote. */
function figuresOf(file: string): Figures {
  const { bench, summary } = JSON.parse(readFileSync(file, 'utf8')) as ResultsFile;
  const row = summary[0];
  if (bench !== 'loopback' || row === undefined) throw new ValueError(`--ours ${file}: not the results of loopback`);
  return Object.fromEntries(Object.entries(row.figures).map(([name, { median }]) => [name, median]));
}

async function ours(job: Job, file: string | undefined): Promise<Measured> {
  if (file !== undefined) return { figures: figuresOf(file) };
  const common = { connections: 1, storage: 'auto', seedStorage: 'auto', isVerified: true, threads: undefined };
  return runLoopback({ job, ...common });
}

/** Ours over the floor of the same turn. */
function multiples(own: Figures, floors: Record<'copy' | 'writev' | 'hash' | 'atOnce', Figures>): Figures {
  const { copy, writev, hash, atOnce } = floors;
  const receiveFloor = copy.receiveCpuSecPerGb! + copy.prefaultCpuSecPerGb! + hash.hashCpuSecPerGb!;
  return {
    mbPerSec: own.mbPerSec!,
    receiveCpuSecPerGb: own.leechCpuSecPerGb!,
    sendCpuSecPerGb: own.seedCpuSecPerGb!,
    receiveUsPerBlock: own.leechMainUsPerBlock!,
    receiveFloorCpuSecPerGb: receiveFloor,
    receiveMultiple: own.leechCpuSecPerGb! / receiveFloor,
    sendMultiple: own.seedCpuSecPerGb! / writev.sendCpuSecPerGb!,
    rateShareOfCopy: own.mbPerSec! / copy.mbPerSec!,
    rateShareOfTogether: own.mbPerSec! / atOnce.mbPerSec!,
    receiveMultipleOfTogether: own.leechCpuSecPerGb! / atOnce.receiveCpuSecPerGb!,
  };
}

function parseOptions(argv: readonly string[]) {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      size: { type: 'string', default: '1G' },
      folder: { type: 'string', default: defaultFolder() },
      turns: { type: 'string', default: '5' },
      ours: { type: 'string' },
      'no-ours': { type: 'boolean', default: false },
      small: { type: 'boolean', default: false },
      out: { type: 'string' },
    },
  });
  // The shortest time that CPU is counted in is 10 ms.
  return values.small ? { ...values, size: '64M', turns: '1' } : values;
}

export async function main(argv: readonly string[]): Promise<void> {
  const values = parseOptions(argv);
  const lengthBytes = length('size', values.size);
  if (lengthBytes % 2 ** 20 !== 0) throw new ValueError(`--size ${values.size} is not a multiple of 1 MiB`);
  const turns = count('turns', values.turns);
  const scope = new Scope();
  try {
    const [job] = await makeJobs(scope, { folder: values.folder, lengthBytes, pieceLengths: [2 ** 20] });
    const results = new Results('floor', { argv, parameters: { lengthBytes, fileSystem: job!.fileSystem, turns } });
    const add = (series: string, turn: number, measured: Measured): Figures => {
      results.add({ series, turn, ...measured });
      return measured.figures;
    };
    // The first run after a large file was written is not like the others.
    if (!values.small) await transfer('stream', 'copy', job!);
    for (let turn = 0; turn < turns; turn++) {
      add('discard', turn, await transfer('stream', 'discard', job!));
      const copy = add('copy', turn, await transfer('stream', 'copy', job!));
      const writev = add('writev', turn, await transfer('writev', 'discard', job!));
      const hash = add('sha1', turn, await hashAlone(job!));
      const atOnce = add('together', turn, await transfer('stream', 'together', job!));
      add('together-2', turn, await transfer('stream', 'together-2', job!));
      if (values['no-ours']) continue;
      const own = await ours(job!, values.ours);
      add('swarmhaul', turn, { ...own, figures: multiples(own.figures, { copy, writev, hash, atOnce }) });
    }
    await results.finish();
  } finally {
    await scope.close();
  }
}
