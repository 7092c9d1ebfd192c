/**
 * Who is kept out of one torrent, and for how long. Pure: the clock is an argument.
 *
 * A ban needs evidence by content (`suspects.ts`: a good copy shows whose blocks were bad;
 * `magnet/assembly.ts`: a copy of the metadata that one alone gave has another hash), names one peer id at one
 * host, and ends by itself: a disk that was bad is replaced, an address passes on to somebody else. An address as a
 * whole is refused only when several of its peers were caught. What the user named is never refused (`roster.ts`). A
 * host of IPv6 has a new address of its /64 whenever it likes: its ban holds in all of it. But a /64 is also a whole
 * LAN: it is refused when so many of its addresses were caught that most of it is bad.
 */
import { LIMITS } from '../config.js';
import { groupOf } from '../net/remote-group.js';

/** Banned peers of one address before it is refused: one liar must not take its neighbours behind a NAT with it. */
export const BANS_PER_HOST = 3;
/**
 * Addresses of one /64 with a banned peer before all of it is refused: a LAN of hundreds of hosts has a few bad disks.
 */
export const BANNED_ADDRESSES_PER_GROUP = 16;
/** Bans remembered, ended ones included: about 150 bytes each. */
const BANS_MAX = 4096;

interface Ban {
  /** See `groupOf`. */
  readonly group: string;
  /** Where it was caught last. */
  address: string;
  untilMs: number;
  times: number;
}

export class Bans {
  /** By group and peer id, in order of the last ban. */
  readonly #bans = new Map<string, Ban>();

  /** Returns when the ban ends. */
  add(host: string, peerId: Buffer, nowMs: number): number {
    const group = groupOf(host);
    const name = nameOf(group, peerId);
    const ban = this.#bans.get(name) ?? { group, address: '', untilMs: 0, times: 0 };
    ban.address = addressOf(host);
    this.#bans.delete(name);
    ban.untilMs = nowMs + Math.min(LIMITS.banLastMs, LIMITS.banFirstMs * 2 ** ban.times);
    ban.times++;
    this.#bans.set(name, ban);
    const [oldest] = this.#bans.keys();
    if (this.#bans.size > BANS_MAX) this.#bans.delete(oldest!);
    return ban.untilMs;
  }

  /** Why this peer may not join now, or null. */
  refusal(host: string, peerId: Buffer, nowMs: number): string | null {
    if (this.#bans.size === 0) return null;
    const group = groupOf(host);
    if ((this.#bans.get(nameOf(group, peerId))?.untilMs ?? 0) > nowMs) return 'banned: it sent corrupt data';
    const address = addressOf(host);
    const addresses = new Set<string>();
    let ofAddress = 0;
    for (const ban of this.#bans.values()) {
      if (ban.group !== group || ban.untilMs <= nowMs) continue;
      if (ban.address === address) ofAddress++;
      addresses.add(ban.address);
    }
    if (ofAddress >= BANS_PER_HOST) return 'banned: its host sent corrupt data';
    return addresses.size >= BANNED_ADDRESSES_PER_GROUP ? 'banned: its network sent corrupt data' : null;
  }
}

/**
 * A peer id alone is a claim: whoever borrows the id of an honest peer on another host must not get that one banned.
 */
function nameOf(group: string, peerId: Buffer): string {
  return `${group} ${peerId.toString('hex')}`;
}

/** One host, as its socket names it; IPv4-mapped forms are IPv4. */
function addressOf(host: string): string {
  return host.includes('.') ? groupOf(host) : host;
}
