/** What the tests of pieces from the front to the back do with a scheduler. */
import type { PeerSlot, PieceIndex } from '../../src/metainfo/geometry.js';
import type { World } from './world.js';

export const WEB = { fast: true, runs: 'anywhere' } as const;

/** The slot gives until so many more pieces are verified: which they are, in order. */
export function fetch(scene: World, slot: number, count: number): number[] {
  const before = scene.verified.size;
  for (let idle = 0; idle < 5 && scene.verified.size < before + count; idle++) {
    scene.settle();
    scene.fill(slot);
    scene.settle();
    if (scene.deliver(slot) !== null) idle = 0;
    scene.settle();
    scene.check();
  }
  return [...scene.verified].slice(before, before + count);
}

/** A leech says that it got a piece, so that it keeps its turns. */
export function getsOn(scene: World, slot: number, piece: number): void {
  scene.scheduler.peerHave(slot as PeerSlot, piece as PieceIndex);
  scene.peers.get(slot)!.has.add(piece);
}

/** What was asked of it goes back. */
export function chokes(scene: World, slot: number): void {
  const peer = scene.peers.get(slot)!;
  peer.asked.clear();
  peer.queue.length = 0;
  scene.scheduler.peerChoked(slot as PeerSlot, scene.nowMs);
}

export function webSeed(scene: World, slot: number): void {
  scene.join(slot, 'all', WEB);
  scene.unchoke(slot);
}
