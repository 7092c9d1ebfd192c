/**
 * A catalogue in PostgreSQL opened for a depot: tables made or brought to our version, what must be the same for all
 * depots that share it compared, and clear words where it cannot be used. Invariant: it is not taken for the catalogue
 * of a store before it is known that no blobs are lost with it.
 */
import { HaulError } from '../../../errors.js';
import type { ArtifactRow } from '../port.js';
import { Connections, PATIENCE, type Patience } from './connections.js';
import { loadPg, type Pg } from './driver.js';
import type { LeaseTimes } from './leases.js';
import { isMade, migrate, sql } from './migrations.js';
import { postgresPlace } from './place.js';
import { PostgresCatalogue } from './postgres.js';
import { replaceAll } from './replace-all.js';
import { numberOf } from './row-text.js';

/** What depots that share a catalogue must agree on. */
export interface SharedSettings {
  /** Says which store it is; names in a catalogue point to the blobs of one. */
  readonly store: string;
  /** Shorter blobs have no torrent: the same bytes have the same info-hash wherever they were published. */
  readonly torrentFromBytes: number;
}

export interface OpenOptions {
  readonly onDamaged?: (error: HaulError) => void;
  /** Told of what is no failure, but may become one. */
  readonly onWarning?: (message: string) => void;
  readonly settings: SharedSettings;
  /** Whether there are blobs in the store; asked for once, while the catalogue belongs to no store yet. */
  readonly hasBlobs: () => Promise<boolean>;
  readonly patience?: Patience;
  readonly leaseTimes?: LeaseTimes;
  /** For tests. */
  readonly pg?: Pg;
}

const CLOCK_APART_MS = 2 * 60_000;

/**
 * @param url as `pg` knows it
 * @throws HaulError BAD_ARGUMENT (the URL, or settings that others do not have), NOT_FOUND (no such database, or no
 * package `pg`), NO_PERMISSION, NETWORK, READ_ONLY, BAD_DATA (of a newer version, damaged, or lost beside blobs)
 */
export async function openPostgresCatalogue(url: string, options: OpenOptions): Promise<PostgresCatalogue> {
  const place = postgresPlace(url);
  const connections = new Connections(options.pg ?? (await loadPg()), place, options.patience ?? PATIENCE);
  let catalogue: PostgresCatalogue | null = null;
  try {
    await lookAtServer(connections, options.onWarning ?? (() => {}));
    await migrate(connections);
    catalogue = new PostgresCatalogue(connections, options);
    await join(catalogue, options.settings, options.hasBlobs);
    return catalogue;
  } catch (error) {
    await (catalogue ?? connections).close().catch(() => {});
    throw error;
  }
}

async function lookAtServer(connections: Connections, warn: (message: string) => void): Promise<void> {
  const text = `select current_setting('server_version_num'), current_setting('fsync'),
    current_setting('synchronous_commit'), floor(extract(epoch from clock_timestamp()) * 1000), pg_is_in_recovery(),
    current_setting('server_encoding')`;
  const beforeMs = Date.now();
  const { rows } = await connections.read(text, [], 'open');
  const [version, fsync, commit, serverMs, isStandby] = rows[0]!;
  const { shown } = connections;
  if (numberOf(version) < 120_000)
    throw new HaulError('BAD_ARGUMENT', `the catalogue ${shown}: it needs PostgreSQL 12 or newer`);
  if (isStandby === 't')
    throw new HaulError('READ_ONLY', `open catalogue ${shown}: the server is a standby; name the one that writes`);
  if (commit === 'off') connections.syncAlways();
  if (fsync === 'off') warn(`the server of ${shown} runs with fsync=off: a crash of it may lose what was acknowledged`);
  const apartMs = Math.abs(numberOf(serverMs) - (beforeMs + Date.now()) / 2);
  if (apartMs > CLOCK_APART_MS)
    warn(`the clocks of this machine and of ${shown} are ${Math.round(apartMs / 60_000)} minutes apart`);
}

/** It becomes one of the depots of this catalogue. */
async function join(
  catalogue: PostgresCatalogue,
  settings: SharedSettings,
  hasBlobs: () => Promise<boolean>,
): Promise<void> {
  const { connections, leases } = catalogue;
  const { schema, shown } = connections;
  const { rows } = await connections.read(sql('select settings from haul.depot', schema), [], 'open');
  if (rows[0]?.[0] == null && (await catalogue.counts()).names === 0 && (await hasBlobs())) {
    const message =
      `the catalogue ${shown} is empty, and there are blobs; make it of them with: ` +
      'haul depot rebuild --catalogue, or name the database that has it';
    throw new HaulError('BAD_DATA', message, { where: shown });
  }
  // Before the others are looked for: of two that begin at once the second sees the first.
  await leases.take(`depot:${catalogue.holder}`);
  await connections.trying('open', () =>
    connections.transaction({ isDurable: true }, async (run) => {
      const known = await run(sql('select settings from haul.depot for update', schema));
      const others = await run(
        sql(
          `select note from haul.leases
           where key like 'depot:%' and holder <> $1 and until > clock_timestamp() order by key limit 1`,
          schema,
        ),
        [catalogue.holder],
      );
      checkSettings(parse(known.rows[0]?.[0]), settings, others.rows[0]?.[0] ?? null, shown);
      await run(sql('update haul.depot set settings = $1', schema), [JSON.stringify(settings)]);
      await run(sql(`delete from haul.leases where until < now() - interval '1 hour'`, schema));
    }),
  );
  await catalogue.tidy();
}

/**
 * For a look: nothing is made or changed.
 * @param store the one it must be of; null: whichever
 * @throws HaulError as `openPostgresCatalogue`; NOT_FOUND where there is none
 */
export async function lookIntoPostgres(url: string, store: string | null): Promise<PostgresCatalogue> {
  const place = postgresPlace(url);
  const connections = new Connections(await loadPg(), place);
  try {
    if (!(await isMade(connections)))
      throw new HaulError('NOT_FOUND', `there is no catalogue in ${place.shown}`, { where: place.shown });
    const { rows } = await connections.read(sql('select settings from haul.depot', place.schema), [], 'open');
    checkStore(parse(rows[0]?.[0]).store, store ?? undefined, place.shown);
    return new PostgresCatalogue(connections);
  } catch (error) {
    await connections.close().catch(() => {});
    throw error;
  }
}

/**
 * All rows replaced.
 * @returns the table with the old ones
 * @throws HaulError as `openPostgresCatalogue`; IN_USE: a depot runs with it
 */
export async function rebuildPostgres(
  url: string,
  settings: SharedSettings,
  rows: readonly ArtifactRow[],
): Promise<string> {
  const place = postgresPlace(url);
  const connections = new Connections(await loadPg(), place);
  try {
    await lookAtServer(connections, () => {});
    await migrate(connections);
    const known = await connections.read(sql('select settings from haul.depot', place.schema), [], 'open');
    checkStore(parse(known.rows[0]?.[0]).store, settings.store, place.shown);
    const text = `select note from haul.leases where key like 'depot:%' and until > clock_timestamp() limit 1`;
    const others = await connections.read(sql(text, place.schema), [], 'open');
    if (others.rows.length > 0) {
      const message = `a depot (${others.rows[0]![0]}) runs with the catalogue ${place.shown}: stop it first`;
      throw new HaulError('IN_USE', message, { where: place.shown });
    }
    return await replaceAll(connections, rows, settings);
  } finally {
    await connections.close();
  }
}

function parse(text: string | null | undefined): Partial<SharedSettings> {
  try {
    const value: unknown = JSON.parse(text ?? '{}');
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}

function checkStore(theirs: string | undefined, ours: string | undefined, shown: string): void {
  if (theirs === undefined || ours === undefined || theirs === ours) return;
  const message =
    `the catalogue ${shown} is that of another store, ${JSON.stringify(theirs)}, and not of ${JSON.stringify(ours)}: ` +
    'each needs a database of its own';
  throw new HaulError('BAD_ARGUMENT', message, { option: 'catalogue', setting: 'store' });
}

/** @param other a depot that runs with it now, or null: alone it may change its mind */
function checkSettings(
  known: Partial<SharedSettings>,
  ours: SharedSettings,
  other: string | null,
  shown: string,
): void {
  checkStore(known.store, ours.store, shown);
  const { torrentFromBytes: theirs } = known;
  if (other === null || theirs === undefined || theirs === ours.torrentFromBytes) return;
  const message =
    `another depot (${other}) has the catalogue ${shown}, and they do not agree: ` +
    `artifacts have a torrent from ${theirs} bytes there, and from ${ours.torrentFromBytes} here`;
  throw new HaulError('BAD_ARGUMENT', message, { option: 'torrent-from', setting: 'torrentFromBytes' });
}
