/** The real pool behind a glass: counts what is submitted, and can refuse or fail jobs on demand. */
import type { WorkJob, WorkPool, WorkResult } from '../../src/hash/port.js';

export class ProbePool implements WorkPool {
  onRoom: (() => void) | null = null;
  jobs = 0;
  inFlight = 0;
  mostInFlight = 0;
  /** Descriptors named by jobs in flight. */
  #descriptors = 0;
  mostDescriptors = 0;
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
    if (this.refusals > 0) {
      this.refusals--;
      return false;
    }
    this.jobs++;
    const descriptors = job.kind === 'digest-pieces' ? job.files.filter(({ fd }) => fd >= 0).length : 0;
    this.mostInFlight = Math.max(this.mostInFlight, ++this.inFlight);
    this.#descriptors += descriptors;
    this.mostDescriptors = Math.max(this.mostDescriptors, this.#descriptors);
    const finish = (result: WorkResult): void => {
      this.inFlight--;
      this.#descriptors -= descriptors;
      done(result);
    };
    const errno = this.fault(job);
    if (errno === null) return this.#real.submit(job, finish);
    queueMicrotask(() => finish({ ok: false, errno, operation: 'read' }));
    return true;
  }

  close(): Promise<void> {
    return this.#real.close();
  }
}
