/**
 * What a name points to: asked of the depot, believed for a second, one question at a time for each name; what it said
 * last is taken when it is away.
 */
import type { ArtifactRow } from '../catalogue/port.js';
import type { DepotClient } from './depot-client.js';
import { DepotAway } from './depot-trouble.js';
import { AGENT_LIMITS } from './limits.js';
import type { NamesFile } from './names-file.js';

export interface Resolved {
  readonly row: ArtifactRow;
  /** The depot could not be asked. Seconds since it was; null: it has just said so. */
  readonly staleSeconds: number | null;
}

export interface DirectoryOptions {
  readonly client: DepotClient;
  readonly names: NamesFile;
  readonly wallClockMs: () => number;
  /** Whether the blob is here, so that not much time is spent on asking. */
  readonly isCached: (sha256: string) => boolean;
}

export class Directory {
  readonly #options: DirectoryOptions;
  readonly #asking = new Map<string, Promise<Resolved | null>>();

  constructor(options: DirectoryOptions) {
    this.#options = options;
  }

  /**
   * Null: nothing has the name.
   * @throws DepotAway: and nothing is known of it; DepotLies; Problem: the depot refuses
   */
  async resolve(name: string): Promise<Resolved | null> {
    const { names, wallClockMs } = this.#options;
    const known = names.get(name);
    const ageMs = known === null ? Number.POSITIVE_INFINITY : wallClockMs() - known.checkedMs;
    const isFresh = known?.isOwn === true && ageMs >= 0 && ageMs < AGENT_LIMITS.nameAgeMs;
    if (isFresh) return { row: known.row, staleSeconds: null };
    let asking = this.#asking.get(name);
    if (asking === undefined) {
      const isLatest = (): boolean => this.#asking.get(name) === own;
      const own: Promise<Resolved | null> = this.#ask(name, isLatest).finally(() => {
        if (isLatest()) this.#asking.delete(name);
      });
      asking = own;
      this.#asking.set(name, own);
    }
    return asking;
  }

  /** What was known of it, and what is being asked, is of before: the next one who wants it asks anew. */
  changed(name: string): void {
    this.#asking.delete(name);
    this.#options.names.doubt(name);
  }

  async #ask(name: string, isLatest: () => boolean): Promise<Resolved | null> {
    const { client, names, wallClockMs, isCached } = this.#options;
    const known = names.get(name);
    const isHere = known !== null && isCached(known.row.sha256);
    try {
      const row = await client.resolve(name, isHere ? AGENT_LIMITS.staleAnswerMs : AGENT_LIMITS.answerMs);
      if (isLatest()) names.put(name, row, wallClockMs());
      return row === null ? null : { row, staleSeconds: null };
    } catch (error) {
      if (!(error instanceof DepotAway) || known === null) throw error;
      return { row: known.row, staleSeconds: Math.max(0, Math.round((wallClockMs() - known.checkedMs) / 1000)) };
    }
  }
}
