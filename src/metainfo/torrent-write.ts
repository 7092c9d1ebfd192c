/** Writes .torrent files: the outer dictionary around info bytes that are taken as they are. */
import { HaulError } from '../errors.js';
import { type BencodeInput, encodeBencode, scan } from './bencode.js';

export interface TorrentFields {
  /** The encoded info dictionary, copied byte by byte. */
  readonly infoBytes: Uint8Array;
  /** Tiers of URLs (BEP 12); empty tiers are left out. */
  readonly trackers?: readonly (readonly string[])[];
  /** BEP 19 */
  readonly webSeeds?: readonly string[];
  readonly comment?: string | null;
  readonly createdBy?: string | null;
  /** Seconds since 1970. */
  readonly creationDate?: number | null;
}

/** The bytes of a .torrent (BEP 3), canonical outside `infoBytes`. */
export function encodeTorrent(fields: TorrentFields): Buffer {
  const entries = trackerEntries(fields.trackers ?? []);
  const add = (key: string, value: BencodeInput | null | undefined) => {
    if (value !== null && value !== undefined) entries.push({ key: Buffer.from(key), value: encodeBencode(value) });
  };
  add('comment', fields.comment);
  add('created by', fields.createdBy);
  add('creation date', fields.creationDate);
  entries.push(...webSeedEntries(fields.webSeeds ?? []));
  entries.push({ key: Buffer.from('info'), value: fields.infoBytes });
  return joinEntries(entries);
}

/**
 * The same torrent with other trackers ([] for none): info dictionary and every other entry keep their bytes; what
 * follows the torrent is dropped.
 * @param webSeeds others too, when given (BEP 19)
 * @throws HaulError BAD_BENCODE, BAD_TORRENT
 */
export function withTrackers(
  torrentBytes: Uint8Array,
  trackers: readonly (readonly string[])[],
  webSeeds: readonly string[] | null = null,
): Buffer {
  const scanned = scan(torrentBytes, { requireSortedKeys: false, allowBytesAfter: true });
  if (scanned.span('info') === null) throw new HaulError('BAD_TORRENT', "bad torrent: it has no 'info' dictionary");
  const kept = scanned.entries.map(({ keyBegin, keyEnd, begin, end }) => ({
    key: Buffer.from(torrentBytes.subarray(keyBegin, keyEnd)),
    value: torrentBytes.subarray(begin, end),
  }));
  const replaced = ['announce', 'announce-list', ...(webSeeds === null ? [] : ['url-list'])];
  const others = kept.filter(({ key }) => !replaced.includes(key.toString('latin1')));
  return joinEntries([...others, ...trackerEntries(trackers), ...webSeedEntries(webSeeds ?? [])]);
}

interface Entry {
  readonly key: Buffer;
  /** Encoded. */
  readonly value: Uint8Array;
}

/** One tracker needs no list; old clients read `announce` only, so it is always there. */
function trackerEntries(trackers: readonly (readonly string[])[]): Entry[] {
  const tiers = trackers.filter((tier) => tier.length > 0);
  const first = tiers[0]?.[0];
  if (first === undefined) return [];
  const entries = [{ key: Buffer.from('announce'), value: encodeBencode(first) }];
  if (tiers.length > 1 || tiers[0]!.length > 1) {
    entries.push({ key: Buffer.from('announce-list'), value: encodeBencode(tiers) });
  }
  return entries;
}

function webSeedEntries(urls: readonly string[]): Entry[] {
  if (urls.length === 0) return [];
  return [{ key: Buffer.from('url-list'), value: encodeBencode(urls.length === 1 ? urls[0]! : urls) }];
}

function joinEntries(entries: readonly Entry[]): Buffer {
  const parts: Uint8Array[] = [Buffer.from('d')];
  for (const { key, value } of entries.toSorted((a, b) => Buffer.compare(a.key, b.key))) {
    parts.push(encodeBencode(key), value);
  }
  parts.push(Buffer.from('e'));
  return Buffer.concat(parts);
}
