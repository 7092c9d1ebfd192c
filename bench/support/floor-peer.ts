/**
 * One process of the floor bench: what Node's sockets, memory and SHA-1 cost with no protocol around them.
 *   floor-peer send stream|writev FILE BYTES          listens, and sends the bytes of the file to whoever connects
 *   floor-peer receive discard|copy FILE BYTES PORT   connects at the line "go", and drops or stores what comes
 *   floor-peer hash sha1 FILE BYTES                   at "go": SHA-1 of each MiB, in one worker
 *   floor-peer receive together FILE BYTES PORT       at "go" all of it at once: stores what comes, while one worker
 *                                                     makes pages present ahead and takes the SHA-1 of each MiB behind
 *   floor-peer receive together-2 FILE BYTES PORT     the same with a worker for the pages and one for the SHA-1
 * The file is mapped in windows, as the engine does, and present before "ready" (but for these two); what that cost is
 * told there as `prefaultSec`. Says {"event":"ready"}, then {"event":"done"}; ends at the line "quit".
 */
import * as crypto from 'node:crypto';
import { closeSync, ftruncateSync, openSync } from 'node:fs';
import net from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { BLOCK_LENGTH_BYTES } from '../../src/config.js';
import * as mmap from '../../src/native/mmap-io.js';

const MIB = 2 ** 20;
const WINDOW_BYTES = 256 * MIB;
const HEADER_BYTES = 13;
const BLOCKS_PER_WRITE = MIB / BLOCK_LENGTH_BYTES;
/** Bytes handed to the socket and not yet taken, as in the engine. */
const IN_FLIGHT_BYTES = 2 * MIB;
const RECEIVE_BUFFER_BYTES = MIB;
/** Pieces made present ahead of what has come, as many as the engine keeps open. */
const AHEAD_PIECES = 96;
/** Shared words of `together`: pieces that are present, and pieces that have come. */
const PRESENT = 0;
const CAME = 1;

function say(event: string, facts: Record<string, unknown> = {}): void {
  process.stdout.write(`${JSON.stringify({ event, ...facts })}\n`);
}

interface Mapping {
  readonly addresses: readonly { readonly address: number; readonly lengthBytes: number }[];
  readonly prefaultSec: number;
}

function mapFile(file: string, lengthBytes: number, forWriting: boolean, isPresent = true): Mapping {
  const fd = openSync(file, forWriting ? 'w+' : 'r');
  if (forWriting) ftruncateSync(fd, lengthBytes);
  const before = process.cpuUsage();
  const addresses: { address: number; lengthBytes: number }[] = [];
  for (let at = 0; at < lengthBytes; at += WINDOW_BYTES) {
    const length = Math.min(WINDOW_BYTES, lengthBytes - at);
    const protection = forWriting ? mmap.PROT_READ | mmap.PROT_WRITE : mmap.PROT_READ;
    const address = mmap.map(length, protection, mmap.MAP_SHARED, fd, at);
    if (isPresent) mmap.advise(address, length, forWriting ? mmap.MADV_POPULATE_WRITE : mmap.MADV_POPULATE_READ);
    addresses.push({ address, lengthBytes: length });
  }
  const { user, system } = process.cpuUsage(before);
  closeSync(fd);
  return { addresses, prefaultSec: (user + system) / 1e6 };
}

const viewsOf = ({ addresses }: Mapping): Buffer[] =>
  addresses.map(({ address, lengthBytes }) => Buffer.from(mmap.view(address, lengthBytes)));

/** The next MiB in one write, or as blocks with a header each in one writev. */
function writeStep(socket: net.Socket, mode: string, bytes: Buffer, headers: Buffer, done: () => void): void {
  if (mode === 'stream') {
    socket.write(bytes, done);
    return;
  }
  socket.cork();
  for (let at = 0, block = 0; at < bytes.length; at += BLOCK_LENGTH_BYTES, block++) {
    const header = headers.subarray(block * HEADER_BYTES, (block + 1) * HEADER_BYTES);
    header.writeUInt32BE(9 + BLOCK_LENGTH_BYTES, 0);
    header[4] = 7;
    header.writeUInt32BE(at, 9);
    socket.write(header);
    socket.write(bytes.subarray(at, at + BLOCK_LENGTH_BYTES));
  }
  // Called when the kernel has all of it.
  socket.write('', done);
  socket.uncork();
}

function send(mode: string, views: readonly Buffer[], lengthBytes: number, socket: net.Socket): void {
  socket.setNoDelay(true);
  let at = 0;
  let inFlight = 0;
  let turn = 0;
  const slabs = Array.from({ length: 4 }, () => Buffer.alloc(BLOCKS_PER_WRITE * HEADER_BYTES));
  const more = (): void => {
    while (at < lengthBytes && inFlight < IN_FLIGHT_BYTES) {
      const view = views[Math.floor(at / WINDOW_BYTES)]!;
      const inside = at % WINDOW_BYTES;
      const bytes = view.subarray(inside, Math.min(inside + MIB, view.length));
      at += bytes.length;
      inFlight += bytes.length;
      writeStep(socket, mode, bytes, slabs[turn++ % slabs.length]!, () => {
        inFlight -= bytes.length;
        more();
      });
    }
    if (at === lengthBytes && inFlight === 0) socket.end();
  };
  more();
}

/**
 * What comes goes nowhere, or to its place in the mapping. With `shared` its pages are waited for, and the worker hears
 * of what came.
 */
function receive(
  views: readonly Buffer[] | null,
  expectedBytes: number,
  port: number,
  shared: Int32Array | null = null,
): void {
  const buffer = Buffer.allocUnsafeSlow(RECEIVE_BUFFER_BYTES);
  let received = 0;
  const callback = (length: number): boolean => {
    if (shared !== null) waitFor(shared, PRESENT, Math.ceil((received + length) / MIB));
    for (let from = 0; views !== null && from < length; ) {
      const at = received + from;
      const part = Math.min(length - from, WINDOW_BYTES - (at % WINDOW_BYTES));
      buffer.copy(views[Math.floor(at / WINDOW_BYTES)]!, at % WINDOW_BYTES, from, from + part);
      from += part;
    }
    received += length;
    if (shared !== null)
      tell(shared, CAME, received === expectedBytes ? pieceCount(received) : Math.floor(received / MIB));
    else if (received === expectedBytes) say('done', { bytes: received });
    return true;
  };
  net.connect({ host: '127.0.0.1', port, noDelay: true, onread: { buffer, callback } });
}

const pieceCount = (lengthBytes: number): number => Math.ceil(lengthBytes / MIB);

function waitFor(shared: Int32Array, word: number, least: number): void {
  for (let value = Atomics.load(shared, word); value < least; value = Atomics.load(shared, word)) {
    Atomics.wait(shared, word, value);
  }
}

function tell(shared: Int32Array, word: number, value: number): void {
  Atomics.store(shared, word, value);
  Atomics.notify(shared, word);
}

interface Piece {
  readonly address: number;
  readonly bytes: Buffer;
}

const piecesOf = ({ addresses }: Mapping): Piece[] =>
  addresses.flatMap(({ address, lengthBytes }) => {
    const view = Buffer.from(mmap.view(address, lengthBytes));
    return Array.from({ length: pieceCount(lengthBytes) }, (_, piece) => ({
      address: address + piece * MIB,
      bytes: view.subarray(piece * MIB, Math.min((piece + 1) * MIB, lengthBytes)),
    }));
  });

/** In a worker: its duties as long as they are needed, pages before hashes. Returns the digest of all digests. */
function work(mapping: Mapping, shared: Int32Array, duties: Duties): string {
  const pieces = piecesOf(mapping);
  const all = crypto.createHash('sha256');
  let present = duties === 'hashes' ? pieces.length : 0;
  let hashed = duties === 'pages' ? pieces.length : 0;
  while (present < pieces.length || hashed < pieces.length) {
    const came = Atomics.load(shared, CAME);
    if (present < Math.min(pieces.length, came + AHEAD_PIECES)) {
      const { address, bytes } = pieces[present]!;
      mmap.advise(address, bytes.length, mmap.MADV_POPULATE_WRITE);
      tell(shared, PRESENT, ++present);
    } else if (hashed < came) all.update(digestOf(pieces[hashed++]!.bytes));
    else Atomics.wait(shared, CAME, came);
  }
  return all.digest('hex');
}

/** In the worker: digests of all pieces, as one digest. */
function hashAll({ addresses }: Mapping): string {
  const all = crypto.createHash('sha256');
  for (const view of viewsOf({ addresses, prefaultSec: 0 })) {
    for (let at = 0; at < view.length; at += MIB) {
      const piece = view.subarray(at, Math.min(at + MIB, view.length));
      all.update(digestOf(piece));
    }
  }
  return all.digest('hex');
}

function digestOf(bytes: Buffer): Buffer {
  return crypto.hash === undefined
    ? crypto.createHash('sha1').update(bytes).digest()
    : crypto.hash('sha1', bytes, 'buffer');
}

type Duties = 'pages' | 'hashes' | 'both';

interface WorkerJob {
  readonly mapping: Mapping;
  readonly duties: Duties;
  /** Null: only hash what is there. */
  readonly shared: Int32Array | null;
}

/** Says "ready" when the workers run; what the last of them answers is the digest. */
function startWorkers(
  mapping: Mapping,
  shared: Int32Array | null,
  duties: readonly Duties[],
  prefaultSec: number,
): Worker[] {
  let online = 0;
  return duties.map((each) => {
    const workerData = { mapping, duties: each, shared } satisfies WorkerJob;
    const worker = new Worker(fileURLToPath(import.meta.url), { workerData });
    worker.once('online', () => {
      if (++online === duties.length) say('ready', { port: 0, prefaultSec });
    });
    if (each !== 'pages') worker.once('message', (digest: string) => say('done', { digest }));
    return worker;
  });
}

function main(): void {
  const [role = '', mode = '', file = '', length = '', port = ''] = process.argv.slice(2);
  const lengthBytes = Number(length);
  const needsFile = mode !== 'discard';
  const isTogether = mode === 'together' || mode === 'together-2';
  const mapping = needsFile ? mapFile(file, lengthBytes, mode === 'copy' || isTogether, !isTogether) : null;
  const prefaultSec = mapping?.prefaultSec ?? 0;
  // Views are made before the clock starts.
  const views = mapping === null ? null : viewsOf(mapping);
  let go = (): void => {};
  if (role === 'send') {
    const server = net.createServer((socket) => send(mode, views!, lengthBytes, socket));
    server.listen(0, '127.0.0.1', () =>
      say('ready', { port: (server.address() as net.AddressInfo).port, prefaultSec }),
    );
  } else if (role === 'receive' && !isTogether) {
    go = () => receive(views, lengthBytes, Number(port));
    say('ready', { port: 0, prefaultSec });
  } else {
    const shared = isTogether ? new Int32Array(new SharedArrayBuffer(8)) : null;
    const workers = startWorkers(mapping!, shared, mode === 'together-2' ? ['pages', 'hashes'] : ['both'], prefaultSec);
    go = () => {
      for (const worker of workers) worker.postMessage('go');
      if (isTogether) receive(views, lengthBytes, Number(port), shared);
    };
  }
  createInterface({ input: process.stdin }).on('line', (line) => {
    if (line === 'go') go();
    else process.exit(0);
  });
}

function runWorker({ mapping, duties, shared }: WorkerJob): void {
  parentPort!.once('message', () =>
    parentPort!.postMessage(shared === null ? hashAll(mapping) : work(mapping, shared, duties)),
  );
}

if (isMainThread) main();
else runWorker(workerData as WorkerJob);
