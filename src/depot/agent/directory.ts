/**
 * What a name points to: asked of the depot, believed for a second, one question at a time for each name; what it said
 * last is taken when it is away. Who wants the bytes gets them with the answer where the depot can do that: one way
 * there and back less.
 */
import type { ArtifactRow } from '../catalogue/port.js';
import type { DepotPort, OpenedBytes } from './depot-port.js';
import { DepotAway } from './depot-trouble.js';
import { AGENT_LIMITS } from './limits.js';
import type { NamesFile } from './names-file.js';

export interface Resolved {
  readonly row: ArtifactRow;
  /** The depot could not be asked. Seconds since it was; null: it has just said so. */
  readonly staleSeconds: number | null;
  /** Its bytes, from first to last, which came with the answer. Whoever may have one drops it in the end. */
  readonly offer?: Offer;
}

/** For the first who takes it. */
export class Offer {
  #opened: OpenedBytes | null;

  constructor(opened: OpenedBytes) {
    this.#opened = opened;
  }

  /** Null: it is gone. */
  take(): OpenedBytes | null {
    const opened = this.#opened;
    this.#opened = null;
    return opened;
  }

  drop(): void {
    this.take()?.body.destroy();
  }
}

export interface DirectoryOptions {
  readonly client: DepotPort;
  readonly names: NamesFile;
  readonly wallClockMs: () => number;
  /** Whether the blob is here, so that not much time is spent on asking; or a part of it. */
  readonly held: (sha256: string) => 'whole' | 'part' | null;
}

export class Directory {
  readonly #options: DirectoryOptions;
  readonly #asking = new Map<string, Promise<Resolved | null>>();

  constructor(options: DirectoryOptions) {
    this.#options = options;
  }

  /**
   * Null: nothing has the name.
   * @param wants 'bytes': perhaps with an offer
   * @throws DepotAway: and nothing is known of it; DepotLies; Problem: the depot refuses
   */
  async resolve(name: string, wants: 'row' | 'bytes' = 'row'): Promise<Resolved | null> {
    const { names, wallClockMs } = this.#options;
    const known = names.get(name);
    const ageMs = known === null ? Number.POSITIVE_INFINITY : wallClockMs() - known.checkedMs;
    const isFresh = known?.isOwn === true && ageMs >= 0 && ageMs < AGENT_LIMITS.nameAgeMs;
    if (isFresh) return { row: known.row, staleSeconds: null };
    let asking = this.#asking.get(name);
    if (asking === undefined) {
      const isLatest = (): boolean => this.#asking.get(name) === own;
      const own: Promise<Resolved | null> = this.#ask(name, wants, isLatest).finally(() => {
        if (isLatest()) this.#asking.delete(name);
      });
      asking = own;
      this.#asking.set(name, own);
    }
    return asking;
  }

  /**
   * Of the names that begin so, and of which all bytes are here, the one that was made last as far as is known: for
   * when the depot is away.
   */
  newestHere(prefix: string): ArtifactRow | null {
    const { names, held } = this.#options;
    let latest: ArtifactRow | null = null;
    for (const row of names.below(prefix))
      if ((latest === null || row.createdMs >= latest.createdMs) && held(row.sha256) === 'whole') latest = row;
    return latest;
  }

  /**
   * What was known of it, and what is being asked, is of before: the next one who wants it asks anew.
   * @param row what the depot has made of it, for when it is away
   */
  changed(name: string, row: ArtifactRow | null = null): void {
    const { names, wallClockMs } = this.#options;
    this.#asking.delete(name);
    if (row !== null) names.put(name, row, wallClockMs());
    names.doubt(name);
  }

  async #ask(name: string, wants: 'row' | 'bytes', isLatest: () => boolean): Promise<Resolved | null> {
    const { client, names, wallClockMs, held } = this.#options;
    const known = names.get(name);
    const here = known === null ? null : held(known.row.sha256);
    try {
      const found = wants === 'bytes' && here === null && client.canOpenNamed ? await client.openNamed(name) : 'ask';
      const timeoutMs = here === 'whole' ? AGENT_LIMITS.staleAnswerMs : AGENT_LIMITS.answerMs;
      const row = found === 'ask' ? await client.resolve(name, timeoutMs) : (found?.row ?? null);
      if (isLatest()) names.put(name, row, wallClockMs());
      if (row === null) return null;
      const resolved = { row, staleSeconds: null };
      return found === 'ask' || found === null ? resolved : { ...resolved, offer: new Offer(found.opened) };
    } catch (error) {
      if (!(error instanceof DepotAway) || known === null) throw error;
      return { row: known.row, staleSeconds: Math.max(0, Math.round((wallClockMs() - known.checkedMs) / 1000)) };
    }
  }
}
