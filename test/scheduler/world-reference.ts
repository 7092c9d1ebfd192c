/** What a scheduler may do, told from the world around it: slow and plain. */
import type { PeerSlot, PieceIndex } from '../../src/metainfo/geometry.js';
import type { Runs } from '../../src/scheduler/pieces/picker.js';
import type { World } from './world.js';

export interface JoinOptions {
  readonly fast?: boolean;
  readonly runBlocks?: number;
  /** What has runs 'anywhere' is a web seed. */
  readonly runs?: Runs;
  /** That everybody knows of it. */
  readonly number?: number | null;
}

/** A reader waits for its piece, and one peer alone was asked for it in time. */
export function isAwaited(world: World, key: number): boolean {
  const isOfIt = world.awaited.some((piece) => {
    return key >= world.key(piece, 0) && key < world.key(piece, 0) + world.geometry.blockCount(piece as PieceIndex);
  });
  const asked = [...world.peers].filter(([other, peer]) => {
    return peer.asked.get(key)?.isLate === false && !world.scheduler.view.isSnubbed(other as PeerSlot);
  });
  return isOfIt && asked.length <= 2;
}

/** Nothing is left that nobody was asked for. */
export function isEndgame(world: World): boolean {
  for (let piece = 0; piece < world.geometry.pieceCount; piece++) {
    if (world.isNeeded(piece) && !world.ready.has(piece) && !world.verifying.has(piece)) return false;
  }
  for (const [piece, stored] of world.ready) {
    if (!world.isNeeded(piece)) continue;
    for (let block = 0; block < world.geometry.blockCount(piece as PieceIndex); block++) {
      if (stored.has(block)) continue;
      const key = world.key(piece, block);
      const isBusy = [...world.peers.values()].some((peer) => peer.asked.has(key) || world.arriving.has(key));
      if (!isBusy) return false;
    }
  }
  return true;
}
