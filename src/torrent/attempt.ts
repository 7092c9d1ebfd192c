/** Steps of the way out of a session: each is tried, whatever became of the others. */
import type { HaulError } from '../errors.js';
import type { Log } from '../log.js';
import { toHaulError } from './endings.js';

/** What goes wrong is told, unless it was `told` already, and keeps nothing else from closing. Never rejects. */
export async function attempt(
  { log, tell }: { readonly log: Log; readonly tell: (error: HaulError) => void },
  operation: string,
  step: () => Promise<void> | undefined,
  told: HaulError | null = null,
): Promise<void> {
  try {
    await step();
  } catch (error) {
    const trouble = toHaulError(error, operation);
    if (trouble.message === told?.message) return;
    log('error', trouble.message, { ...trouble.facts });
    tell(trouble);
  }
}
