import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';

/**
 * Below those that the kernel gives to connections that go out (32768 on): whoever goes and comes back finds its port
 * free, and nobody who dials it meanwhile is connected to itself.
 */
const FIRST = 10_000;
const END = 32_768;
const TRIES = 100;

/** A TCP port that was free a moment ago. Only for programs that cannot listen on 0 and say what they got. */
export async function freePort(host = '0.0.0.0'): Promise<number> {
  for (let left = TRIES; left > 0; left--) {
    const port = randomInt(FIRST, END);
    if (await isFree(host, port)) return port;
  }
  throw new Error(`none of ${TRIES} ports is free on ${host}`);
}

async function isFree(host: string, port: number): Promise<boolean> {
  const server = net.createServer();
  try {
    await once(server.listen(port, host), 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false;
    throw error;
  }
  await new Promise((resolve) => server.close(resolve));
  return true;
}

/** True when something accepts TCP connections there now. */
export function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port });
    const settle = (outcome: boolean) => {
      socket.destroy();
      resolve(outcome);
    };
    socket.once('connect', () => settle(true));
    socket.once('error', () => settle(false));
  });
}
