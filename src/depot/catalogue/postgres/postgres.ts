/**
 * The catalogue in PostgreSQL, which several depots share. Reads are single statements; changes go through one writer
 * of this process (`pg-writer.ts`), what no two depots may do at once through leases. `migrations.ts` has the tables.
 */
import { randomBytes } from 'node:crypto';
import { HaulError } from '../../../errors.js';
import { Locks } from '../../locks.js';
import { decodeCounts } from '../counts.js';
import type {
  ArtifactRow,
  BlobLock,
  Catalogue,
  CatalogueCounts,
  HouseTask,
  ListPage,
  ListQuery,
  MarkQuery,
  NoteMark,
  PutOutcome,
  PutRules,
  RowFacts,
} from '../port.js';
import { checkRow, decidePut, holdsFor, isNotedAs, isWellFormed, marksOf } from '../row.js';
import { auditPostgres } from './audit.js';
import { Lookup } from './company.js';
import type { Connections, Row } from './connections.js';
import { Leases, type LeaseTimes } from './leases.js';
import { SUMS, sql } from './migrations.js';
import { PgNoteMarks } from './note-marks.js';
import { PgWriter } from './pg-writer.js';
import { bytesOf, COLUMNS, numberOf, rowOfText } from './row-text.js';

const ROWS_MAX = 1000;
const ID_BYTES = 16;
const LOOKUP_MAX = 500;
/** Behind all times that a row has. */
const NEVER_MS = Number.MAX_SAFE_INTEGER;

export interface PostgresOptions {
  /** Told of each damaged row that house-keeping left out. */
  readonly onDamaged?: (error: HaulError) => void;
  readonly leaseTimes?: LeaseTimes;
}

export class PostgresCatalogue implements Catalogue {
  readonly isShared = true;
  readonly connections: Connections;
  readonly #writer: PgWriter;
  readonly #leases: Leases;
  readonly #marks: PgNoteMarks;
  readonly #locks = new Locks();
  readonly #turns = new Set<HouseTask>();
  readonly #onDamaged: (error: HaulError) => void;
  readonly #rows: Lookup<Row>;
  readonly #named: Lookup<Row>;
  #closing: Promise<void> | null = null;

  /** @param connections to tables that are there and of our version */
  constructor(connections: Connections, options: PostgresOptions = {}) {
    this.connections = connections;
    this.#onDamaged = options.onDamaged ?? (() => {});
    this.#writer = new PgWriter(connections);
    this.#marks = new PgNoteMarks(connections);
    this.#leases = new Leases(connections, this.#writer.holder, options.leaseTimes);
    this.#rows = new Lookup(LOOKUP_MAX, async (names) => {
      const text = `select ${COLUMNS} from haul.artifacts where name = any($1::bytea[])`;
      const rows = await this.#read(text, [names.map((name) => Buffer.from(name))]);
      return new Map(rows.map((row) => [bytesOf(row[0]).toString('utf8'), row]));
    });
    this.#named = new Lookup(LOOKUP_MAX, async (digests) => {
      const text = 'select sha256, names from haul.blobs where sha256 = any($1::bytea[])';
      const rows = await this.#read(text, [digests.map((sha256) => Buffer.from(sha256, 'hex'))]);
      return new Map(rows.map((row) => [bytesOf(row[0]).toString('hex'), row]));
    });
  }

  /** Of this process, as its leases name it. */
  get holder(): string {
    return this.#writer.holder;
  }

  /** Locks and turns of this process, for those who look which depots run. */
  get leases(): Leases {
    return this.#leases;
  }

  async get(name: string): Promise<ArtifactRow | null> {
    this.#check();
    if (!isWellFormed(name)) return null;
    const row = await this.#rows.find(name);
    return row === null ? null : rowOfText(row);
  }

  async put(row: ArtifactRow, rules: PutRules): Promise<PutOutcome> {
    checkRow(row);
    const key = leaseOf(row.sha256);
    const lease = this.#leases.has(key) ? key : null;
    return this.#writer.change(row.name, { sha256: row.sha256, lease, isDurable: true }, (old) => {
      const { outcome, stored } = decidePut(old, row, rules);
      if (stored === null) return { next: undefined, outcome };
      return { next: stored, outcome, marks: marksOf(old, stored, rules.mark, isNotedAs(row, stored, rules)) };
    });
  }

  async remove(name: string, onlyIf?: RowFacts, mark?: string): Promise<ArtifactRow | null> {
    if (!isWellFormed(name)) return null;
    return this.#writer.change(name, DURABLE, (row) =>
      row === null || !holdsFor(row, onlyIf)
        ? { next: undefined, outcome: null }
        : { next: null, outcome: row, marks: marksOf(row, null, mark) },
    );
  }

  async pin(name: string, isPinned: boolean, mark?: string): Promise<ArtifactRow | null> {
    if (!isWellFormed(name)) return null;
    return this.#writer.change(name, DURABLE, (row) => {
      if (row === null || row.isPinned === isPinned) return { next: undefined, outcome: row };
      const next = { ...row, isPinned };
      return { next, outcome: next, marks: marksOf(row, next, mark, false) };
    });
  }

  async marks(query: MarkQuery): Promise<readonly NoteMark[]> {
    this.#check();
    return this.#marks.find({ ...query, limit: Math.min(ROWS_MAX, Math.max(1, query.limit)) });
  }

  async unmark(marks: readonly NoteMark[]): Promise<void> {
    this.#check();
    await Promise.all(marks.map((mark) => this.#marks.remove(mark)));
  }

  async touch(used: ReadonlyMap<string, number>): Promise<void> {
    const changes = [...used].filter(([name, usedMs]) => isWellFormed(name) && Number.isSafeInteger(usedMs));
    const done = changes.map(([name, usedMs]) =>
      this.#writer.change(name, { ...DURABLE, isDurable: false }, (row) => ({
        next: row !== null && row.usedMs < usedMs ? { ...row, usedMs } : undefined,
        outcome: undefined,
      })),
    );
    const failures = (await Promise.allSettled(done)).filter((settled) => settled.status === 'rejected');
    // A damaged row among many is for those to find who want it.
    const failure = failures.find(({ reason }) => !(HaulError.is(reason) && reason.code === 'BAD_DATA'));
    if (failure !== undefined) throw failure.reason;
  }

  async settled(name: string): Promise<ArtifactRow | null> {
    if (!isWellFormed(name)) return null;
    return this.#writer.change(name, DURABLE, (row) => ({ next: undefined, outcome: row }));
  }

  async list({ prefix, cursor, limit }: ListQuery): Promise<ListPage> {
    if (cursor !== null && !isWellFormed(cursor))
      throw new HaulError('BAD_ARGUMENT', 'the cursor is none', { option: 'cursor' });
    this.#check();
    if (!isWellFormed(prefix)) return { rows: [], cursor: null };
    const wanted = Math.min(ROWS_MAX, Math.max(1, Math.floor(limit) || 1));
    const begin = Buffer.from(prefix);
    const behind = cursor === null ? null : Buffer.from(cursor);
    const isBehind = behind !== null && Buffer.compare(behind, begin) >= 0;
    const end = endOf(begin);
    const text = `select ${COLUMNS} from haul.artifacts where name ${isBehind ? '>' : '>='} $1 ${
      end === null ? '' : 'and name < $3'
    } order by name limit $2`;
    const found = await this.#read(text, [isBehind ? behind : begin, wanted + 1, ...(end === null ? [] : [end])]);
    const rows = found.slice(0, wanted).map(rowOfText);
    return { rows, cursor: found.length > wanted ? rows[wanted - 1]!.name : null };
  }

  async isNamed(sha256: string): Promise<boolean> {
    this.#check();
    if (!/^[0-9a-f]{64}$/.test(sha256)) return false;
    const row = await this.#named.find(sha256);
    if (row === null) return false;
    const names = numberOf(row[1]);
    if (names > 0) return true;
    const message = `what the catalogue knows of the blob ${sha256} is damaged; see: haul depot rebuild`;
    throw new HaulError('BAD_DATA', message, { sha256 });
  }

  async byInfoHash(infoHash: string): Promise<ArtifactRow | null> {
    this.#check();
    if (!/^[0-9a-f]{40}$/.test(infoHash)) return null;
    const text = `select ${COLUMNS} from haul.artifacts where info_hash = $1 order by name limit 1`;
    const [row] = await this.#read(text, [Buffer.from(infoHash, 'hex')]);
    return row === undefined ? null : rowOfText(row);
  }

  async *infoHashes(): AsyncGenerator<string> {
    let last: Buffer = Buffer.alloc(0);
    for (;;) {
      this.#check();
      const text = `select distinct info_hash from haul.artifacts where info_hash > $1 order by info_hash limit $2`;
      const rows = await this.#read(text, [last, ROWS_MAX]);
      for (const [infoHash] of rows) {
        last = bytesOf(infoHash);
        if (last.length === 20) yield last.toString('hex');
      }
      if (rows.length < ROWS_MAX) return;
    }
  }

  async expiring(nowMs: number, limit: number, after: ArtifactRow | null = null): Promise<readonly ArtifactRow[]> {
    // One that never goes by age is behind all that do.
    const place = after === null ? [] : [after.expiresMs ?? NEVER_MS, Buffer.from(after.name)];
    const bound = nowMs > NEVER_MS ? '9223372036854775807' : String(Math.max(0, Math.ceil(nowMs)));
    return this.#rowsOf('expires_ms', `expires_ms is not null and expires_ms < ${bound}`, limit, place);
  }

  async leastUsed(limit: number, after: ArtifactRow | null = null): Promise<readonly ArtifactRow[]> {
    const place = after === null ? [] : [after.usedMs, Buffer.from(after.name)];
    return this.#rowsOf('used_ms', 'true', limit, place);
  }

  async counts(): Promise<CatalogueCounts> {
    this.#check();
    const [sums] = await this.#read(SUMS, []);
    return decodeCounts(sums!.join(' '));
  }

  async locked<T>(sha256: string, body: (lock: BlobLock) => Promise<T>): Promise<T> {
    const key = leaseOf(sha256);
    const leases = this.#leases;
    return this.#locks.run(sha256, async () => {
      this.#check();
      await leases.wait(key, `the blob ${sha256}`);
      try {
        return await body({ isSure: () => leases.isSure(key) });
      } finally {
        // Others look again soon: nobody here waits for that.
        void leases.release(key);
      }
    });
  }

  async turn<T>(task: HouseTask, body: () => Promise<T>): Promise<T | null> {
    this.#check();
    const key = `turn:${task}`;
    if (this.#turns.has(task)) return null;
    this.#turns.add(task);
    try {
      if (!(await this.#leases.take(key))) return null;
      return await body();
    } finally {
      this.#turns.delete(task);
      await this.#leases.release(key);
    }
  }

  secret(ours: Uint8Array): Promise<Uint8Array> {
    return this.#kept('secret', ours);
  }

  async id(): Promise<string> {
    return (await this.#kept('id', randomBytes(ID_BYTES))).toString('hex');
  }

  /** What the first one brought. Durable when it resolves. */
  async #kept(column: 'secret' | 'id', ours: Uint8Array): Promise<Buffer> {
    this.#check();
    const { connections } = this;
    const { schema, shown: where } = connections;
    const text = sql(`update haul.depot set ${column} = coalesce(${column}, $1) returning ${column}`, schema);
    const { rows } = await connections.trying('open', () =>
      connections.transaction({ isDurable: true }, (run) => run(text, [Buffer.from(ours)])),
    );
    const kept = bytesOf(rows[0]?.[0]);
    if (kept.length === ours.length) return kept;
    const message = `the catalogue ${where} is damaged: its ${column} has ${kept.length} bytes; set it to null`;
    throw new HaulError('BAD_DATA', message, { where });
  }

  /** What does not agree in all that is kept, one line each; for tests and checks: it reads everything. */
  audit(): Promise<string[]> {
    return auditPostgres(this.connections);
  }

  /** Sums of processes that are gone are put together. */
  tidy(): Promise<void> {
    return this.#writer.foldSilent();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#writer.close();
    this.connections.hurry();
    await Promise.all([this.#leases.close(), this.#marks.idle()]);
    await this.connections.close();
  }

  #check(): void {
    if (this.#closing !== null) throw new HaulError('CLOSED', 'the catalogue is closed');
  }

  async #read(text: string, values: readonly unknown[]): Promise<readonly Row[]> {
    return (await this.connections.read(sql(text, this.connections.schema), values)).rows;
  }

  /** @param limit at most, of rows @param place time and name behind which they are */
  async #rowsOf(
    column: 'expires_ms' | 'used_ms',
    which: string,
    limit: number,
    place: readonly unknown[],
  ): Promise<readonly ArtifactRow[]> {
    this.#check();
    const wanted = Math.min(ROWS_MAX, Math.max(0, Math.floor(limit)));
    if (wanted === 0) return [];
    const behind = place.length === 0 ? '' : `and (${column}, name) > ($2, $3)`;
    const text = `select ${COLUMNS} from haul.artifacts where not is_pinned and ${which} ${behind}
      order by ${column}, name limit $1`;
    const rows = await this.#read(text, [wanted, ...place]);
    return rows.flatMap((row) => {
      try {
        return [rowOfText(row)];
      } catch (error) {
        this.#onDamaged(error as HaulError);
        return [];
      }
    });
  }
}

const DURABLE = { sha256: null, lease: null, isDurable: true } as const;

function leaseOf(sha256: string): string {
  return `blob:${sha256}`;
}

/** The first bytes behind all that begin with these, or null: all are. UTF-8 has no byte 255. */
function endOf(begin: Buffer): Buffer | null {
  if (begin.length === 0) return null;
  const end = Buffer.from(begin);
  end[end.length - 1]!++;
  return end;
}
