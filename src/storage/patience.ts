/**
 * Opening files while the process or the machine has no descriptor or no memory to spare: others give some back soon.
 */
import { setTimeout as sleep } from 'node:timers/promises';

/** 3 s in all; who still gets none has an error for whoever is in charge of longer pauses. */
const PAUSES_MS = [0, 20, 100, 300, 1000, 1600];
const OUT_OF_ROOM: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN']);

export function isOutOfRoom(error: unknown): boolean {
  const { code, facts } = (error ?? {}) as { code?: unknown; facts?: { errno?: unknown } };
  return OUT_OF_ROOM.has(String(code)) || OUT_OF_ROOM.has(String(facts?.errno));
}

/**
 * @param makeRoom called after each failure, before the next try: give back what you can.
 * @throws what `attempt` throws
 */
export async function whenRoom<T>(attempt: () => Promise<T>, makeRoom: () => void = () => {}): Promise<T> {
  for (const pauseMs of PAUSES_MS) {
    try {
      return await attempt();
    } catch (error) {
      if (!isOutOfRoom(error)) throw error;
    }
    makeRoom();
    await sleep(pauseMs);
  }
  return attempt();
}
