/**
 * For a swarm in which one address has a crowd of entries: one peer each of up to 256 groups of addresses, so that a
 * reply can name peers that the crowd would drown. Pure. The group is a hash of the address alone: whatever the number
 * of its entries, an address speaks in one group. The latest to announce represents its group, so that over time all
 * do.
 */
import type { EntryShares } from './entry-shares.js';
import type { PeerTable } from './peer-table.js';

/** Some hundred honest peers mostly have a group each; a reply has at most 200 places. */
const GROUPS = 256;

export class Representatives {
  readonly #shares: EntryShares;
  readonly #table: PeerTable;
  /** By group, the compact address of its speaker; without a port there is none. */
  readonly #addresses: Buffer;
  /** Groups that had somebody once. */
  #groupCount = 0;

  /** O(peers): those that are there already are represented as well. */
  constructor(shares: EntryShares, table: PeerTable) {
    this.#shares = shares;
    this.#table = table;
    this.#addresses = Buffer.alloc(GROUPS * table.recordBytes);
    for (let slot = 0; slot < table.count; slot++) this.note(table.address(slot));
  }

  /** This peer has announced. @param compact its address, in the table. */
  note(compact: Uint8Array): void {
    const group = this.#shares.addressHash(compact) >>> 24;
    const speaker = this.#speaker(group);
    if (!hasPort(speaker)) this.#groupCount++;
    speaker.set(compact);
  }

  /**
   * Puts representatives in the place of up to half of `count` picks. Returns the number of picks.
   * @param wanted as many are added, without half, when there are fewer picks. @param except a slot or −1.
   */
  mixInto(picks: number[], count: number, wanted: number, leechesOnly: boolean, except: number, dice: number): number {
    // All of one address: there is nobody to be heard beside it.
    if (this.#groupCount < 2) return count;
    const first = Math.floor(dice * GROUPS);
    const speakers: number[] = [];
    for (let k = 0; k < GROUPS; k++) {
      const speaker = this.#speaker((first + k) % GROUPS);
      const slot = hasPort(speaker) ? this.#table.find(speaker) : -1;
      if (slot >= 0) speakers.push(slot);
    }
    if (speakers.length < 2) return count;
    const drawn = new Set(picks.slice(0, count));
    let end = count;
    let at = 0;
    for (const slot of speakers) {
      if (end >= wanted && at >= wanted / 2) break;
      if (slot === except || drawn.has(slot) || (leechesOnly && this.#table.isSeed(slot))) continue;
      if (end < wanted) picks[end++] = slot;
      else picks[at++] = slot;
      drawn.add(slot);
    }
    return end;
  }

  #speaker(group: number): Buffer {
    const { recordBytes } = this.#table;
    return this.#addresses.subarray(group * recordBytes, (group + 1) * recordBytes);
  }
}

/** Of a compact address. */
function hasPort(compact: Buffer): boolean {
  return compact.readUInt16BE(compact.length - 2) !== 0;
}
