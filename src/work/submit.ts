/** Submitting a job as a promise, for work that can wait its turn. */
import { HaulError } from '../errors.js';
import type { WorkJob, WorkPool, WorkResult } from './port.js';

/** Waits for room when others fill the pool. @throws HaulError ABORTED, before the job was taken. */
export async function submit(pool: WorkPool, job: WorkJob, signal?: AbortSignal): Promise<WorkResult> {
  for (;;) {
    if (signal?.aborted) throw aborted();
    let answer: (result: WorkResult) => void = () => {};
    const result = new Promise<WorkResult>((resolve) => (answer = resolve));
    if (pool.submit(job, answer)) return result;
    await roomIn(pool, signal);
  }
}

/** Resolves when there is room, or at an abort. */
function roomIn(pool: WorkPool, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const finish = (): void => {
      leave();
      signal?.removeEventListener('abort', finish);
      resolve();
    };
    const leave = pool.onceRoom(finish);
    signal?.addEventListener('abort', finish);
  });
}

export function aborted(): HaulError {
  return new HaulError('ABORTED', 'hashing was stopped');
}
