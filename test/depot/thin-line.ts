/** A TCP relay to a port of this machine that lets so many bytes a second through towards the client. */
import net from 'node:net';
import type { TestContext } from 'node:test';

const STEP_MS = 10;

export class ThinLine {
  readonly url: string;
  readonly #server: net.Server;
  readonly #sockets: Set<net.Socket>;

  private constructor(server: net.Server, sockets: Set<net.Socket>) {
    this.#server = server;
    this.#sockets = sockets;
    this.url = `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`;
  }

  static async open(context: TestContext, port: number, bytesPerSec: number): Promise<ThinLine> {
    const sockets = new Set<net.Socket>();
    const waiting: net.Socket[] = [];
    let allowance = 0;
    const timer = setInterval(() => {
      allowance = Math.min(allowance + (bytesPerSec * STEP_MS) / 1000, bytesPerSec / 10);
      while (allowance > 0 && waiting.length > 0) waiting.shift()!.resume();
    }, STEP_MS);
    const server = net.createServer((client) => {
      const inner = net.connect(port, '127.0.0.1');
      for (const socket of [client, inner]) {
        sockets.add(socket);
        socket.on('error', () => {});
        socket.once('close', () => {
          sockets.delete(socket);
          client.destroy();
          inner.destroy();
        });
      }
      client.pipe(inner);
      inner.on('data', (chunk: Buffer) => {
        client.write(chunk);
        allowance -= chunk.length;
        if (allowance > 0) return;
        inner.pause();
        waiting.push(inner);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const line = new ThinLine(server, sockets);
    context.after(() => {
      clearInterval(timer);
      line.cut();
    });
    return line;
  }

  /** Whoever is connected is not any more, and nobody gets through. */
  cut(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
