/**
 * One question for whichever of several answers it: the next is asked when the one before fails, or lets us wait. The
 * first answer counts, the others are dropped. Pure but for what it is given.
 */

export interface HedgeOptions<T> {
  /** In the order in which they are asked; one at least. */
  readonly targets: readonly number[];
  /** Settles soon after the signal fires. */
  readonly ask: (target: number, signal: AbortSignal) => Promise<T>;
  /** False: what it was rejected with is an answer, too. */
  readonly isFailure: (error: unknown) => boolean;
  /** Resolves when the next may be asked beside this one; the signal fires when it has settled. */
  readonly late: (target: number, signal: AbortSignal) => Promise<void>;
  /** An answer that came when there was one. */
  readonly drop: (answer: T) => void;
  /** Asked at once, at most. */
  readonly atOnce: number;
}

/** @throws what was no failure; else `NoneAnswered` */
export function hedged<T>(options: HedgeOptions<T>): Promise<T> {
  const { targets, ask, isFailure, late, drop, atOnce } = options;
  return new Promise<T>((resolve, reject) => {
    const underWay = new Set<AbortController>();
    const errors: unknown[] = [];
    let next = 0;
    let isOver = false;
    const end = (): void => {
      isOver = true;
      for (const abort of underWay) abort.abort();
    };
    const begin = (): void => {
      const target = targets[next++]!;
      const abort = new AbortController();
      underWay.add(abort);
      const settled = new AbortController();
      const left = (): void => {
        underWay.delete(abort);
        settled.abort();
      };
      ask(target, abort.signal).then(
        (answer) => {
          left();
          if (isOver) {
            drop(answer);
            return;
          }
          end();
          resolve(answer);
        },
        (error: unknown) => {
          left();
          if (isOver) return;
          errors.push(error);
          if (!isFailure(error)) {
            end();
            reject(error);
          } else if (next < targets.length) begin();
          else if (underWay.size === 0) {
            end();
            reject(new NoneAnswered(errors));
          }
        },
      );
      void late(target, settled.signal).then(() => {
        const isWaiting = underWay.has(abort) && !isOver;
        if (isWaiting && underWay.size < atOnce && next < targets.length) begin();
      });
    };
    begin();
  });
}

/** Each of them failed. */
export class NoneAnswered extends Error {
  override readonly name = 'NoneAnswered';
  /** At least one. */
  readonly errors: readonly unknown[];

  constructor(errors: readonly unknown[]) {
    super('none has answered');
    this.errors = errors;
  }
}
