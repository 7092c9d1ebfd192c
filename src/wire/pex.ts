/**
 * Messages of peer exchange (BEP 11): who has come to the sender's peers and who has left. Pure; every byte of them is
 * hostile.
 *
 *     { added, 'added.f', added6, 'added6.f', dropped, dropped6 }   compact addresses, and one byte of flags for each
 */
import { LIMITS } from '../config.js';
import { HaulError } from '../errors.js';
import { type BencodeDictionary, type BencodeValue, decodeChecked, encodeBencode } from '../metainfo/bencode.js';
import { type Address, COMPACT4_BYTES, COMPACT6_BYTES, ipText, isDialable } from '../net/address.js';
import { inRandomOrder } from '../random.js';

/** It wants nothing: a seed, or whole as far as it wants to be. */
export const PEX_SEED = 0x02;
/** The sender has connected to it, and not it to the sender. */
export const PEX_REACHABLE = 0x10;

/** Real messages have seven values on two levels. */
const SCAN_LIMITS = { depth: 4, tokens: 200, requireSortedKeys: false };

export interface PexPeer {
  readonly address: Address;
  /** `PEX_SEED` and others, as the sender says. */
  readonly flags: number;
}

export interface CompactPeer {
  /** 6 or 18 bytes. */
  readonly compact: Uint8Array;
  readonly flags: number;
}

/** @returns the payload of the message; `LIMITS.pexAddresses` of each kind are the sender's to keep */
export function encodePex(added: readonly CompactPeer[], dropped: readonly Uint8Array[]): Buffer {
  const isV4 = (compact: Uint8Array): boolean => compact.length === COMPACT4_BYTES;
  const four = added.filter(({ compact }) => isV4(compact));
  const six = added.filter(({ compact }) => !isV4(compact));
  const bytesOf = (peers: readonly CompactPeer[]): Buffer => Buffer.concat(peers.map(({ compact }) => compact));
  const flagsOf = (peers: readonly CompactPeer[]): Buffer => Buffer.from(peers.map(({ flags }) => flags));
  return encodeBencode({
    added: bytesOf(four),
    'added.f': flagsOf(four),
    added6: bytesOf(six),
    'added6.f': flagsOf(six),
    dropped: Buffer.concat(dropped.filter(isV4)),
    dropped6: Buffer.concat(dropped.filter((compact) => !isV4(compact))),
  });
}

/**
 * Who has come, at most `limit` at addresses that can be dialled: of more a random sample, for whoever fills the head
 * would hide the rest. Who has left says nothing to us. Null: not of that form.
 * @param random a generator of [0, 1)
 */
export function parsePex(payload: Uint8Array, limit: number, random: () => number): PexPeer[] | null {
  if (payload.length > LIMITS.pexBytes) return null;
  let fields: BencodeValue;
  try {
    fields = decodeChecked(payload, SCAN_LIMITS);
  } catch (error) {
    if (error instanceof HaulError) return null;
    throw error;
  }
  if (!(fields instanceof Map)) return null;
  const four = recordsOf(fields, 'added', COMPACT4_BYTES);
  const six = recordsOf(fields, 'added6', COMPACT6_BYTES);
  const areWhole =
    recordsOf(fields, 'dropped', COMPACT4_BYTES) !== null && recordsOf(fields, 'dropped6', COMPACT6_BYTES) !== null;
  if (four === null || six === null || !areWhole) return null;
  const all = [...four, ...six].filter(({ address }) => isDialable(address));
  if (all.length <= limit) return all;
  const sample: PexPeer[] = [];
  for (const index of inRandomOrder(all.length, random)) {
    if (sample.length >= limit) break;
    sample.push(all[index]!);
  }
  return sample;
}

/** Of a list that is left out: none. Null: not of whole records. Flags that do not match say nothing. */
function recordsOf(fields: BencodeDictionary, key: string, recordBytes: number): PexPeer[] | null {
  const bytes = fields.get(key);
  if (bytes === undefined) return [];
  if (!(bytes instanceof Uint8Array) || bytes.length % recordBytes !== 0) return null;
  const count = bytes.length / recordBytes;
  const said = fields.get(`${key}.f`);
  const flags = said instanceof Uint8Array && said.length === count ? said : null;
  return Array.from({ length: count }, (_, index) => {
    const at = index * recordBytes;
    const portAt = at + recordBytes - 2;
    const port = (bytes[portAt]! << 8) | bytes[portAt + 1]!;
    return { address: { host: ipText(bytes, at, recordBytes - 2), port }, flags: flags?.[index] ?? 0 };
  });
}
