/**
 * `npm run demo -- depot [--size 256MiB] [--agents 3]`: a depot and some agents as separate processes on loopback. An
 * image is published with curl, and fetched by all through their agents at once, then once more. Shows where the bytes
 * came from, checks each copy with SHA-256. Without curl Node's own client does the same. Exit code 1 if anything fails
 * or a copy differs. Everything it makes is in one temporary folder, which it removes.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { formatBytes, formatRate, formatSeconds } from '../src/cli/format.js';
import { parseSize, ValueError } from '../src/cli/values.js';
import { Child, type JsonLine } from './child.js';
import { MAIN, runDemo, writeRandom } from './demo-parts.js';

const DEFAULT_SIZE = '256MiB';
const DEFAULT_AGENTS = '3';
const AGENTS_MAX = 32;
const NAME = 'demo/image.raw';

interface Plan {
  readonly sizeBytes: number;
  readonly agents: number;
}

function readPlan(args: string[]): Plan {
  const { values, positionals } = parseArgs({
    args,
    options: { size: { type: 'string', default: DEFAULT_SIZE }, agents: { type: 'string', default: DEFAULT_AGENTS } },
    allowPositionals: true,
  });
  if (positionals.length > 0) throw new ValueError('The demo of the depot makes its own image: it takes no PATH.');
  const agents = Number(values.agents);
  if (!Number.isInteger(agents) || agents < 1 || agents > AGENTS_MAX) {
    throw new ValueError(`--agents is a number from 1 to ${AGENTS_MAX}.`);
  }
  const sizeBytes = parseSize(values.size);
  if (sizeBytes < 1) throw new ValueError('--size is at least 1 byte.');
  return { sizeBytes, agents };
}

/** What puts and gets: curl, as people would, or Node where there is none. */
interface Client {
  readonly name: string;
  put(path: string, url: string): Promise<void>;
  /** SHA-256 of what came. */
  get(url: string): Promise<string>;
}

async function sha256Of(bytes: Readable): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(bytes, async (parts: AsyncIterable<Buffer>) => {
    for await (const part of parts) hash.update(part);
  });
  return hash.digest('hex');
}

/** Its standard output is read; rejects with what it said when it fails. */
async function curl<T>(args: readonly string[], read: (stdout: Readable) => Promise<T>): Promise<T> {
  const options = ['--silent', '--show-error', '--fail-with-body', '--noproxy', '*'];
  const child: ChildProcessByStdio<null, Readable, Readable> = spawn('curl', [...options, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let words = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    words += text;
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const [result, code] = await Promise.all([read(child.stdout), ended]);
  if (code !== 0) throw new Error(`curl ended with ${code}: ${words.trim()}`);
  return result;
}

const CURL: Client = {
  name: 'curl',
  put: async (path, url) => void (await curl(['--upload-file', path, url], sha256Of)),
  get: (url) => curl([url], sha256Of),
};

const NODE: Client = {
  name: 'Node.js, as there is no curl',
  put: (path, url) =>
    new Promise((resolve, reject) => {
      const asked = request(url, { method: 'PUT' }, (answer) => {
        answer.resume().once('end', () => {
          if (answer.statusCode === 201) resolve();
          else reject(new Error(`the depot answered ${answer.statusCode}`));
        });
      });
      asked.once('error', reject);
      pipeline(createReadStream(path), asked).catch(reject);
    }),
  get: (url) =>
    new Promise((resolve, reject) => {
      const asked = request(url, (answer) => {
        if (answer.statusCode === 200) sha256Of(answer).then(resolve, reject);
        else reject(new Error(`the agent answered ${answer.statusCode}`));
      });
      asked.once('error', reject).end();
    }),
};

async function chooseClient(): Promise<Client> {
  const hasCurl = await curl(['--version'], sha256Of).then(
    () => true,
    () => false,
  );
  return hasCurl ? CURL : NODE;
}

interface Running {
  readonly child: Child;
  readonly name: string;
  readonly url: string;
}

async function startOne(name: string, args: readonly string[], children: Child[]): Promise<Running> {
  const child = new Child(MAIN, [...args, '--http', '0', '--port', '0', '--json'], () => {});
  children.push(child);
  const { url } = await child.line(({ type }) => type === 'listening');
  return { child, name, url: String(url) };
}

/** Of the n-th answer of an agent. */
async function receiptOf({ child }: Running, count: number): Promise<JsonLine> {
  let seen = 0;
  const known = new Set<JsonLine>();
  return child.line((line) => {
    if (line.type === 'receipt' && !known.has(line)) {
      known.add(line);
      seen++;
    }
    return line.type === 'receipt' && seen >= count;
  });
}

interface Fetched {
  readonly sha256: string;
  readonly receipt: JsonLine;
}

/** All at once. */
function fetchAll(agents: readonly Running[], client: Client, round: number): Promise<Fetched[]> {
  return Promise.all(
    agents.map(async (agent) => {
      const sha256 = await client.get(`${agent.url}/artifacts/${NAME}`);
      return { sha256, receipt: await receiptOf(agent, round) };
    }),
  );
}

function printReceipts(title: string, agents: readonly Running[], fetched: readonly Fetched[]): void {
  console.log(`\n${title}`);
  for (const [index, { receipt }] of fetched.entries()) {
    const bytes = (field: string): string => formatBytes(Number(receipt[field])).padStart(9);
    const from = `peers ${bytes('peerBytes')}   depot ${bytes('webSeedBytes')}   cache ${bytes('localBytes')}`;
    const seconds = Number(receipt.seconds);
    const rate = formatRate(Number(receipt.sentBytes) / seconds);
    console.log(
      `  ${agents[index]!.name.padEnd(9)} ${formatSeconds(seconds).padStart(7)} ${rate.padStart(11)}   ${from}`,
    );
  }
}

async function demo({ sizeBytes, agents: count }: Plan, root: string, children: Child[]): Promise<boolean> {
  const client = await chooseClient();
  const image = join(root, 'image.raw');
  console.log(`making an image of ${formatBytes(sizeBytes)} in ${root}`);
  await writeRandom(image, sizeBytes);
  const wanted = await sha256Of(createReadStream(image, { highWaterMark: 2 ** 20 }));

  const depot = await startOne('depot', ['depot', '--data', join(root, 'depot')], children);
  console.log(`the depot is at ${depot.url}/ (open it in a browser)`);
  const started = performance.now();
  await client.put(image, `${depot.url}/artifacts/${NAME}`);
  const seconds = (performance.now() - started) / 1000;
  console.log(`published ${NAME} with ${client.name} in ${formatSeconds(seconds)}, ${formatRate(sizeBytes / seconds)}`);

  const agents = await Promise.all(
    Array.from({ length: count }, (_, index) => {
      const name = `agent-${index + 1}`;
      return startOne(name, ['agent', '--depot', depot.url, '--cache', join(root, name)], children);
    }),
  );
  for (const { name, url } of agents) console.log(`${name} is at ${url}/`);
  const first = await fetchAll(agents, client, 1);
  printReceipts('fetched by all at once, through their agents:', agents, first);
  const again = await fetchAll(agents, client, 2);
  printReceipts('once more:', agents, again);

  for (const { child } of agents) await child.end('result');
  await depot.child.end('result');
  const bad = [...first, ...again].filter(({ sha256 }) => sha256 !== wanted);
  for (const { sha256 } of bad) console.error(`demo: a copy differs: ${sha256}, not ${wanted}`);
  if (bad.length === 0) console.log(`\nall ${2 * count} copies are equal: SHA-256 ${wanted}`);
  return bad.length === 0;
}

/** @returns the exit code */
export function depotDemo(args: string[]): Promise<number> {
  return runDemo(async ({ children, makeRoot }) => {
    const plan = readPlan(args);
    // The image, the depot's and one in each cache.
    return demo(plan, await makeRoot(plan.sizeBytes * (plan.agents + 2)), children);
  });
}
