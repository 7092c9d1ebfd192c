/**
 * Which of our addresses are used, in and out, as the user says: an address, the name of an interface, or a name that
 * leads to this machine. Asked once, when an engine opens.
 */
import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { fromSystemError, HaulError } from '../errors.js';
import { canonicalHost } from './address.js';
import type { Interfaces } from './own-addresses.js';
import { isLinkLocalAddress } from './private-address.js';

/** Where it is not known yet, or does not matter. */
export type Own = () => OwnHost;

export class OwnHost {
  /** Addresses to listen at, one of each family at most; empty: all. */
  readonly listenAt: readonly string[];
  readonly #ipv4: string | null;
  readonly #ipv6: string | null;
  readonly #isBound: boolean;

  /** @param addresses one of each family at most, or "0.0.0.0" alone: all of IPv4, out also by IPv6 */
  constructor(addresses: readonly string[]) {
    this.listenAt = addresses;
    this.#isBound = addresses.some((address) => address !== '0.0.0.0');
    this.#ipv4 = addresses.find((address) => !address.includes(':')) ?? null;
    this.#ipv6 = addresses.find((address) => address.includes(':')) ?? null;
  }

  /** Connections out come from certain addresses only. */
  get isBound(): boolean {
    return this.#isBound;
  }

  /**
   * From which of our addresses that one is connected to. Undefined: whichever the system takes. Null: it is of a
   * family of which we have none, so that nobody hears of us by another way than the one that was asked for; this
   * machine itself can always be reached.
   * @param remote an IP address
   */
  from(remote: string): string | undefined | null {
    if (!this.#isBound) return undefined;
    const own = remote.includes(':') ? this.#ipv6 : this.#ipv4;
    if (own !== null) return own;
    return remote === '::1' || remote.startsWith('127.') ? undefined : null;
  }
}

export const EVERY_HOST = new OwnHost([]);

/** Why nobody is connected to at an address of that family. */
export const NO_OWN_ADDRESS = 'the own address that was asked for is of another family';

const NAMED = 8;

export interface OwnHostOptions {
  readonly interfaces?: () => Interfaces;
  readonly lookUp?: (host: string) => Promise<readonly string[]>;
}

/** @throws HaulError BAD_ARGUMENT: it is nothing of this machine */
export async function findOwnHost(host: string | undefined, options: OwnHostOptions = {}): Promise<OwnHost> {
  const { interfaces = networkInterfaces, lookUp = lookUpAll } = options;
  if (host === undefined || host === '::') return EVERY_HOST;
  if (host === '0.0.0.0') return new OwnHost([host]);
  const literal = isIP(host) === 0 ? null : canonicalHost(host);
  if (literal !== null) {
    await checkOwn(literal, host, interfaces());
    return new OwnHost([literal]);
  }
  const ofInterface = interfaces()[host];
  if (ofInterface !== undefined) return new OwnHost(likeliest(host, ofInterface));
  const found = await lookUp(host).catch(() => []);
  const own: string[] = [];
  for (const address of found) if ((await bindable(address)) === null) own.push(address);
  if (own.length > 0) return new OwnHost(oneOfEach(own));
  const names = Object.keys(interfaces()).slice(0, NAMED).join(', ');
  const what = found.length > 0 ? `leads to ${found[0]}, which is not of this machine` : 'is no name that is known';
  const message = `host ${host} ${what}; an address of this machine, or an interface of it (${names}), is wanted`;
  throw new HaulError('BAD_ARGUMENT', message, { option: 'host', host });
}

/** Of an interface: the first of each family; link-local ones only where it has nothing else. */
function likeliest(name: string, addresses: NonNullable<Interfaces[string]>): string[] {
  const texts = addresses.map(({ address }) => address);
  const wide = texts.filter((address) => !isLinkLocalAddress(address));
  if (wide.length > 0) return oneOfEach(wide);
  return oneOfEach(texts.map((address) => (address.includes(':') ? `${address}%${name}` : address)));
}

function oneOfEach(addresses: readonly string[]): string[] {
  const ofFamily = (isIPv6: boolean) => addresses.find((address) => address.includes(':') === isIPv6);
  return [ofFamily(false), ofFamily(true)].filter((address) => address !== undefined);
}

async function checkOwn(address: string, host: string, interfaces: Interfaces): Promise<void> {
  const error = await bindable(address);
  if (error === null) return;
  if (error.code !== 'EADDRNOTAVAIL') throw fromSystemError(error, 'use', `host ${host}`);
  const all = Object.values(interfaces).flatMap((list) => list ?? []);
  const some = all.slice(0, NAMED).map((each) => each.address);
  const more = all.length > NAMED ? ', …' : '';
  const message = `host ${host}: this machine has no such address; it has ${some.join(', ')}${more}`;
  throw new HaulError('BAD_ARGUMENT', message, { option: 'host', host }, error);
}

/**
 * Null: it is ours. Asked of the system, for not all that is ours is listed: 127.0.0.2, or a network that is routed to
 * this machine.
 */
function bindable(address: string): Promise<NodeJS.ErrnoException | null> {
  return new Promise((resolve) => {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    socket.once('error', (error) => {
      socket.close();
      resolve(error);
    });
    socket.bind({ address, port: 0, exclusive: true }, () => {
      socket.close();
      resolve(null);
    });
  });
}

async function lookUpAll(host: string): Promise<readonly string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}
