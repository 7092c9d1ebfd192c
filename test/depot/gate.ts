/** Stands before a depot on a port of its own, and lets a test decide how much passes, and when it is cut off. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

const END = Buffer.from('\r\n\r\n');

export class Gate {
  readonly url: string;
  /** Of the body of an answer so many bytes pass, then nothing does. */
  passBytes = Number.POSITIVE_INFINITY;
  /** Connections, and parts of requests, that came. */
  accepted = 0;
  asked = 0;
  receivedBytes = 0;
  /** Nothing passes either way, and connections are taken all the same: a process that is stopped. */
  isFrozen = false;
  readonly #port: number;
  #server: Server | null;
  readonly #sockets = new Set<Socket>();
  readonly #target: URL;
  readonly #waiting: (() => void)[] = [];

  private constructor(server: Server, target: string) {
    this.#server = server;
    this.#target = new URL(target);
    this.#port = (server.address() as { port: number }).port;
    this.url = `http://127.0.0.1:${this.#port}`;
    server.on('connection', (socket) => this.#join(socket));
  }

  static async open(context: TestContext, target: string): Promise<Gate> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const gate = new Gate(server, target);
    context.after(() => gate.shut());
    return gate;
  }

  /** Resolves when a connection has passed all that may. */
  held(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** As a process that was killed: connections are reset, and nobody listens. */
  async shut(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    for (const socket of this.#sockets) socket.resetAndDestroy();
    if (server !== null) await new Promise((resolve) => server.close(resolve));
  }

  /** It listens again. */
  async reopen(): Promise<void> {
    const server = createServer((socket) => this.#join(socket));
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve));
  }

  #join(client: Socket): void {
    this.accepted++;
    const depot = connect(Number(this.#target.port), this.#target.hostname);
    for (const socket of [client, depot]) {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.once('close', () => this.#sockets.delete(socket));
    }
    let passed = 0;
    let isHead = true;
    client.on('data', (bytes) => {
      this.asked++;
      this.receivedBytes += bytes.length;
      passed = 0;
      isHead = true;
      if (!this.isFrozen) depot.write(bytes);
    });
    depot.on('data', (bytes) => {
      if (this.isFrozen) return;
      // A head comes in one piece.
      const headBytes = isHead ? bytes.indexOf(END) + END.length : 0;
      isHead = false;
      const part = bytes.subarray(0, headBytes + Math.max(0, this.passBytes - passed));
      passed += part.length - headBytes;
      if (part.length > 0) client.write(part);
      if (part.length === bytes.length) return;
      depot.pause();
      for (const resolve of this.#waiting.splice(0)) resolve();
    });
    depot.once('close', () => client.destroy());
    client.once('close', () => depot.destroy());
  }
}
