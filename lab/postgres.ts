/** Debian's PostgreSQL: a server of a test's own on a socket in a temporary folder, as a user who is not root. */
import { chmodSync, chownSync, existsSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type Child, run, startChild } from './child.js';
import type { Scope } from './scope.js';
import { tempFolder } from './temp.js';
import { until } from './wait.js';

const VERSIONS = '/usr/lib/postgresql';
const USER = 'postgres';
const START_MS = 20_000;
const PORT = 5432;

/** Folder of the newest version's programs, or null. */
export function postgresPrograms(): string | null {
  const versions = existsSync(VERSIONS) ? readdirSync(VERSIONS) : [];
  const folders = versions
    .sort((a, b) => Number(b) - Number(a))
    .map((version) => path.join(VERSIONS, version, 'bin'))
    .filter((folder) => existsSync(path.join(folder, 'initdb')));
  return folders[0] ?? null;
}

export class PostgresServer {
  /** Holds the data and the socket. */
  readonly folder: string;
  readonly port: number;
  readonly #scope: Scope;
  #child: Child | null = null;

  private constructor(scope: Scope, folder: string, port: number) {
    this.#scope = scope;
    this.folder = folder;
    this.port = port;
  }

  /**
   * Makes a cluster and starts it; both end with the scope.
   * @param parent of its folder; else it is in memory. @param port of TCP too, where settings make it listen
   */
  static async start(
    scope: Scope,
    settings: readonly string[] = [],
    parent?: string,
    port = PORT,
  ): Promise<PostgresServer> {
    const folder = await tempFolder(scope, parent ?? (existsSync('/dev/shm') ? '/dev/shm' : undefined));
    const server = new PostgresServer(scope, folder, port);
    await server.#own(folder);
    chmodSync(folder, 0o755);
    await run(
      scope,
      ...asUser(['initdb', '-D', server.data, '-U', 'haul', '-A', 'trust', '-E', 'UTF8', '--locale=C', '-N']),
    );
    // One role has to know its password.
    writeFileSync(path.join(server.data, 'pg_hba.conf'), 'local all guarded scram-sha-256\nlocal all all trust\n');
    await server.restart(settings);
    return server;
  }

  /** A hot standby of this one, by pg_basebackup and streaming. */
  async standby(settings: readonly string[] = []): Promise<PostgresServer> {
    const folder = await tempFolder(this.#scope, path.dirname(this.folder));
    const other = new PostgresServer(this.#scope, folder, this.port);
    await other.#own(folder);
    chmodSync(folder, 0o755);
    const from = ['-h', this.folder, '-p', String(this.port), '-U', 'haul'];
    await run(this.#scope, ...asUser(['pg_basebackup', ...from, '-D', other.data, '-R', '-X', 'stream', '-c', 'fast']));
    await other.restart(settings);
    return other;
  }

  /** Runs a program of PostgreSQL's as this server's user, at this server. @returns its last lines */
  run(name: string, ...args: string[]): Promise<string> {
    const at = ['-h', this.folder, '-p', String(this.port), '-U', 'haul'];
    return run(this.#scope, ...asUser([name, ...at, ...args]));
  }

  /** Makes a file or folder the server's, whoever we are. */
  async #own(place: string): Promise<void> {
    if (process.getuid?.() !== 0) return;
    const [uid, gid] = await idsOf(this.#scope);
    chownSync(place, uid, gid);
  }

  /** @returns path of a file that only the server reads */
  async write(name: string, content: string): Promise<string> {
    const file = path.join(this.folder, name);
    writeFileSync(file, content, { mode: 0o600 });
    await this.#own(file);
    return file;
  }

  get data(): string {
    return path.join(this.folder, 'data');
  }

  get pid(): number {
    return this.#child?.pid ?? -1;
  }

  /** @param query "schema=a&…" */
  url(query = '', { user = 'haul', database = 'postgres', folder = this.folder } = {}): string {
    const port = this.port === PORT ? '' : `&port=${this.port}`;
    const more = `${port}${query === '' ? '' : `&${query}`}`;
    return `postgres:///${database}?host=${encodeURIComponent(folder)}&user=${user}${more}`;
  }

  /** Of a server that is not running. */
  async restart(settings: readonly string[] = []): Promise<void> {
    const words = [
      ...['unix_socket_directories', 'listen_addresses', 'dynamic_shared_memory_type', 'shared_buffers'].map(
        (name, index) => `${name}=${[this.folder, '', 'mmap', '32MB'][index]}`,
      ),
      'autovacuum=off',
      'logging_collector=off',
      'jit=off',
      ...settings,
    ].flatMap((word) => ['-c', word]);
    const start = (): Child =>
      startChild(this.#scope, ...asUser(['postgres', '-D', this.data, '-p', String(this.port), ...words]));
    this.#child = start();
    // Else it would wait for its clients.
    this.#scope.defer(() => this.signal('SIGINT'));
    await until('PostgreSQL takes connections', START_MS, async () => {
      const child = this.#child!;
      if (!(await hasEnded(child))) return isReady(this.#scope, this.folder, this.port);
      // One that was killed a moment ago leaves processes that end by themselves.
      if (!/still in use|already exists|already in use/.test(child.tail()))
        throw new Error(`PostgreSQL ended\n${child.tail()}`);
      this.#child = start();
      return false;
    });
  }

  signal(name: NodeJS.Signals): void {
    try {
      if (this.pid > 0) process.kill(this.pid, name);
    } catch {
      // It is gone.
    }
  }

  /** At once, as the machine would; resolves when all of its processes let go. */
  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.#child?.exited;
  }

  /** In order, without waiting for clients. */
  async stop(): Promise<void> {
    this.signal('SIGINT');
    await this.#child?.exited;
  }
}

function program(name: string): string {
  const folder = postgresPrograms();
  if (folder === null) throw new Error('PostgreSQL is not installed');
  return path.join(folder, name);
}

/** It does not run as root, and ends with whoever started it. */
function asUser([name = '', ...args]: readonly string[]): [command: string, args: string[]] {
  if (process.getuid?.() !== 0) return [program(name), args];
  const who = [`--reuid=${USER}`, `--regid=${USER}`, '--clear-groups', '--pdeathsig', 'KILL'];
  return ['/usr/bin/setpriv', [...who, program(name), ...args]];
}

async function idsOf(scope: Scope): Promise<[uid: number, gid: number]> {
  const uid = Number(await run(scope, '/usr/bin/id', ['-u', USER]));
  return [uid, Number(await run(scope, '/usr/bin/id', ['-g', USER]))];
}

function hasEnded(child: Child): Promise<boolean> {
  const now = new Promise<boolean>((resolve) => setImmediate(resolve, false));
  return Promise.race([child.exited.then(() => true), now]);
}

function isReady(scope: Scope, folder: string, port: number): Promise<boolean> {
  const args = ['-q', '-h', folder, '-p', String(port), '-U', 'haul', '-d', 'postgres'];
  return run(scope, program('pg_isready'), args).then(
    () => true,
    () => false,
  );
}
