/**
 * Which addresses may be peers at all, as the user says. Pure. It is asked before anything is spent on a connection, in
 * or out, and again when the lists change. It wins over everything, also over peers named by hand: the addresses of a
 * name are its owner's to choose, and whoever shuts out a network means it.
 */
import type { PeerFilterOptions, PeerFilterStats } from '../api.js';
import { LIMITS } from '../config.js';
import { HaulError } from '../errors.js';
import { ipBytes } from './address.js';
import { type AddressRange, AddressRanges, parseRange, RANGE_RULE } from './address-ranges.js';

/** Why a connection ends, or is not made. */
export const DENIED = 'the list of peers that are allowed or denied keeps it out';

export class PeerFilter {
  /** Null: all are. */
  #allowed: AddressRanges | null = null;
  /** Null: none is. */
  #denied: AddressRanges | null = null;
  #refused = 0;

  /** Null: everybody may. @throws HaulError BAD_ARGUMENT, LIMIT; then all is as before */
  set(lists: PeerFilterOptions | null): void {
    const allowed = lists?.allow === undefined ? null : rangesOf('allow', lists.allow);
    const denied = lists?.deny === undefined ? null : rangesOf('deny', lists.deny);
    this.#allowed = allowed;
    this.#denied = denied;
  }

  /** @param host an IP address as sockets name it: IPv4-mapped and zoned forms included */
  permits(host: string): boolean {
    if (this.#allowed === null && this.#denied === null) return true;
    const zone = host.indexOf('%');
    const bytes = ipBytes(zone < 0 ? host : host.slice(0, zone));
    if (bytes === null) return this.#allowed === null;
    return this.#denied?.has(bytes) !== true && this.#allowed?.has(bytes) !== false;
  }

  /** The same of one that knocks; who is refused is counted. */
  lets(host: string): boolean {
    const isIn = this.permits(host);
    if (!isIn) this.#refused++;
    return isIn;
  }

  /** Null: there are no lists. */
  get report(): PeerFilterStats | null {
    if (this.#allowed === null && this.#denied === null) return null;
    return {
      allowedRanges: this.#allowed?.count ?? null,
      deniedRanges: this.#denied?.count ?? 0,
      refused: this.#refused,
    };
  }
}

function rangesOf(name: 'allow' | 'deny', list: readonly string[]): AddressRanges {
  if (list.length > LIMITS.peerRanges) {
    const message = `peerFilter: ${name} has ${list.length} entries; the limit is ${LIMITS.peerRanges}`;
    throw new HaulError('LIMIT', message, { option: 'peerFilter' });
  }
  const ranges: AddressRange[] = list.map((text, index) => {
    const range = typeof text === 'string' ? parseRange(text) : null;
    if (range !== null) return range;
    const shown = typeof text === 'string' ? JSON.stringify(text.slice(0, SHOWN_CHARACTERS)) : typeof text;
    const message = `peerFilter: ${name}[${index}] is ${shown}, not ${RANGE_RULE}`;
    throw new HaulError('BAD_ARGUMENT', message, { option: 'peerFilter', entry: index });
  });
  return new AddressRanges(ranges);
}

const SHOWN_CHARACTERS = 60;
