/** Stands between a client and PostgreSQL on a socket of its own, and lets a test decide what becomes of a COMMIT. */
import { rm } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import type { Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';

export type CommitFate =
  /** As if nobody stood there. */
  | 'passes'
  /** The server gets it, and the client never hears of it. */
  | 'answer is lost'
  /** The connection breaks before the server gets it. */
  | 'is lost'
  /** The client's connection breaks; the server's stays, and gets it when the test says so. */
  | 'is late';

const COMMIT = Buffer.from('commit\0');
const SOCKET = '.s.PGSQL.5432';

export class CutProxy {
  /** Where its socket is. */
  readonly folder: string;
  /** Of the next COMMITs, one each; then all pass. */
  readonly fates: CommitFate[] = [];
  /** Those that are late. */
  readonly #late: { readonly server: net.Socket; readonly bytes: Buffer }[] = [];
  readonly #sockets = new Set<net.Socket>();
  readonly #behind: string;

  private constructor(folder: string, behind: string) {
    this.folder = folder;
    this.#behind = behind;
  }

  static async open(scope: Scope, serverFolder: string): Promise<CutProxy> {
    const folder = await tempFolder(scope);
    const proxy = new CutProxy(folder, path.join(serverFolder, SOCKET));
    const listener = net.createServer((client) => proxy.#join(client));
    await new Promise<void>((resolve) => listener.listen(path.join(folder, SOCKET), resolve));
    scope.defer(async () => {
      proxy.cutAll();
      await new Promise((resolve) => listener.close(resolve));
      await rm(path.join(folder, SOCKET), { force: true });
    });
    return proxy;
  }

  /** All connections break. */
  cutAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  get lateCount(): number {
    return this.#late.length;
  }

  /** What is late arrives now, or never. Resolves when the server has ended those connections. */
  async settleLate(arrives: boolean): Promise<void> {
    for (const { server, bytes } of this.#late.splice(0)) {
      if (arrives) server.end(bytes);
      else server.end();
      server.resume();
      await new Promise((resolve) => server.once('close', resolve));
    }
  }

  #join(client: net.Socket): void {
    const server = net.connect(this.#behind);
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.once('close', () => this.#sockets.delete(socket));
    }
    let isMute = false;
    server.on('data', (bytes) => {
      if (isMute) client.destroy();
      else client.write(bytes);
    });
    client.on('data', (bytes) => {
      const fate = bytes.includes(COMMIT) ? (this.fates.shift() ?? 'passes') : 'passes';
      if (fate === 'passes') server.write(bytes);
      if (fate === 'answer is lost') {
        isMute = true;
        server.write(bytes);
      }
      if (fate === 'is lost') {
        server.destroy();
        client.destroy();
      }
      if (fate === 'is late') {
        this.#late.push({ server, bytes });
        client.destroy();
      }
    });
    server.once('close', () => client.destroy());
    client.once('close', () => {
      if (!this.#late.some((one) => one.server === server)) server.destroy();
    });
  }
}
