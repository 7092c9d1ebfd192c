/**
 * All that this process changes, one group after the other. Invariant: what a caller was told is so. A group whose
 * COMMIT was not answered is neither told done nor failed while there is time to find out; who had to be told that
 * nobody knows can ask `settled`, which waits until it is known for good.
 *
 * Each group takes a turn, a number in this process's own row of `writers`, as the last thing before COMMIT. So a
 * transaction that was not answered holds the lock of that row while it hangs somewhere: who has got the lock knows
 * whether the group came true, and that nothing comes later.
 */
import { randomUUID } from 'node:crypto';
import { HaulError } from '../../../errors.js';
import type { ArtifactRow } from '../port.js';
import type { Verdict } from '../writer.js';
import { Company } from './company.js';
import type { Connections, Run } from './connections.js';
import { applyGroup, type GroupChange, type GroupResult } from './group.js';
import { sql } from './migrations.js';
import { Again, OutcomeUnknown } from './pg-errors.js';
import { numberOf } from './row-text.js';

/** Changes in one transaction. */
const GROUP_CHANGES = 1000;
/** What holds the sums of processes that are gone. */
const BASE_ID = '00000000-0000-0000-0000-000000000000';
/** A process that wrote nothing for so long is added to that one; it gets another row when it writes again. */
const SILENT = "interval '1 day'";

interface Change extends GroupChange {
  readonly isDurable: boolean;
  resolve(outcome: never): void;
  reject(error: unknown): void;
}

export interface ChangeRules {
  /** The blob that the row may name when this is done. */
  readonly sha256: string | null;
  readonly lease: string | null;
  /** Resolves when it is synced. */
  readonly isDurable: boolean;
}

/** The last group's transaction, while nobody knows what became of it. */
interface Unsettled {
  readonly turn: number;
  readonly changes: readonly Change[];
  readonly result: GroupResult;
}

export class PgWriter {
  /** Of this process; the holder of its leases. */
  readonly holder: string = randomUUID();
  readonly #connections: Connections;
  readonly #company = new Company<Change>(GROUP_CHANGES, (changes) => this.#writeGroup(changes));
  /** Its row of `writers`; null: it has none. */
  #row: { readonly id: string; turn: number } | null = null;
  #unsettled: Unsettled | null = null;
  #isClosed = false;

  constructor(connections: Connections) {
    this.#connections = connections;
  }

  change<T>(name: string, rules: ChangeRules, decide: (row: ArtifactRow | null) => Verdict<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) reject(new HaulError('CLOSED', 'the catalogue is closed'));
      else this.#company.add({ name, ...rules, decide, resolve, reject });
    });
  }

  /** Nothing is taken any more; what waits is written. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#company.idle();
    const { id } = this.#row ?? {};
    if (id !== undefined && this.#unsettled === null) await this.#fold(id).catch(() => {});
  }

  /** Processes that are gone leave their sums to one row. */
  async foldSilent(): Promise<void> {
    await this.#fold(null);
  }

  async #fold(id: string | null): Promise<void> {
    const which = id === null ? `id <> '${BASE_ID}' and seen < now() - ${SILENT}` : 'id = $1';
    const text = `
      with silent as (select id from haul.writers where ${which} for update skip locked),
      gone as (delete from haul.writers where id in (select id from silent) returning names, blobs, blob_bytes)
      insert into haul.writers (id, turn, seen, names, blobs, blob_bytes)
      select '${BASE_ID}', 0, now(), coalesce(sum(names), 0), coalesce(sum(blobs), 0), coalesce(sum(blob_bytes), 0)
        from gone
      on conflict (id) do update set seen = excluded.seen, names = writers.names + excluded.names,
        blobs = writers.blobs + excluded.blobs, blob_bytes = writers.blob_bytes + excluded.blob_bytes`;
    await this.#connections.transaction({ isDurable: true }, (run) => run(this.#sql(text), id === null ? [] : [id]));
  }

  /** Never rejects: each change is told. */
  async #writeGroup(changes: readonly Change[]): Promise<void> {
    const untilMs = performance.now() + this.#connections.tryMs;
    try {
      const { outcomes } = await this.#connections.trying('write', () => this.#attempt(changes), untilMs);
      for (const [index, change] of changes.entries()) {
        const told = outcomes[index]!;
        if ('error' in told) change.reject(told.error);
        else change.resolve(told.outcome as never);
      }
    } catch (error) {
      for (const change of changes) change.reject(error);
    }
  }

  async #attempt(changes: readonly Change[]): Promise<GroupResult> {
    const { schema } = this.#connections;
    // Of the group before, which was told that nobody knows, or of this one.
    const done = await this.#settle();
    if (done !== null && done.changes === changes) return done.result;
    const row = this.#row ?? (await this.#register());
    this.#row = row;
    const writer = { id: row.id, holder: this.holder, turn: row.turn + 1 };
    const isDurable = changes.some((change) => change.isDurable);
    let result: GroupResult | null = null;
    try {
      result = await this.#connections.transaction({ isDurable }, async (run) => {
        result = await applyGroup(run, schema, changes, writer);
        return result;
      });
      if (result.hasWritten) row.turn++;
      return result;
    } catch (error) {
      if (error instanceof OutcomeUnknown && result !== null && (result as GroupResult).hasWritten)
        this.#unsettled = { turn: writer.turn, result, changes };
      else if (error instanceof Again) await this.#lookForRow(row);
      throw error;
    }
  }

  /** Finds out what became of the transaction that was not answered. @returns it, if it came true */
  async #settle(): Promise<Unsettled | null> {
    const open = this.#unsettled;
    const row = this.#row;
    if (open === null || row === null) return null;
    const turn = await this.#connections.transaction({ isDurable: false }, (run) => this.#turnOf(run, row.id));
    this.#unsettled = null;
    if (turn !== open.turn) return null;
    row.turn = turn;
    return open;
  }

  /** Under its lock: whoever had it is over. NaN: it is not there. */
  async #turnOf(run: Run, id: string): Promise<number> {
    const { rows } = await run(this.#sql('select turn from haul.writers where id = $1 for update'), [id]);
    return numberOf(rows[0]?.[0]);
  }

  async #register(): Promise<{ readonly id: string; turn: number }> {
    const row = { id: randomUUID(), turn: 0 };
    const text = `insert into haul.writers (id, turn, seen, names, blobs, blob_bytes) values ($1, 0, now(), 0, 0, 0)`;
    await this.#connections.transaction({ isDurable: true }, (run) => run(this.#sql(text), [row.id]));
    return row;
  }

  /** Our row may have been given away: the next try makes another one. */
  async #lookForRow(row: { readonly id: string; turn: number }): Promise<void> {
    const turn = await this.#connections.transaction({ isDurable: false }, (run) => this.#turnOf(run, row.id));
    if (Number.isNaN(turn)) this.#row = null;
    else row.turn = turn;
  }

  #sql(text: string): string {
    return sql(text, this.#connections.schema);
  }
}
