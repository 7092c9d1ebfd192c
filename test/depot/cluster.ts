/** Three depots on S3, PostgreSQL and Redis, as processes. */
import { join } from 'node:path';
import { type Child, type ChildExit, startChild } from '../../lab/child.js';
import { freePort } from '../../lab/ports.js';
import { type RedisServer, startRedis } from '../../lab/redis.js';
import { S3_KEYS, type S3Server, startVersitygw } from '../../lab/s3-server.js';
import type { Scope } from '../../lab/scope.js';
import { MAIN } from '../cli/harness.js';
import type { PostgresKit } from './postgres-kit.js';
import { quickFolder } from './quick-folder.js';

const START_MS = 60_000;
const REQUEST_MS = 30_000;

interface Parts {
  readonly scope: Scope;
  readonly kit: PostgresKit;
  readonly folder: string;
  readonly ports: readonly number[];
  readonly redis: RedisServer;
  readonly gateway: S3Server;
  readonly more: readonly string[];
}

/** Their ports stay theirs when they come back. */
export class Cluster {
  readonly scope: Scope;
  readonly folder: string;
  readonly #ports: readonly number[];
  readonly #more: readonly string[];
  readonly #depots: (Child | null)[] = [null, null, null];
  readonly redis: RedisServer;
  readonly #s3: { readonly port: number; readonly root: string };
  #gateway: S3Server;
  readonly kit: PostgresKit;
  readonly catalogue: string;

  private constructor({ scope, kit, folder, ports, redis, gateway, more }: Parts) {
    this.scope = scope;
    this.kit = kit;
    this.folder = folder;
    this.catalogue = kit.freshUrl();
    this.#more = more;
    this.#ports = ports.slice(0, 3);
    this.redis = redis;
    this.#s3 = { port: ports[3]!, root: join(folder, 's3') };
    this.#gateway = gateway;
  }

  /** @param more of the command line of each */
  static async open(scope: Scope, kit: PostgresKit, more: readonly string[] = []): Promise<Cluster> {
    const folder = await quickFolder(scope);
    const ports: number[] = [];
    for (let k = 0; k < 4; k++) ports.push(await freePort('127.0.0.1'));
    const gateway = await startVersitygw(scope, ports[3]!, join(folder, 's3'));
    const redis = await startRedis(scope);
    const cluster = new Cluster({ scope, kit, folder, ports, redis, gateway, more });
    for (let depot = 0; depot < 3; depot++) await cluster.start(depot);
    return cluster;
  }

  url(depot: number): string {
    return `http://127.0.0.1:${this.#ports[depot]}`;
  }

  words(depot: number): string[] {
    const data = join(this.folder, `depot-${depot}`);
    return ['--data', data, '--store', this.#gateway.url('several'), '--catalogue', this.catalogue];
  }

  async start(depot: number): Promise<void> {
    const more = ['--peers', this.redis.url, '--http', `127.0.0.1:${this.#ports[depot]}`, '--port', '0', '--json'];
    for (let other = 0; other < 3; other++) if (other !== depot) more.push('--other-depot', this.url(other));
    more.push(...this.#more);
    const words = [MAIN, 'depot', ...this.words(depot), ...more];
    const child = startChild(this.scope, process.execPath, words, { env: S3_KEYS });
    this.#depots[depot] = child;
    await child.line('it listens', START_MS, (line) => line.includes('"listening"'));
  }

  async stop(depot: number, signal: NodeJS.Signals): Promise<ChildExit> {
    const child = this.#depots[depot]!;
    process.kill(child.pid, signal);
    return child.exited;
  }

  /** What is killed and comes back, in turn. */
  async kill(turn: number, pick: (count: number) => number): Promise<void> {
    if (turn % 4 === 0) {
      const depot = pick(3);
      await this.stop(depot, 'SIGKILL');
      await this.start(depot);
    } else if (turn % 4 === 1) {
      await this.kit.server.kill();
      await this.kit.server.restart();
    } else if (turn % 4 === 2) {
      await this.#gateway.kill();
      this.#gateway = await startVersitygw(this.scope, this.#s3.port, this.#s3.root);
    } else {
      process.kill(this.redis.pid, 'SIGKILL');
      await this.redis.stop();
      await this.redis.start();
    }
  }
}

export interface Asked {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Buffer;
}

/** Null: no whole answer came. */
export async function ask(url: string, init: RequestInit = {}): Promise<Asked | null> {
  try {
    const answer = await fetch(url, { ...init, signal: AbortSignal.timeout(REQUEST_MS) });
    return { status: answer.status, headers: answer.headers, bytes: Buffer.from(await answer.arrayBuffer()) };
  } catch {
    return null;
  }
}
