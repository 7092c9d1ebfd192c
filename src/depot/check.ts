/**
 * Whether a depot's folder is as it must be: every blob is read and hashed, rows and blobs are held against each other,
 * and both against what lies beside the blobs. With a store that is only read it changes nothing; with another one a
 * damaged blob is not delivered any more. Publishing the same bytes again mends it. No depot runs on the folder
 * meanwhile.
 */
import { HaulError } from '../errors.js';
import { forEachConcurrently } from '../storage/concurrently.js';
import type { ArtifactRow, Catalogue } from './catalogue/port.js';
import { rowFromJson } from './catalogue/row.js';
import { isUnreadable } from './store/codes.js';
import type { BlobStat, BlobStore } from './store/port.js';

/** Blobs hashed at once: the store shares them among its threads. */
const BLOBS_AT_ONCE = 4;
const PAGE_ROWS = 1000;
/** Findings that are told in full; all are counted. */
const FINDINGS_MAX = 1000;

export type FindingKind =
  /** The bytes are not those that the blob is called after, or cannot be read. */
  | 'damaged'
  /** A row names it, and it is not there. */
  | 'missing'
  /** No row names it; the depot sweeps it when it starts. */
  | 'unnamed'
  /** What lies beside the blob does not say what the catalogue says: a rebuild would not give the same. */
  | 'sidecar'
  /** The catalogue does not agree with itself, or a row is damaged. */
  | 'catalogue';

export interface Finding {
  readonly kind: FindingKind;
  /** Null where it is about none. */
  readonly sha256: string | null;
  readonly name: string | null;
  readonly message: string;
}

export interface CheckProgress {
  readonly hashedBytes: number;
  readonly totalBytes: number;
  readonly blobs: number;
  readonly totalBlobs: number;
}

export interface CheckReport {
  readonly isGood: boolean;
  readonly names: number;
  readonly blobs: number;
  readonly lengthBytes: number;
  readonly counts: Readonly<Record<FindingKind, number>>;
  /** The first 1000. */
  readonly findings: readonly Finding[];
}

export interface CheckOptions {
  readonly store: BlobStore;
  readonly catalogue: Pick<Catalogue, 'list'> & { audit(): Promise<string[]> };
  readonly onProgress?: (progress: CheckProgress) => void;
  readonly signal?: AbortSignal | undefined;
}

/** @throws HaulError ABORTED, and those of the disk */
export async function checkDepot(options: CheckOptions): Promise<CheckReport> {
  const check = new Check(options);
  await check.catalogue();
  await check.blobs();
  check.missing();
  return check.report();
}

class Check {
  readonly #options: CheckOptions;
  readonly #rows = new Map<string, ArtifactRow[]>();
  readonly #counts: Record<FindingKind, number> = { damaged: 0, missing: 0, unnamed: 0, sidecar: 0, catalogue: 0 };
  readonly #findings: Finding[] = [];
  #names = 0;
  #blobs = 0;
  #lengthBytes = 0;
  /** All rows could be read: what has no row is unnamed. */
  #isWhole = true;

  constructor(options: CheckOptions) {
    this.#options = options;
  }

  async catalogue(): Promise<void> {
    const { catalogue } = this.#options;
    for (const fault of await catalogue.audit()) this.#find('catalogue', fault);
    let cursor: string | null = null;
    do {
      this.#throwIfStopped();
      try {
        const page = await catalogue.list({ prefix: '', cursor, limit: PAGE_ROWS });
        for (const row of page.rows) this.#addRow(row);
        cursor = page.cursor;
      } catch (error) {
        if (!HaulError.is(error) || error.code !== 'BAD_DATA') throw error;
        // The audit named it.
        this.#isWhole = false;
        cursor = null;
      }
    } while (cursor !== null);
  }

  async blobs(): Promise<void> {
    const { store, onProgress } = this.#options;
    const all: BlobStat[] = [];
    for await (const blob of store.list()) all.push(blob);
    const totalBytes = all.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
    let hashedBytes = 0;
    const tell = () => onProgress?.({ hashedBytes, totalBytes, blobs: this.#blobs, totalBlobs: all.length });
    await forEachConcurrently(all, BLOBS_AT_ONCE, async (blob) => {
      this.#throwIfStopped();
      await this.#checkBlob(blob, (lengthBytes) => {
        hashedBytes += lengthBytes;
        tell();
      });
      this.#blobs++;
      this.#lengthBytes += blob.lengthBytes;
      tell();
    });
  }

  missing(): void {
    for (const [sha256, rows] of this.#rows) {
      for (const { name } of rows) this.#find('missing', `${name}: its blob ${sha256} is not there`, sha256, name);
    }
  }

  report(): CheckReport {
    const isGood = Object.values(this.#counts).every((count) => count === 0);
    return {
      isGood,
      names: this.#names,
      blobs: this.#blobs,
      lengthBytes: this.#lengthBytes,
      counts: this.#counts,
      findings: this.#findings,
    };
  }

  #addRow(row: ArtifactRow): void {
    this.#names++;
    const rows = this.#rows.get(row.sha256);
    if (rows === undefined) this.#rows.set(row.sha256, [row]);
    else rows.push(row);
  }

  async #checkBlob({ sha256, lengthBytes }: BlobStat, onHashed: (lengthBytes: number) => void): Promise<void> {
    const { store, signal } = this.#options;
    const rows = this.#rows.get(sha256) ?? [];
    this.#rows.delete(sha256);
    const fault = await faultOf(store.verify(sha256, { onHashed, signal }));
    if (fault !== null) {
      const names = rows.map(({ name }) => name).join(', ');
      const message = `the blob ${sha256} ${fault}${names === '' ? '' : `: ${names}`}`;
      this.#find('damaged', message, sha256, rows[0]?.name ?? null);
      return;
    }
    if (rows.length === 0 && this.#isWhole) this.#find('unnamed', `no row names the blob ${sha256}`, sha256);
    for (const row of rows) {
      if (row.lengthBytes === lengthBytes) continue;
      const message = `${row.name}: its blob has ${lengthBytes} bytes, not ${row.lengthBytes}`;
      this.#find('catalogue', message, sha256, row.name);
    }
    await this.#checkSidecar(sha256, rows);
  }

  async #checkSidecar(sha256: string, rows: readonly ArtifactRow[]): Promise<void> {
    const sidecar = await this.#options.store.sidecar(sha256).catch((error: unknown) => {
      if (!isUnreadable(error)) throw error;
      this.#find('sidecar', error.message, sha256, rows[0]?.name ?? null);
      return null;
    });
    if (sidecar === null) return;
    const names = new Set(rows.map(({ name }) => name));
    for (const row of rows) {
      const text = sidecar.names.get(row.name);
      const why = text === undefined ? 'does not know the name' : whyOther(text, row);
      if (why !== null) this.#find('sidecar', `what lies beside ${row.name} ${why}`, sha256, row.name);
    }
    if (!this.#isWhole) return;
    for (const name of sidecar.names.keys()) {
      if (names.has(name)) continue;
      this.#find('sidecar', `beside the blob ${sha256} there is ${name}, and no such row`, sha256, name);
    }
  }

  #find(kind: FindingKind, message: string, sha256: string | null = null, name: string | null = null): void {
    this.#counts[kind]++;
    if (this.#findings.length < FINDINGS_MAX) this.#findings.push({ kind, sha256, name, message });
  }

  #throwIfStopped(): void {
    if (this.#options.signal?.aborted === true) throw new HaulError('ABORTED', 'the check was stopped');
  }
}

/** Null: it is good. @throws what is not about this blob alone */
async function faultOf(verified: Promise<boolean>): Promise<string | null> {
  try {
    return (await verified) ? null : 'is damaged';
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    return `cannot be read (${error.message})`;
  }
}

/** When it was used last is not kept there. */
function whyOther(text: string, row: ArtifactRow): string | null {
  const beside = rowFromJson(text);
  if (typeof beside === 'string') return `cannot be read: ${beside}`;
  for (const field of [
    'sha256',
    'lengthBytes',
    'infoHash',
    'createdMs',
    'expiresMs',
    'isPinned',
    'replicas',
  ] as const) {
    if (beside[field] !== row[field]) return `says ${field} ${beside[field]}, and the row ${row[field]}`;
  }
  return null;
}
