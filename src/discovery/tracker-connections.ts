/**
 * The HTTP connections to trackers, and where a redirect may lead. A tracker at a public address must not make us ask
 * hosts of our own network, or ports at which no tracker is: who is asked by us is not asked by a stranger. One at a
 * private address may, for it is there already. What counts is the address that was connected to, not a later lookup: a
 * name whose owner answers differently each time stays public once it was. Owns the connections.
 */
import { lookup } from 'node:dns';
import { HaulError } from '../errors.js';
import { HttpClient, type Requests, trusting } from '../net/http-client.js';
import type { Own } from '../net/own-host.js';
import { isIpLiteral, isPrivateAddress } from '../net/private-address.js';
import { filteredLookup } from '../net/public-lookup.js';
import { isTrackerPort } from '../net/tracker-port.js';
import { shownUrl } from '../net/url.js';

/** Names of which it is known whether they are private. */
const NAMES_KEPT = 4_096;

export interface TrackerConnectionsOptions {
  /** Certificates that are trusted besides those of the system, PEM. */
  readonly ca?: readonly string[] | undefined;
  /** From which of our addresses; default: whichever the system takes. */
  readonly own?: Own | undefined;
  /** Default `isPrivateAddress`. */
  readonly isPrivate?: (address: string) => boolean;
  /** Default that of the system. */
  readonly lookUp?: typeof lookup;
}

export class TrackerConnections {
  readonly any: Requests;
  readonly #any: HttpClient;
  readonly #publicOnly: HttpClient;
  readonly #isPrivate: (address: string) => boolean;
  /** False sticks. */
  readonly #arePrivate = new Map<string, boolean>();

  constructor({ ca, own, isPrivate = isPrivateAddress, lookUp = lookup }: TrackerConnectionsOptions = {}) {
    this.#isPrivate = isPrivate;
    const note = (host: string, addresses: readonly string[]): void => this.#note(host, addresses.every(isPrivate));
    const tls = trusting(ca);
    this.#any = new HttpClient({ connect: { ...tls, lookup: filteredLookup({ lookUp, note }) } }, own);
    const toPublic = filteredLookup({ lookUp, note, permits: (address) => !isPrivate(address) });
    this.#publicOnly = new HttpClient({ connect: { ...tls, lookup: toPublic } }, own);
    this.any = this.#any;
  }

  /** What asks where a redirect leads. @throws HaulError TRACKER: nobody does */
  clientFor(from: URL, to: URL, where: string): Requests {
    const host = hostOf(to);
    const port = to.port === '' ? (to.protocol === 'https:' ? 443 : 80) : Number(to.port);
    const wrong = (text: string): HaulError =>
      new HaulError('TRACKER', `${where}: redirected to ${shownUrl(to.href)}: ${text}`, { url: shownUrl(to.href) });
    if (this.#isOfPrivate(hostOf(from))) return this.#any;
    if (!isTrackerPort(port)) throw wrong('that port is no tracker');
    if (isIpLiteral(host) && this.#isPrivate(host)) throw wrong('that address is of a private network');
    return this.#publicOnly;
  }

  /** Ends what is under way. Idempotent. */
  async close(): Promise<void> {
    await Promise.all([this.#any.destroy(), this.#publicOnly.destroy()]);
  }

  #isOfPrivate(host: string): boolean {
    return isIpLiteral(host) ? this.#isPrivate(host) : this.#arePrivate.get(host) === true;
  }

  #note(host: string, isPrivate: boolean): void {
    const was = this.#arePrivate.get(host);
    this.#arePrivate.delete(host);
    this.#arePrivate.set(host, isPrivate && was !== false);
    const [oldest] = this.#arePrivate.keys();
    if (this.#arePrivate.size > NAMES_KEPT) this.#arePrivate.delete(oldest!);
  }
}

function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '');
}
