/** Shapes of parameters and answers: requests are checked with them, and OpenAPI shows them. */
import { z } from 'zod';
import { DEPOT_LIMITS } from '../limits.js';
import { DEPOT_HTTP_LIMITS } from './limits.js';

/** A decimal number of a query. */
function whole(min: number, max: number) {
  return z
    .string()
    .regex(/^\d{1,9}$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.int().min(min).max(max));
}

const flag = z.enum(['true', 'false']).transform((value) => value === 'true');
/** `?torrent`, `?torrent=` */
const mark = z.literal('');

export const PUT_QUERY = z.strictObject({
  'retention-days': whole(1, DEPOT_LIMITS.retentionDays)
    .optional()
    .describe('days until the artifact goes; without it the rule of the depot holds'),
  replicas: whole(1, DEPOT_LIMITS.replicas)
    .optional()
    .describe('it goes for want of space only while so many others seed it; of artifacts that have a torrent'),
  p2p: mark
    .optional()
    .describe('the body is a .torrent of the bytes, as this depot would make it; they are then fetched from peers'),
  overwrite: flag.optional().describe('true: another artifact of this name is replaced; needs the scope delete, too'),
});

export const GET_QUERY = z.strictObject({
  torrent: mark.optional().describe('the .torrent of the artifact instead of its bytes'),
  magnet: mark.optional().describe('a magnet link as text'),
  info: mark.optional().describe('what is known of the artifact, as JSON'),
});

export const LIST_QUERY = z.strictObject({
  pattern: z
    .string()
    .max(DEPOT_HTTP_LIMITS.patternCharacters)
    .optional()
    .describe('only names that match below the prefix: `*` and `?` within a part, `**` across parts, `[…]`, `{a,b}`'),
  limit: whole(1, DEPOT_HTTP_LIMITS.listRows).optional().describe('at most so many names'),
  cursor: z.string().max(2048).optional().describe('as the page before gave it'),
  order: z.enum(['name', 'expiring']).optional().describe('expiring: what goes next first, with `next`; no cursor'),
});

/** Of the depot; an agent lists, and has no torrents of folders. */
export const FOLDER_QUERY = LIST_QUERY.extend({
  torrent: mark.optional().describe('the .torrent of all below the prefix, as it is now, instead of a listing'),
  magnet: mark.optional().describe('its magnet link as text'),
  info: mark.optional().describe('what is known of that torrent, as JSON'),
  made: mark.optional().describe('with these: only a torrent that was made before; nothing is hashed for it'),
});

export const NO_QUERY = z.strictObject({});

export const HEX40 = z.string().regex(/^[0-9a-f]{40}$/);
export const HEX64 = z.string().regex(/^[0-9a-f]{64}$/);
export const HEX32 = z.string().regex(/^[0-9a-f]{32}$/);
/** A part of a name, as `names.ts` has it; it may have 255 bytes, which a pattern cannot say. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it leaves out
export const NAME_PART = z.string().regex(/^(?!\.{1,2}$|[A-Za-z]:)[^\x00-\x1f\x7f-\x9f/\\]{1,255}$/u);
const TIME = z.iso.datetime();

export const ARTIFACT = z
  .object({
    name: z.string(),
    sha256: HEX64,
    lengthBytes: z.int().min(0),
    contentType: z.string().nullable(),
    created: TIME,
    expires: TIME.nullable(),
    isPinned: z.boolean(),
    infoHash: HEX40.nullable().describe('null: it is too short to have a torrent'),
    url: z.string(),
    torrentUrl: z.string().nullable(),
    magnet: z.string().nullable(),
  })
  .describe('An artifact: a name and the bytes it points to');

const REMOVAL = z
  .object({
    reason: z.enum(['age', 'idle', 'watermark']),
    at: TIME.nullable().describe('null: when the watermark is reached'),
    obstacle: z.enum(['in use', 'replicas', 'clock']).nullable().describe('what is in its way now'),
  })
  .describe('Why and when it goes by itself');

export const LISTED = ARTIFACT.extend({ next: REMOVAL.optional().describe('where they are asked for in this order') });

export const FOLDER = z
  .object({
    prefix: z.string(),
    infoHash: HEX40,
    files: z.int().min(1),
    lengthBytes: z.int().min(1),
    torrentUrl: z.string(),
    magnet: z.string(),
  })
  .describe('The torrent of all artifacts below a prefix');

export const LISTING = z
  .object({ prefix: z.string(), items: z.array(LISTED), cursor: z.string().nullable() })
  .describe('Names in the order of their bytes; a cursor where there are more');

export const PROBLEM = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int().min(400).max(599),
    detail: z.string(),
    code: z.string(),
  })
  .describe('What went wrong (RFC 9457)');

export const ARRIVAL = z
  .object({
    name: z.string(),
    sha256: HEX64.nullable().describe('as it was announced'),
    lengthBytes: z.int().min(0),
    infoHash: HEX40,
    state: z
      .enum(['receiving', 'resting', 'storing', 'done', 'failed'])
      .describe('resting: nobody gave anything for a while; the same PUT goes on with what came'),
    receivedBytes: z.int().min(0).describe('verified'),
    peers: z.int().min(0),
    url: z.string().describe('where this is told'),
    announceUrl: z.string().describe('tracker: whoever announces there is found by the depot'),
    peerPort: z.int().nullable().describe('where the depot itself takes peers; null: nowhere'),
    artifact: ARTIFACT.nullable().describe('of one that is done'),
    problem: PROBLEM.nullable().describe('of one that has failed; its status is that of a PUT of the bytes'),
  })
  .describe('An artifact on its way from peers');

export const VERSION = z.object({ name: z.literal('swarmhaul'), version: z.string() });

export const READINESS = z.object({
  ready: z.boolean(),
  checks: z.array(z.object({ name: z.string(), ready: z.boolean(), message: z.string() })),
});

const BYTES = z.int().min(0);
const RATE = z.number().min(0).describe('bytes per second');

export const STATUS = z
  .object({
    kind: z.enum(['depot', 'agent']),
    version: z.string(),
    time: TIME,
    stored: z.object({ names: BYTES, blobs: BYTES, blobBytes: BYTES }),
    disk: z.object({
      usedBytes: BYTES.describe('own ones'),
      freeBytes: BYTES.nullable(),
      totalBytes: BYTES.nullable(),
      highBytes: BYTES.nullable().describe('above so many own bytes names go'),
      lowBytes: BYTES.nullable().describe('until so many are left'),
      highShare: z.number().nullable().describe('and above this share of the disk'),
    }),
    requests: BYTES,
    connections: BYTES,
    peers: BYTES,
    downloadBytesPerSec: RATE,
    uploadBytesPerSec: RATE,
    uploadedBytes: BYTES,
    uploads: z.array(
      z.object({
        name: z.string(),
        lengthBytes: BYTES.nullable(),
        receivedBytes: BYTES,
        seconds: z.number().nullable(),
      }),
    ),
    torrents: z.array(
      z.object({
        name: z.string(),
        infoHash: HEX40,
        lengthBytes: BYTES,
        verifiedBytes: BYTES,
        peers: BYTES,
        downloadBytesPerSec: RATE,
        uploadBytesPerSec: RATE,
        uploadedBytes: BYTES,
      }),
    ),
    torrentCount: BYTES,
    next: z.array(
      z.object({
        name: z.string(),
        lengthBytes: BYTES,
        ...REMOVAL.shape,
      }),
    ),
    problems: z.array(z.object({ time: TIME, count: BYTES, status: BYTES, text: z.string() })),
  })
  .describe('Figures of now');

const SHARES = z.array(z.int().min(0).max(100)).describe('of the pieces of each column, per cent');

export const PIECE_MAP = z
  .object({
    name: z.string(),
    infoHash: HEX40,
    pieceCount: BYTES,
    own: SHARES,
    peers: z.array(
      z.object({
        address: z.string(),
        client: z.string(),
        isSeed: z.boolean(),
        downloadBytesPerSec: RATE,
        uploadBytesPerSec: RATE,
        shares: SHARES,
      }),
    ),
    peerCount: BYTES,
  })
  .describe('Who has what of a torrent');

export const SCHEMAS = {
  Artifact: ARTIFACT,
  Listing: LISTING,
  Folder: FOLDER,
  ListingOrFolder: z.union([LISTING, FOLDER]),
  Problem: PROBLEM,
  Arrival: ARRIVAL,
  Version: VERSION,
  Readiness: READINESS,
  Status: STATUS,
  PieceMap: PIECE_MAP,
} as const;
