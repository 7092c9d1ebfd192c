/**
 * UDP trackers (BEP 15, 41): announce and scrape. Owns a conversation for each address asked lately; names are looked
 * up for each request, and of the addresses found the first of each family is tried.
 */
import { lookup } from 'node:dns/promises';
import { LIMITS } from '../config.js';
import { HaulError } from '../errors.js';
import { ipBytes } from '../net/address.js';
import { NO_OWN_ADDRESS, type Own } from '../net/own-host.js';
import { isPrivateAddress } from '../net/private-address.js';
import { isTrackerPort } from '../net/tracker-port.js';
import { shownUrl } from '../net/url.js';
import type { AnnounceReply, AnnounceRequest, ScrapeEntry } from './announce.js';
import { CONNECTION_ID_MS, Conversation, networkError } from './udp-conversation.js';
import {
  ANNOUNCE,
  announceRequest,
  readAnnounceReply,
  readScrapeReply,
  SCRAPE,
  scrapeRequest,
  UDP_SCRAPE_HASHES_MAX,
  URL_DATA_BYTES_MAX,
} from './udp-messages.js';

/** Where a name has addresses of both families, the first has so long to answer before the other is asked. */
const FAMILY_MS = 5000;
/** Who was silent the last time has so long: a torrent waits for one tracker of a tier after the other. */
const SILENT_MS = 5000;
/** Names whose family, or silence, is remembered. */
const NAMES_KEPT = 1000;

export interface UdpTrackersOptions {
  /** A generator of [0, 1), for who is kept of a reply that is too long; default Math.random. */
  readonly random?: () => number;
  /** From which of our addresses they are asked; default: whichever the system takes. */
  readonly own?: Own | undefined;
  /** IP addresses of a name; default the system's. */
  readonly lookUp?: (host: string) => Promise<readonly string[]>;
  /** Milliseconds; default performance.now. */
  readonly now?: () => number;
  /** For the first answer; default RESEND_FIRST_MS. */
  readonly resendMs?: number;
  /** For the first of two families; default 5,000. */
  readonly familyMs?: number;
  /** For who was silent the last time; default 5,000. */
  readonly silentMs?: number;
}

export interface UdpCallOptions {
  /** Ends it with HaulError ABORTED. */
  readonly signal?: AbortSignal | undefined;
  /** For the whole exchange; default LIMITS.udpTrackerTimeoutMs. */
  readonly timeoutMs?: number | undefined;
  /** Addresses that may be asked; default all. */
  readonly permits?: ((address: string) => boolean) | undefined;
}

interface Target {
  readonly host: string;
  readonly port: number;
  /** Path and query, as it is sent. */
  readonly urlData: string;
  readonly where: string;
}

export class UdpTrackers {
  readonly #options: UdpTrackersOptions;
  readonly #now: () => number;
  readonly #conversations = new Map<string, Promise<Conversation>>();
  /** By host and port, the address that answered last. */
  readonly #answered = new Map<string, string>();
  /** Hosts and ports that did not answer in time when they were asked last, by whichever torrent. */
  readonly #silent = new Set<string>();
  #sweeper: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(options: UdpTrackersOptions = {}) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** @throws HaulError TRACKER (it refused, or answered nonsense), TIMEOUT, NETWORK, ABORTED */
  announce(url: string, request: AnnounceRequest, options: UdpCallOptions = {}): Promise<AnnounceReply> {
    const target = parseUdpUrl(url);
    const { where } = target;
    const urlData = request.zone === undefined ? target.urlData : withZone(target.urlData, request.zone);
    const random = this.#options.random ?? Math.random;
    return this.#call(target, options, async (conversation, signal) => {
      const make = (id: Buffer, transaction: number) => announceRequest(id, transaction, request, urlData);
      const bytes = await conversation.ask(ANNOUNCE, make, { where: target.where, signal });
      const reply = readAnnounceReply(bytes, conversation.isIPv6, random);
      if (reply === null) throw new HaulError('TRACKER', `${where}: answered ${bytes.length} bytes to an announce`);
      return reply;
    });
  }

  /**
   * By info-hash in hex; what the tracker does not know has zeros.
   * @param infoHashes 20 bytes each, 1 to UDP_SCRAPE_HASHES_MAX. @throws HaulError as `announce`, LIMIT
   */
  async scrape(
    url: string,
    infoHashes: readonly Uint8Array[],
    options: UdpCallOptions = {},
  ): Promise<Map<string, ScrapeEntry>> {
    if (infoHashes.length === 0 || infoHashes.length > UDP_SCRAPE_HASHES_MAX) {
      throw new HaulError('LIMIT', `a scrape asks for 1 to ${UDP_SCRAPE_HASHES_MAX} info-hashes by UDP`);
    }
    const target = parseUdpUrl(url);
    return this.#call(target, options, async (conversation, signal) => {
      const make = (id: Buffer, transaction: number) => scrapeRequest(id, transaction, infoHashes);
      const bytes = await conversation.ask(SCRAPE, make, { where: target.where, signal });
      const entries = readScrapeReply(bytes, infoHashes);
      if (entries === null)
        throw new HaulError('TRACKER', `${target.where}: answered ${bytes.length} bytes to a scrape`);
      return entries;
    });
  }

  /** Ends what is under way. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#sweeper !== null) clearInterval(this.#sweeper);
    const open = [...this.#conversations.values()];
    this.#conversations.clear();
    for (const conversation of await Promise.allSettled(open))
      if (conversation.status === 'fulfilled') conversation.value.close();
  }

  async #call<T>(
    target: Target,
    { signal, timeoutMs = LIMITS.udpTrackerTimeoutMs, permits }: UdpCallOptions,
    exchange: (conversation: Conversation, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { where } = target;
    const key = `${target.host} ${target.port}`;
    const wasSilent = this.#silent.has(key);
    const limitMs = wasSilent ? Math.min(timeoutMs, this.#options.silentMs ?? SILENT_MS) : timeoutMs;
    const controller = new AbortController();
    let isTimedOut = false;
    const timer = setTimeout(() => {
      isTimedOut = true;
      controller.abort();
    }, limitMs);
    const onAbort = (): void => controller.abort();
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted) controller.abort();
    try {
      const familyMs = Math.min(this.#options.familyMs ?? FAMILY_MS, limitMs / 2);
      const answer = await this.#tryAddresses(target, { permits, familyMs }, controller.signal, exchange);
      this.#silent.delete(key);
      return answer;
    } catch (error) {
      if (signal?.aborted) throw new HaulError('ABORTED', `${where}: given up`, {}, error);
      if (!isTimedOut) throw error;
      if (this.#silent.size >= NAMES_KEPT) this.#silent.clear();
      this.#silent.add(key);
      throw new HaulError('TIMEOUT', `${where}: no answer within ${limitMs / 1000} s`, {}, error);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  async #tryAddresses<T>(
    target: Target,
    { permits, familyMs }: { readonly permits: UdpCallOptions['permits']; readonly familyMs: number },
    signal: AbortSignal,
    exchange: (conversation: Conversation, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const key = `${target.host} ${target.port}`;
    const addresses = await this.#addressesOf(target, permits, signal);
    if (this.#answered.get(key) === addresses[1]) addresses.reverse();
    for (const [index, address] of addresses.entries()) {
      const isLast = index === addresses.length - 1;
      // Another family may have a way where this one has none, or loses all that is sent.
      const silence = isLast ? null : AbortSignal.timeout(familyMs);
      const conversation = await this.#conversation(address, target);
      const beganMs = this.#now();
      try {
        const answer = await exchange(conversation, silence === null ? signal : AbortSignal.any([signal, silence]));
        this.#remember(key, address);
        return answer;
      } catch (error) {
        const isUnreached = error instanceof HaulError && error.code === 'NETWORK';
        const isSilent = conversation.heardAtMs < beganMs;
        // Its socket may have the source address of a network that we are not in any more.
        if (isUnreached || isSilent) this.#retire(`${address} ${target.port}`, conversation);
        const mayGoOn = isUnreached || (isSilent && silence?.aborted === true);
        if (!mayGoOn || isLast || signal.aborted) throw error;
      }
    }
    throw new Error('a name without addresses was not refused');
  }

  #remember(key: string, address: string): void {
    if (this.#answered.size >= NAMES_KEPT) this.#answered.clear();
    this.#answered.set(key, address);
  }

  /** The next to ask there gets another socket. */
  #retire(key: string, conversation: Conversation): void {
    void this.#conversations.get(key)?.then((current) => {
      if (current === conversation) this.#conversations.delete(key);
    });
    conversation.retire();
  }

  /** The first of each family, in the order of the system. */
  async #addressesOf(
    { host, port, where }: Target,
    permits: ((address: string) => boolean) | undefined,
    signal: AbortSignal,
  ): Promise<string[]> {
    const found = ipBytes(host) !== null ? [host] : await untilAborted(this.#lookUp(host, where), signal);
    const own = this.#options.own?.();
    const reached = own === undefined ? found : found.filter((address) => own.from(address) !== null);
    if (reached.length === 0 && found.length > 0) throw new HaulError('NETWORK', `${where}: ${NO_OWN_ADDRESS}`);
    const permitted = permits === undefined ? reached : reached.filter(permits);
    // What a torrent names in our own network gets no datagram where something else than a tracker listens.
    const allowed = isTrackerPort(port) ? permitted : permitted.filter((address) => !isPrivateAddress(address));
    if (allowed.length === 0) {
      const isPort = permitted.length > 0;
      const refusal = isPort ? 'that port is no tracker' : 'its address is of a private network';
      const text = found.length === 0 ? 'no such host' : refusal;
      throw new HaulError('NETWORK', `${where}: ${text}`);
    }
    const ofFamily = (isIPv6: boolean) => allowed.find((address) => address.includes(':') === isIPv6);
    const other = ofFamily(!allowed[0]!.includes(':'));
    return other === undefined ? [allowed[0]!] : [allowed[0]!, other];
  }

  async #lookUp(host: string, where: string): Promise<readonly string[]> {
    try {
      if (this.#options.lookUp !== undefined) return await this.#options.lookUp(host);
      return (await lookup(host, { all: true })).map(({ address }) => address);
    } catch (error) {
      const { code } = error as { code?: unknown };
      if (code === 'ENOTFOUND') throw new HaulError('NETWORK', `${where}: no such host`, {}, error);
      throw networkError(where, error as Error);
    }
  }

  async #conversation(address: string, { port, where }: Target): Promise<Conversation> {
    if (this.#isClosed) throw new HaulError('ABORTED', `${where}: our sockets are closed`);
    const key = `${address} ${port}`;
    const known = this.#conversations.get(key);
    if (known !== undefined) return known;
    await this.#makeRoom();
    const again = this.#conversations.get(key);
    if (again !== undefined) return again;
    const { resendMs } = this.#options;
    const from = this.#options.own?.().from(address) ?? undefined;
    const opening = Conversation.open(address, port, { where, now: this.#now, resendMs, from });
    this.#conversations.set(key, opening);
    opening.catch(() => this.#conversations.delete(key));
    this.#sweeper ??= setInterval(() => void this.#sweep(this.#now() - CONNECTION_ID_MS), CONNECTION_ID_MS).unref();
    const conversation = await opening;
    if (this.#isClosed) conversation.close();
    return conversation;
  }

  /** Each is a descriptor: the one that nobody has used for longest goes. */
  async #makeRoom(): Promise<void> {
    if (this.#conversations.size < LIMITS.udpTrackersKept) return;
    let oldest: { readonly key: string; readonly conversation: Conversation } | null = null;
    for (const [key, opening] of [...this.#conversations]) {
      const conversation = await opening.catch(() => null);
      if (conversation === null || !conversation.isIdle) continue;
      if (oldest === null || conversation.usedAtMs < oldest.conversation.usedAtMs) oldest = { key, conversation };
    }
    if (oldest?.conversation.isIdle === true && this.#conversations.delete(oldest.key)) oldest.conversation.close();
  }

  /** Closes those that had nothing to say since then. */
  async #sweep(beforeMs: number): Promise<void> {
    for (const [key, opening] of [...this.#conversations]) {
      const conversation = await opening.catch(() => null);
      if (conversation === null || !conversation.isIdle || conversation.usedAtMs > beforeMs) continue;
      if (this.#conversations.delete(key)) conversation.close();
    }
    if (this.#conversations.size > 0 || this.#sweeper === null) return;
    clearInterval(this.#sweeper);
    this.#sweeper = null;
  }
}

async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = new Promise<never>((_, reject) => {
    const fail = (): void => reject(new HaulError('ABORTED', 'given up'));
    if (signal.aborted) fail();
    signal.addEventListener('abort', fail, { once: true });
  });
  return Promise.race([promise, aborted]);
}

/** @throws HaulError TRACKER: no host, no port, or more behind it than a datagram holds */
export function parseUdpUrl(url: string): Target {
  const where = `tracker ${shownUrl(url)}`;
  const wrong = (text: string): HaulError => new HaulError('TRACKER', `${where}: ${text}`, { url: shownUrl(url) });
  if (!URL.canParse(url)) throw wrong('not a URL');
  const { hostname, port, pathname, search } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, '');
  if (host === '') throw wrong('it names no host');
  if (port === '' || port === '0') throw wrong('a udp URL names a port');
  const urlData = pathname === '/' && search === '' ? '' : `${pathname}${search}`;
  if (urlData.length > URL_DATA_BYTES_MAX) throw wrong(`more than ${URL_DATA_BYTES_MAX} bytes behind the host`);
  return { host, port: Number(port), urlData, where };
}

function withZone(urlData: string, zone: string): string {
  const base = urlData === '' ? '/announce' : urlData;
  const full = `${base}${base.includes('?') ? '&' : '?'}zone=${zone}`;
  return full.length > URL_DATA_BYTES_MAX ? urlData : full;
}
