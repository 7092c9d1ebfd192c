/** A depot and agents in this process, on ports of their own. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import {
  type Agent,
  type AgentOptions,
  type AgentReceipt,
  type Depot,
  type DepotOptions,
  startAgent,
  startDepot,
} from '../../src/index.js';

const closersOf = new WeakMap<TestContext, (() => Promise<void>)[]>();

/** What was opened last is closed first: the runner would remove folders before whoever writes there is closed. */
export function atEnd(context: TestContext, close: () => Promise<void>): void {
  const closers = closersOf.get(context);
  if (closers !== undefined) {
    closers.push(close);
    return;
  }
  const own = [close];
  closersOf.set(context, own);
  context.after(async () => {
    for (const each of own.reverse()) await each();
  });
}

export async function folderOf(context: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'haul-agent-'));
  atEnd(context, () => rm(folder, { recursive: true, force: true }));
  return folder;
}

export async function depotOf(context: TestContext, data: string, more: Partial<DepotOptions> = {}): Promise<Depot> {
  const depot = await startDepot({ data, httpPort: 0, engine: { port: 0 }, ...more });
  atEnd(context, () => depot.close(0));
  return depot;
}

export interface TestAgent {
  readonly agent: Agent;
  readonly receipts: AgentReceipt[];
  readonly warnings: string[];
}

export async function agentOf(
  context: TestContext,
  depot: string | readonly string[],
  cache: string,
  more: Partial<AgentOptions> = {},
): Promise<TestAgent> {
  const receipts: AgentReceipt[] = [];
  const warnings: string[] = [];
  const agent = await startAgent({
    depot,
    cache,
    cacheBytes: 2 ** 30,
    httpPort: 0,
    engine: { port: 0 },
    onReceipt: (receipt) => receipts.push(receipt),
    log: (level, message) => {
      if (level === 'warn' || level === 'error') warnings.push(message);
    },
    ...more,
  });
  atEnd(context, () => agent.close(0));
  return { agent, receipts, warnings };
}

/** One request on a connection of its own: one that was kept may be closed just when it is used again. */
function ask(url: string, method: string, headers: Record<string, string>, body?: Uint8Array): Promise<TestAnswer> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const found = new Headers(Object.entries(response.headers).map(([name, value]) => [name, String(value)]));
        resolve({ status: response.statusCode!, headers: found, bytes: Buffer.concat(chunks) });
      });
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

export interface TestAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Buffer;
}

export async function put(url: string, path: string, bytes: Uint8Array): Promise<void> {
  const length = String(bytes.length);
  const answer = await ask(`${url}/artifacts/${path}`, 'PUT', { 'content-length': length }, bytes);
  if (answer.status >= 300) throw new Error(`PUT ${path}: ${answer.status} ${answer.bytes}`);
}

export function get(url: string, path: string, headers: Record<string, string> = {}): Promise<TestAnswer> {
  return ask(`${url}/${path}`, 'GET', headers);
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export function bytesOf(length: number): Buffer {
  return randomBytes(length);
}

/** Resolves when it holds; asked again and again. */
export async function untilTrue(look: () => Promise<boolean>): Promise<void> {
  while (!(await look())) await new Promise((resolve) => setTimeout(resolve, 20));
}
