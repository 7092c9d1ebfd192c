/** Submitting a job as a promise, for work that can wait its turn. */
import { setTimeout as sleep } from 'node:timers/promises';
import { HaulError } from '../errors.js';
import type { WorkJob, WorkPool, WorkResult } from './port.js';

/** Waits for room when others fill the pool; `onRoom` is a single place and belongs to the engine. */
const ROOM_POLL_MS = 5;

/** @throws HaulError ABORTED, before the job was taken. */
export async function submit(pool: WorkPool, job: WorkJob, signal?: AbortSignal): Promise<WorkResult> {
  for (;;) {
    if (signal?.aborted) throw aborted();
    let answer: (result: WorkResult) => void = () => {};
    const result = new Promise<WorkResult>((resolve) => (answer = resolve));
    if (pool.submit(job, answer)) return result;
    await sleep(ROOM_POLL_MS);
  }
}

export function aborted(): HaulError {
  return new HaulError('ABORTED', 'hashing was stopped');
}
