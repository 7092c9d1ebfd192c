/**
 * The parts of a scheduler, put together: peers (who has what), availability (rarity), open-pieces and ledger (block
 * states), requests (their life), filler (what to ask for), picker (what to open), pipeline (how much), snubbing,
 * choker.
 */
import { Allowance } from './ask/allowance.js';
import { Arrivals } from './ask/arrivals.js';
import { Endgame } from './ask/endgame.js';
import { Filler } from './ask/filler.js';
import { Incoming } from './ask/incoming.js';
import { Ledger } from './ask/ledger.js';
import { Pipeline } from './ask/pipeline.js';
import { Probing } from './ask/probing.js';
import { Reading } from './ask/reading.js';
import { Relief } from './ask/relief.js';
import { RequestLine } from './ask/request-line.js';
import { Requests } from './ask/requests.js';
import { Snubbing } from './ask/snubbing.js';
import { Clock } from './clock.js';
import type { SchedulerOptions } from './options.js';
import { Holdings } from './peers/holdings.js';
import { Peers } from './peers/peers.js';
import { SlotRows } from './peers/slot-rows.js';
import { Traffic } from './peers/traffic.js';
import { Availability } from './pieces/availability.js';
import { Forward } from './pieces/forward.js';
import { OpenPieces } from './pieces/open-pieces.js';
import { Picker } from './pieces/picker.js';
import { checkPriorities } from './pieces/priority.js';
import { Urgent } from './pieces/urgent.js';
import { Choker } from './serve/choker.js';
import { Hoarders } from './serve/hoarders.js';
import { SuperSeed } from './serve/super-seed.js';

export interface SchedulerParts {
  readonly clock: Clock;
  readonly peers: Peers;
  readonly holdings: Holdings;
  readonly traffic: Traffic;
  readonly availability: Availability;
  readonly picker: Picker;
  readonly open: OpenPieces;
  readonly ledger: Ledger;
  readonly incoming: Incoming;
  readonly requests: Requests;
  readonly pipeline: Pipeline;
  readonly allowance: Allowance;
  readonly snubbing: Snubbing;
  readonly endgame: Endgame;
  readonly filler: Filler;
  readonly relief: Relief;
  readonly urgent: Urgent;
  readonly forward: Forward | null;
  readonly reading: Reading;
  readonly arrivals: Arrivals;
  readonly choker: Choker;
  readonly hoarders: Hoarders;
  readonly superSeed: SuperSeed | null;
  /** Keeps the tables of all of them equally long. */
  readonly rows: SlotRows;
}

/** Throws RangeError when `priorities` are not one per piece. */
export function makeParts(options: SchedulerOptions): SchedulerParts {
  const { geometry, have, sink, random, limits, priorities = null, isSequential = false } = options;
  if (priorities !== null) checkPriorities(priorities, geometry.pieceCount);
  const clock = new Clock();
  const peers = new Peers(0, geometry.pieceCount);
  const availability = new Availability(geometry.pieceCount, 0, (piece) => !have.has(piece), random, priorities);
  const traffic = new Traffic(0);
  const ledger = new Ledger(0);
  const incoming = new Incoming();
  const open = new OpenPieces(geometry, Math.max(1, limits.openPieces), geometry.pieceCount - have.count, ledger);
  const allowance = new Allowance(limits.downloadBytesPerSec ?? Number.POSITIVE_INFINITY);
  const picker = new Picker(availability, peers, 0, have.count, random, isSequential);
  picker.prefer(options.begun ?? []);
  const holdings = new Holdings({ peers, availability, picker, have, sink, clock });
  const requests = new Requests(open, ledger, peers, incoming, sink);
  const pipeline = new Pipeline(0, limits.requestsPerPeer);
  const snubbing = new Snubbing(peers, pipeline, requests, incoming, sink);
  const arrivals = new Arrivals({ geometry, open, incoming, traffic, requests, pipeline, snubbing });

  const roomBlocks = Math.max(1, limits.openPieces) * geometry.blocksPerPiece;
  const line = new RequestLine(roomBlocks);
  const urgent = new Urgent({ availability, holdings, open });
  const { forward: turns = null } = options;
  const forward = turns && new Forward({ peers, holdings, availability, open, urgent }, turns.ownNumber);
  picker.turns = forward;
  const told = { peers, holdings, availability, picker, open, sink, random, urgent };
  const asking = { ...told, ledger, incoming, requests, pipeline, snubbing, allowance, roomBlocks, line };
  const endgame = new Endgame(asking);
  const reading = new Reading(asking);
  const relief: Relief = new Relief({
    ...asking,
    target: (slot) => filler.target(slot),
    roomFreed: () => filler.roomFreed(),
  });
  const filler: Filler = new Filler({ ...asking, endgame, reading, relief, probing: new Probing(asking) });

  // A single piece cannot be shown before we are known for a seed.
  const isSuper = options.isSuperSeeding === true && have.isFull && geometry.pieceCount > 1;
  const superSeed = isSuper ? new SuperSeed({ peers, availability, taken: traffic.taken, sink, random, clock }) : null;
  const { pieceLengthBytes } = geometry;
  const hoarders = new Hoarders(geometry.pieceCount, pieceLengthBytes);
  const { uploadSlots, maxSlots } = limits;
  const liftsGivers = forward !== null;
  const choking = { rows: 0, uploadSlots, pieceLengthBytes, random, hoarders, superSeed, liftsGivers };
  const choker = new Choker(peers, traffic, sink, choking);

  const tables = [
    peers,
    availability,
    ledger,
    incoming,
    pipeline,
    picker,
    traffic,
    snubbing,
    endgame,
    choker,
    line,
    hoarders,
  ];
  const rows = new SlotRows(maxSlots, superSeed === null ? tables : [...tables, superSeed]);
  const serving = { traffic, choker, hoarders, superSeed };
  return { ...asking, ...serving, clock, forward, endgame, filler, relief, reading, arrivals, rows };
}
