/**
 * The real pool behind a glass: counts what is submitted, and can refuse or fail jobs on demand; looks at files pass
 * by.
 */
import type { WorkJob, WorkPool, WorkResult } from '../../src/work/port.js';

export class ProbePool implements WorkPool {
  jobs = 0;
  /** Paths looked at. */
  looks = 0;
  inFlight = 0;
  mostInFlight = 0;
  /** Files of the job with the most of them. */
  mostFiles = 0;
  /** Set to refuse this many submits. */
  refusals = 0;
  /** An errno to fail the job with, or null to let it through. Called before the job runs. */
  fault: (job: WorkJob) => string | null = () => null;
  readonly #real: WorkPool;

  constructor(real: WorkPool) {
    this.#real = real;
  }

  get threadCount(): number {
    return this.#real.threadCount;
  }

  get room(): number {
    return this.refusals > 0 ? 0 : this.#real.room;
  }

  submit(job: WorkJob, done: (result: WorkResult) => void): boolean {
    if (job.kind === 'look') {
      this.looks += job.paths.length;
      return this.#real.submit(job, done);
    }
    if (this.refusals > 0) {
      this.refusals--;
      return false;
    }
    this.jobs++;
    this.mostInFlight = Math.max(this.mostInFlight, ++this.inFlight);
    if (job.kind === 'digest-pieces') this.mostFiles = Math.max(this.mostFiles, job.files.length);
    const finish = (result: WorkResult): void => {
      this.inFlight--;
      done(result);
    };
    const errno = this.fault(job);
    if (errno === null) return this.#real.submit(job, finish);
    queueMicrotask(() => finish({ ok: false, errno, operation: job.kind.endsWith('write') ? 'write' : 'read' }));
    return true;
  }

  onceRoom(listener: () => void): () => void {
    if (this.refusals === 0) return this.#real.onceRoom(listener);
    queueMicrotask(listener);
    return () => {};
  }

  close(): Promise<void> {
    return this.#real.close();
  }
}
