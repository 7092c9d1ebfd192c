/**
 * Locks that hold between processes: rows with a holder and a time by the server's clock. A holder that lives renews
 * them, so none ends while it is used; one of a process that was killed ends by itself. They cost no connection and
 * need no session.
 *
 * Two things keep a holder that slept past its time from harm. A row that names the blob is written in a transaction
 * that finds the lease still there (`group.ts`). And what cannot be taken back (removing the blob's bytes) is done only
 * while `isSure` says that much of the time is left, measured here from before the lease was asked for.
 */
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { HaulError } from '../../../errors.js';
import { Company } from './company.js';
import type { Connections } from './connections.js';
import { sql } from './migrations.js';

export interface LeaseTimes {
  readonly leaseMs: number;
  readonly renewMs: number;
  /** So much must be left where something is done that cannot be taken back. */
  readonly sureMs: number;
  /** Longer than a lease: what a killed process had comes free meanwhile. */
  readonly waitMs: number;
}

export const LEASE_TIMES: LeaseTimes = { leaseMs: 10_000, renewMs: 2_000, sureMs: 5_000, waitMs: 12_000 };

const GROUP_LEASES = 500;
const AGAIN_FIRST_MS = 10;
const AGAIN_MAX_MS = 250;

interface Held {
  readonly nonce: number;
  /** By `performance.now`. */
  untilMs: number;
}

interface Asked {
  readonly key: string;
  readonly nonce: number;
  resolve(untilMs: number | null): void;
  reject(error: unknown): void;
}

interface Released {
  readonly key: string;
  readonly nonce: number;
  resolve(): void;
}

export class Leases {
  readonly #connections: Connections;
  readonly #holder: string;
  readonly #times: LeaseTimes;
  readonly #held = new Map<string, Held>();
  readonly #asked = new Company<Asked>(GROUP_LEASES, (group) => this.#ask(group));
  readonly #released = new Company<Released>(GROUP_LEASES, (group) => this.#giveBack(group));
  readonly #timer: NodeJS.Timeout;
  #renewing: Promise<void> | null = null;
  /** Of each taking: what is given back late takes nothing from the one who has it then. */
  #nonce = 0;

  constructor(connections: Connections, holder: string, times: LeaseTimes = LEASE_TIMES) {
    this.#connections = connections;
    this.#holder = holder;
    this.#times = times;
    this.#timer = setInterval(() => void this.#renew(), times.renewMs);
    this.#timer.unref();
  }

  /** Whether this process has it, as far as it knows. */
  has(key: string): boolean {
    return this.#held.has(key);
  }

  /** Much of its time is left. */
  isSure(key: string): boolean {
    return (this.#held.get(key)?.untilMs ?? -Infinity) - performance.now() >= this.#times.sureMs;
  }

  /** Null: somebody else has it. Nobody of this process asks for one that another of it has. @throws HaulError */
  async take(key: string): Promise<boolean> {
    const nonce = ++this.#nonce;
    const asked = new Promise<number | null>((resolve, reject) => this.#asked.add({ key, nonce, resolve, reject }));
    const untilMs = await asked;
    if (untilMs === null) return false;
    this.#held.set(key, { nonce, untilMs });
    return true;
  }

  /** Waits for it. @throws HaulError IN_USE */
  async wait(key: string, what: string): Promise<void> {
    const deadlineMs = performance.now() + this.#times.waitMs;
    for (let waitMs = AGAIN_FIRST_MS; !(await this.take(key)); waitMs = Math.min(AGAIN_MAX_MS, 2 * waitMs)) {
      if (performance.now() > deadlineMs)
        throw new HaulError('IN_USE', `another depot is busy with ${what}: try again`, { what });
      await delay(waitMs);
    }
  }

  /** Resolves when others can have it; never rejects. */
  release(key: string): Promise<void> {
    const held = this.#held.get(key);
    if (held === undefined) return Promise.resolve();
    this.#held.delete(key);
    return new Promise((resolve) => this.#released.add({ key, nonce: held.nonce, resolve }));
  }

  /** Gives all back. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#asked.idle();
    await this.#renewing;
    for (const key of [...this.#held.keys()]) void this.release(key);
    await this.#released.idle();
  }

  /** Never rejects. */
  async #ask(group: readonly Asked[]): Promise<void> {
    const fromMs = performance.now();
    const text = `
      insert into haul.leases (key, nonce, holder, until, note)
      select key, nonce, $3::uuid, clock_timestamp() + make_interval(secs => $4), $5
        from unnest($1::text[], $2::bigint[]) as k (key, nonce) order by key
      on conflict (key) do update
        set nonce = excluded.nonce, holder = excluded.holder, until = excluded.until, note = excluded.note
        where leases.holder = excluded.holder or leases.until < clock_timestamp()
      returning key`;
    try {
      const [keys, nonces] = [group.map(({ key }) => key), group.map(({ nonce }) => nonce)];
      const values = [keys, nonces, this.#holder, this.#times.leaseMs / 1000, noteOfUs()];
      const { rows } = await this.#connections.read(this.#sql(text), values, 'write');
      const taken = new Set(rows.map(([key]) => key));
      for (const { key, resolve } of group) resolve(taken.has(key) ? fromMs + this.#times.leaseMs : null);
    } catch (error) {
      for (const { reject } of group) reject(error);
    }
  }

  /** Never rejects: those that are not given back end by themselves. */
  async #giveBack(group: readonly Released[]): Promise<void> {
    const text = `
      delete from haul.leases where holder = $3
        and (key, nonce) in (select * from unnest($1::text[], $2::bigint[]))`;
    const values = [group.map(({ key }) => key), group.map(({ nonce }) => nonce), this.#holder];
    await this.#connections.read(this.#sql(text), values, 'write').catch(() => {});
    for (const { resolve } of group) resolve();
  }

  /** Never rejects. */
  #renew(): Promise<void> {
    if (this.#held.size === 0) return Promise.resolve();
    this.#renewing ??= this.#renewAll().finally(() => {
      this.#renewing = null;
    });
    return this.#renewing;
  }

  async #renewAll(): Promise<void> {
    const fromMs = performance.now();
    const keys = [...this.#held.keys()];
    const text = `
      update haul.leases set until = clock_timestamp() + make_interval(secs => $3)
      where key in (select key from haul.leases where key = any($1::text[]) and holder = $2 order by key for update)
      returning key`;
    try {
      const values = [keys, this.#holder, this.#times.leaseMs / 1000];
      const { rows } = await this.#connections.read(this.#sql(text), values, 'write');
      const renewed = new Set(rows.map(([key]) => key));
      for (const key of keys) {
        const held = this.#held.get(key);
        if (held === undefined) continue;
        // Another depot has it now: whoever works under it finds out before harm is done.
        held.untilMs = renewed.has(key) ? fromMs + this.#times.leaseMs : -Infinity;
      }
    } catch {
      // Time goes on, and `isSure` with it.
    }
  }

  #sql(text: string): string {
    return sql(text, this.#connections.schema);
  }
}

function noteOfUs(): string {
  return `${hostname()}, process ${process.pid}`;
}
