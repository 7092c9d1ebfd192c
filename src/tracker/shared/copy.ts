/** How much of what other trackers know of one swarm is in our own table. Pure. */

export interface SwarmCopy {
  /** When it was asked for last; 0: never. */
  readAtMs: number;
  /** When somebody was told of the swarm last; 0: never. */
  wantedAtMs: number;
  /** What was read: as `SharedPage.cursor`. Null: nothing. */
  cursor: number | null;
  /** Of what the cursor is: a table that was away may have lost all. */
  epoch: number;
  /** It will be read, or is being read. */
  isQueued: boolean;
}

export function newCopy(): SwarmCopy {
  return { readAtMs: 0, wantedAtMs: 0, cursor: null, epoch: 0, isQueued: false };
}
