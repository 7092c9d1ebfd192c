/** The table of peers that several depots share, between a tracker and Redis; it works, or says why not and goes on. */

import { randomBytes } from 'node:crypto';
import { HaulError } from '../../errors.js';
import type { Log } from '../../log.js';
import { PeerSharing, SHARED_TICK_MS, type SharingState } from '../../tracker/shared/sharing.js';
import type { Swarms } from '../../tracker/swarms.js';
import { parsePeersAddress } from './address.js';
import { loadRedis } from './connection.js';
import { RedisTable } from './redis.js';
import { isRefusal, troubleOf } from './trouble.js';

export interface PeersOptions {
  /** A URL; may hold a password. */
  readonly url: string;
  readonly swarms: Swarms;
  readonly now: () => number;
  /** All depots are on this machine. */
  readonly sharesLoopback: boolean;
  readonly log?: Log | undefined;
}

export interface OpenPeers {
  readonly state: SharingState;
  close(): Promise<void>;
}

/**
 * Resolves also while Redis is away: it is tried again every second.
 * @throws HaulError BAD_ARGUMENT, NOT_FOUND (the package is not installed), NO_PERMISSION (the password is wrong)
 */
export async function openPeers({ url, swarms, now, sharesLoopback, log }: PeersOptions): Promise<OpenPeers> {
  const address = parsePeersAddress(url);
  const table = new RedisTable({ address, connect: await loadRedis(), now });
  const name = `peers: ${address.shown}`;
  try {
    await table.open();
  } catch (error) {
    if (isRefusal(error)) {
      await table.close();
      const { code, message } = troubleOf(error);
      throw new HaulError(code, `${name}: ${message}`, { option: 'peers' });
    }
  }
  const id = randomBytes(6).toString('hex');
  const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const sharing = new PeerSharing({ table, swarms, now, pause, sharesLoopback, id, name, log });
  swarms.share(sharing);
  // What the first exchange finds is known before anybody asks.
  sharing.tick();
  await sharing.settled();
  const timer = setInterval(() => sharing.tick(), SHARED_TICK_MS).unref();
  return {
    get state() {
      return sharing.state;
    },
    close: () => {
      clearInterval(timer);
      return sharing.close();
    },
  };
}
