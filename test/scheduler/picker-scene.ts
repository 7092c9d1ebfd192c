/**
 * Scenes for the picker, drawn as rows of one character per piece:
 *
 *   want  0123…  priority; without the row all are normal
 *   ours  .#..   '#': open or verified; without the row none is
 *   me    ##.#   a peer: '#' has the piece. The first peer is slot 0. 'all' in place of a row: a seed that said so
 *   pick  .^..   what slot 0 is offered, by one seed of the dice or another; no '^': nothing
 */
import assert from 'node:assert/strict';
import { Peers } from '../../src/scheduler/peers/peers.js';
import { Availability } from '../../src/scheduler/pieces/availability.js';
import { Picker } from '../../src/scheduler/pieces/picker.js';
import { seeded } from './world.js';

export interface SceneOptions {
  readonly isSequential?: boolean;
  /** Pieces to be taken at random; default 0. */
  readonly randomPieces?: number;
  /** Pieces of which blocks are here. */
  readonly begun?: readonly number[];
}

export interface Scene {
  readonly availability: Availability;
  readonly picker: Picker;
  readonly pieceCount: number;
}

function rowsOf(drawing: string): { readonly name: string; readonly row: string }[] {
  const lines = drawing.trim().split('\n');
  return lines.map((line) => {
    const [name = '', row = ''] = line.trim().split(/\s+/);
    return { name, row };
  });
}

export function scene(drawing: string, options: SceneOptions = {}, seed = 1): Scene {
  const rows = rowsOf(drawing);
  const find = (name: string): string | null => rows.find((each) => each.name === name)?.row ?? null;
  const holders = rows.filter(({ name }) => !['want', 'ours', 'pick'].includes(name));
  const pieceCount = rows.find(({ row }) => row !== 'all')!.row.length;
  const random = seeded(seed);
  const want = find('want');
  const peers = new Peers(holders.length, pieceCount);
  const availability = new Availability(
    pieceCount,
    holders.length,
    (piece) => find('ours')?.[piece] !== '#',
    random,
    want === null ? null : Uint8Array.from(want, Number),
  );
  const picker = new Picker(availability, peers, holders.length, 0, random, options.isSequential ?? false);
  picker.randomPieces = options.randomPieces ?? 0;
  picker.prefer(options.begun ?? []);
  holders.forEach(({ row }, slot) => {
    peers.join(slot, 0);
    if (row === 'all') {
      peers.giveAll(slot);
      availability.seedCount++;
    }
    for (let piece = 0; piece < pieceCount; piece++) {
      if (row[piece] !== '#') continue;
      peers.give(slot, piece);
      availability.increment(piece);
    }
  });
  availability.checkInvariants();
  return { availability, picker, pieceCount };
}

/** The picks of 200 seeds for slot 0 are exactly those marked in the row `pick`. */
export function picksAre(drawing: string, options: SceneOptions = {}): void {
  const expected = rowsOf(drawing).find(({ name }) => name === 'pick')!.row;
  const marks = Array.from(expected, () => '.');
  for (let seed = 1; seed <= 200; seed++) {
    const { picker } = scene(drawing, options, seed);
    const piece = picker.pick(0);
    if (piece >= 0) marks[piece] = '^';
    else assert.ok(!expected.includes('^'), `seed ${seed} finds nothing`);
  }
  assert.equal(marks.join(''), expected);
}
