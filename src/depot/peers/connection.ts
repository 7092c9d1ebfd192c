/** One connection to Redis by `@redis/client`, a package that is there only where somebody wants it. */
import { HaulError } from '../../errors.js';
import type { PeersAddress } from './address.js';

/** What RESP 2 has, as strings. */
export type Reply = string | number | null | readonly Reply[];

export interface RedisConnection {
  /** All that is sent in one turn goes out together. Rejects when the connection ends before the answer. */
  send(command: readonly string[]): Promise<Reply>;
  /** Whether this was an answer of Redis: an error that is about one command. */
  isReply(error: unknown): boolean;
  /** Idempotent. What waits is rejected. */
  destroy(): void;
}

/**
 * Opens a connection in bounded time, with password and database.
 * @param onLost called once it is not usable any more
 */
export type ConnectRedis = (
  address: PeersAddress,
  timeoutMs: number,
  onLost: (error: unknown) => void,
) => Promise<RedisConnection>;

/** Of the package, what is used. */
interface Client {
  connect(): Promise<unknown>;
  destroy(): void;
  on(event: 'error', listener: (error: unknown) => void): unknown;
  sendCommand(command: readonly string[]): Promise<unknown>;
}

interface Package {
  createClient(options: object): Client;
  readonly ErrorReply: new (...words: never[]) => Error;
}

/** @throws HaulError NOT_FOUND: it is not installed */
export async function loadRedis(load: () => Promise<unknown> = () => import('@redis/client')): Promise<ConnectRedis> {
  let loaded: Package;
  try {
    loaded = (await load()) as Package;
  } catch (error) {
    if (!/MODULE_NOT_FOUND$/.test(String((error as NodeJS.ErrnoException | null)?.code))) throw error;
    const message = '--peers needs a package that is not installed: npm install @redis/client';
    throw new HaulError('NOT_FOUND', message, { option: 'peers' }, error);
  }
  return (address, timeoutMs, onLost) => connect(loaded, address, timeoutMs, onLost);
}

async function connect(
  { createClient, ErrorReply }: Package,
  { socket, username, password, database }: PeersAddress,
  timeoutMs: number,
  onLost: (error: unknown) => void,
): Promise<RedisConnection> {
  const client = createClient({
    // We connect anew ourselves, and keep what waits ourselves.
    socket: { ...socket, connectTimeout: timeoutMs, reconnectStrategy: false },
    disableOfflineQueue: true,
    // An exchange has one time-out, not each of its commands one.
    commandOptions: { timeout: 0 },
    RESP: 2,
    maintNotifications: 'disabled',
    disableClientInfo: true,
    database,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
  });
  let isOver = false;
  const destroy = (): void => {
    if (isOver) return;
    isOver = true;
    try {
      client.destroy();
    } catch {
      // It was closed already.
    }
  };
  client.on('error', (error) => {
    if (!isOver) onLost(error);
  });
  // Its time-out is of the socket alone: who accepts and says nothing would be waited for.
  const timer = setTimeout(destroy, timeoutMs);
  try {
    await client.connect();
  } catch (error) {
    if (isOver) throw new HaulError('TIMEOUT', 'it does not answer in time');
    destroy();
    throw error;
  } finally {
    clearTimeout(timer);
  }
  return {
    send: async (command) => (await client.sendCommand(command)) as Reply,
    isReply: (error) => error instanceof ErrorReply,
    destroy,
  };
}
