/**
 * Whether what many were told of one name at once can have come about one after the other (linearizability): a search
 * for such an order, in which whoever was answered before another one asked comes first.
 */

/** Of a name: which blob it has, and whether it is pinned. Null: nothing has it. */
export type NameState = { readonly blob: string; readonly isPinned: boolean } | null;

export interface Deed {
  readonly text: string;
  readonly beganAt: number;
  readonly endedAt: number;
  /** What is there after it; `undefined`: with that before it, it cannot have been answered so. */
  apply(state: NameState): NameState | undefined;
}

export class Histories {
  readonly #deeds = new Map<string, Deed[]>();
  #now = 0;

  now(): number {
    return ++this.#now;
  }

  add(name: string, deed: Omit<Deed, 'endedAt'>): void {
    const deeds = this.#deeds.get(name) ?? [];
    deeds.push({ ...deed, endedAt: this.now() });
    this.#deeds.set(name, deeds);
  }

  /** Names whose answers cannot have come about, with what was asked and answered. */
  faults(): string[] {
    return [...this.#deeds].flatMap(([name, deeds]) => (isPossible(deeds) ? [] : [told(name, deeds)]));
  }
}

export function isPossible(all: readonly Deed[]): boolean {
  const deeds = [...all].sort((a, b) => a.beganAt - b.beganAt);
  const tried = new Set<string>();
  const done = new Set<number>();
  const search = (first: number, state: NameState): boolean => {
    let from = first;
    while (done.has(from)) from++;
    if (from === deeds.length) return true;
    const key = `${from} ${[...done].filter((index) => index > from).sort()} ${state?.blob} ${state?.isPinned}`;
    if (tried.has(key)) return false;
    tried.add(key);
    let untilMs = Number.POSITIVE_INFINITY;
    for (let index = from; index < deeds.length && deeds[index]!.beganAt < untilMs; index++)
      if (!done.has(index)) untilMs = Math.min(untilMs, deeds[index]!.endedAt);
    for (let index = from; index < deeds.length && deeds[index]!.beganAt < untilMs; index++) {
      if (done.has(index)) continue;
      const next = deeds[index]!.apply(state);
      if (next === undefined) continue;
      done.add(index);
      if (search(from, next)) return true;
      done.delete(index);
    }
    return false;
  };
  return search(0, null);
}

function told(name: string, deeds: readonly Deed[]): string {
  const lines = deeds.map(({ beganAt, endedAt, text }) => `  ${beganAt}-${endedAt} ${text}`);
  return [`${name}:`, ...lines].join('\n');
}
