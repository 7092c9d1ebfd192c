/** The truths that hold between the scheduler's parts after every call. Recounts everything; for tests. */
import { CELLS_PER_BLOCK, MAX_HOLDERS } from './ask/ledger.js';
import type { SchedulerParts } from './parts.js';
import type { Peers } from './peers/peers.js';
import { ARRIVING, MISSING, READY, REQUESTED, STORED } from './pieces/open-pieces.js';
import { SKIP } from './pieces/priority.js';

type Checked = Pick<
  SchedulerParts,
  'peers' | 'availability' | 'picker' | 'open' | 'ledger' | 'incoming' | 'choker' | 'holdings' | 'superSeed' | 'forward'
>;

export function checkInvariants(parts: Checked): void {
  parts.availability.checkInvariants();
  parts.picker.checkInvariants();
  parts.open.checkInvariants();
  parts.choker.checkInvariants();
  parts.superSeed?.checkInvariants();
  parts.forward?.checkInvariants();
  checkPieces(parts);
  checkPeers(parts);
  checkRequests(parts);
}

function assert(isTrue: boolean, message: string): asserts isTrue {
  if (!isTrue) throw new Error(`scheduler invariant: ${message}`);
}

function slotsOf(peers: Peers): number[] {
  return Array.from({ length: peers.active.size }, (_, index) => peers.active.at(index));
}

function checkPieces({ peers, availability, open, holdings }: Checked): void {
  const { isNeeded, isVerified, needCount } = holdings;
  const slots = slotsOf(peers);
  let needed = 0;
  for (let piece = 0; piece < peers.pieceCount; piece++) {
    needed += isNeeded[piece]!;
    const copies = slots.filter((slot) => peers.has(slot, piece)).length;
    assert(copies === availability.copies(piece), `piece ${piece} has ${copies} copies`);
    const isWanted = isVerified[piece] === 0 && availability.priority(piece) !== SKIP;
    assert(isWanted === (isNeeded[piece] !== 0), `piece ${piece} needed: ${isWanted}`);
    const isPickable = isWanted && open.recordOf(piece) < 0;
    assert(isPickable === availability.isPickable(piece), `piece ${piece} pickable: ${isPickable}`);
    assert(isVerified[piece] === 0 || open.recordOf(piece) < 0, `verified piece ${piece} is open`);
  }
  assert(needed === needCount, `${needed} pieces are needed`);
}

function checkPeers({ peers, holdings }: Checked): void {
  const { isNeeded, needCount, servingCount } = holdings;
  let serving = 0;
  for (const slot of slotsOf(peers)) {
    let pieces = 0;
    let wanted = 0;
    for (let piece = 0; piece < peers.pieceCount; piece++) {
      if (!peers.has(slot, piece)) continue;
      pieces++;
      wanted += isNeeded[piece]!;
    }
    assert(pieces === peers.pieces[slot], `slot ${slot} has ${pieces} pieces`);
    const isUniform = peers.isUniform[slot] !== 0;
    assert(wanted === (isUniform ? needCount : peers.wanted[slot]), `slot ${slot} has ${wanted} wanted pieces`);
    assert(peers.partial.has(slot) !== isUniform, `slot ${slot} partial and uniform agree`);
    assert((peers.isInterested[slot] !== 0) === wanted > 0, `interest in slot ${slot}`);
    if (wanted > 0 && peers.isPeerChoking[slot] === 0) serving++;
    if (peers.hungry.has(slot)) assert(peers.isPeerChoking[slot] === 0, `choked slot ${slot} is hungry`);
  }
  assert(serving === servingCount, `${serving} peers serve us`);
}

function checkRequests({ peers, open, ledger, incoming }: Checked): void {
  const firm = new Map<number, number>();
  const lax = new Map<number, number>();
  const arriving = new Set<number>();
  for (const slot of slotsOf(peers)) if (incoming.block[slot]! >= 0) arriving.add(incoming.block[slot]!);
  for (let index = 0; index < open.state.length; index++) {
    const record = open.recordAt(index);
    const isReady = open.records.has(record) && open.phase[record] === READY;
    const holders = new Set<number>();
    for (let cell = index * CELLS_PER_BLOCK; cell < (index + 1) * CELLS_PER_BLOCK; cell++) {
      const slot = ledger.slot[cell]!;
      if (slot === -1) continue;
      assert(isReady, 'a request names a piece that is not ready');
      assert(peers.active.has(slot), `a request of slot ${slot}, who left`);
      assert(peers.has(slot, open.pieceOf[record]!), `slot ${slot} was asked for what it lacks`);
      assert(!holders.has(slot), `slot ${slot} was asked twice`);
      holders.add(slot);
      const counts = ledger.isLax[cell] === 0 ? firm : lax;
      counts.set(slot, (counts.get(slot) ?? 0) + 1);
    }
    const state = open.state[index]!;
    const count = ledger.holders(index);
    assert(count <= MAX_HOLDERS, 'too many were asked for a block');
    if (!isReady) continue;
    if (state === MISSING) assert(count === 0, 'a missing block is held');
    if (state === REQUESTED) assert(count > 0, 'a requested block is held by nobody: a request was lost');
    if (state === STORED) assert(holders.size === 0, 'a stored block is still asked for');
    assert((state === ARRIVING) === arriving.has(index), 'arriving blocks and their senders agree');
  }
  const firmCount = [...firm.values()].reduce((sum, count) => sum + count, 0);
  assert(firmCount === ledger.firmCount, 'firm requests of all peers');
  for (const slot of slotsOf(peers)) {
    assert((firm.get(slot) ?? 0) === ledger.firm[slot], `slot ${slot} firm requests`);
    assert((lax.get(slot) ?? 0) === ledger.lax[slot], `slot ${slot} lax requests`);
    let listed = 0;
    for (let cell = ledger.first(slot); cell >= 0; cell = ledger.next(cell)) {
      assert(ledger.slot[cell] === slot, `the list of slot ${slot} holds another's request`);
      listed++;
    }
    assert(listed === ledger.firm[slot]! + ledger.lax[slot]!, `the list of slot ${slot} is whole`);
    const probe = ledger.probe[slot]!;
    if (probe >= 0) assert(ledger.slot[probe] === slot && ledger.isLax[probe] !== 0, `probe of slot ${slot}`);
  }
}
