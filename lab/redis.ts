/** A redis-server of one's own, in a folder of its own: never the machine's. */
import path from 'node:path';
import { type Child, startChild } from './child.js';
import { accepts, freePort } from './ports.js';
import { Scope } from './scope.js';
import { tempFolder } from './temp.js';
import { until } from './wait.js';

/** Or what speaks as it does: Valkey. */
export const REDIS: string = process.env.REDIS_SERVER ?? '/usr/bin/redis-server';
const START_MS = 10_000;

/** The whole command line, changed. */
type Launch = (words: readonly string[]) => [string, string[]];

export class RedisServer {
  readonly port: number;
  readonly #folder: string;
  readonly #words: readonly string[];
  readonly #launch: Launch;
  #running: { readonly scope: Scope; readonly child: Child } | null = null;

  constructor(folder: string, port: number, words: readonly string[], launch: Launch) {
    this.#launch = launch;
    this.#folder = folder;
    this.port = port;
    this.#words = words;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#running!.child.pid;
  }

  /** Empty: nothing is kept on disk. */
  async start(): Promise<void> {
    const scope = new Scope();
    const words = ['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.#folder];
    words.push('--save', '', '--appendonly', 'no', '--logfile', path.join(this.#folder, 'log'), ...this.#words);
    this.#running = { scope, child: startChild(scope, ...this.#launch([REDIS, ...words])) };
    await until('redis listens', START_MS, () => accepts('127.0.0.1', this.port));
  }

  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = null;
    await running?.scope.close();
  }
}

/** Ends with the scope. @param words more of its command line */
export async function startRedis(
  scope: Scope,
  words: readonly string[] = [],
  launch: Launch = ([command = '', ...rest]) => [command, rest],
): Promise<RedisServer> {
  const server = new RedisServer(await tempFolder(scope), await freePort('127.0.0.1'), words, launch);
  scope.defer(() => server.stop());
  await server.start();
  return server;
}
