/** The numbers that the types of the library name in their comments are those of `config.ts` and of the code. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { PACKAGE_ROOT } from '../../lab/root.js';
import { DEFAULTS, LIMITS } from '../../src/config.js';
import { ZONE_CHARS_MAX, ZONE_PARTS_MAX } from '../../src/net/zone.js';
import { RATE_WINDOW_SECONDS } from '../../src/scheduler/peers/rate.js';
import { BANS_NAMED } from '../../src/torrent/contacts.js';
import { CHUNK_BYTES } from '../../src/torrent/reader.js';

const MIB = 1024 * 1024;
const { first, last } = DEFAULTS.portRange;
const seconds = (ms: number): string => `${ms / 1000} s`;

const CLAIMS: readonly { readonly file: string; readonly says: readonly string[] }[] = [
  {
    file: 'api.ts',
    says: [
      `the first free one of ${first}–${last}.`,
      `as long as they use what they get; default ${DEFAULTS.uploadSlots}.`,
      `bytes; ${LIMITS.memoryBytesMin / MIB} MiB or more.`,
      `Default: ${DEFAULTS.memoryBytes / MIB} MiB, or an eighth of the machine's memory`,
      `all torrents together. Default: ${LIMITS.connectionsPerEngine}, fewer`,
      `Peers of one torrent. Default: ${LIMITS.connectionsPerTorrent}.`,
      `neither gave nor took for ${LIMITS.idlePlaceMs === 60_000 ? 'a minute' : 'another time'}`,
      `Default: ${DEFAULTS.addressesPerTable === 8 ? 'an eighth' : 'another share'} of \`maxConnectionsPerTorrent\``,
      `it is not woken when all are in use. Default: ${DEFAULTS.awakeTorrents}.`,
      `up to ${ZONE_PARTS_MAX} parts of letters, digits, dots, dashes and underscores, ${ZONE_CHARS_MAX} in all`,
      `it is not asked again for ${seconds(LIMITS.wakeRetryMs)}, nor while it has not answered`,
      `within the ${seconds(LIMITS.handshakeTimeoutMs)} of a handshake`,
      `${LIMITS.wakesAtOnce} torrents are woken at once`,
      `a wake that does not end counts for ${seconds(LIMITS.handshakeTimeoutMs + LIMITS.wakeHangMs)}.`,
      `or cannot be had within ${seconds(LIMITS.handshakeTimeoutMs)}.`,
    ],
  },
  {
    file: 'torrent-api.ts',
    says: [
      `Rolling averages over ${RATE_WINDOW_SECONDS} s.`,
      `oldest first, at most ${BANS_NAMED}.`,
      `in pieces of memory of up to ${CHUNK_BYTES / 1024} KiB.`,
    ],
  },
];

for (const { file, says } of CLAIMS) {
  test(`the numbers in ${file} are those of the code`, async () => {
    const text = await readFile(path.join(PACKAGE_ROOT, 'src', file), 'utf8');
    const plain = text.replace(/\n\s*\*? ?/g, ' ').replace(/ +/g, ' ');
    for (const sentence of says) assert.ok(plain.includes(sentence), sentence);
  });
}
