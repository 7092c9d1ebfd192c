/**
 * The memory of a virtual machine: the real pool and the real book of units, where reading and letting go take virtual
 * time, and other torrents of the same engine (neighbours) that want memory too.
 * Invariant: what is held is at most what the pool promises.
 */
import type { Geometry, PieceIndex } from '../src/metainfo/geometry.js';
import { evenUnit } from '../src/storage/budgets.js';
import { LEAST_UNITS, MemoryPool } from '../src/storage/memory-pool.js';
import { LEAST, type Share, type Tenant } from '../src/storage/pool-share.js';
import { type TenantOwner, tenantOf } from '../src/storage/tenant.js';
import type { UnitOwner } from '../src/storage/unit-owner.js';
import { ResidentUnits } from '../src/storage/units.js';
import type { MemorySpec, NeighbourSpec } from './spec.js';

/** Without a piece a torrent waits 10 s, and until the next look at the line, one a second. */
const NO_PIECE_AT_MOST_MS = 12_000;
/** A neighbour asks this often at most. */
const ASK_MS = 2_000;

export interface VirtualMemoryOptions {
  readonly geometry: Geometry;
  readonly spec: MemorySpec;
  /** Real bytes per simulated byte. */
  readonly scale: number;
  readonly random: () => number;
  /** The planted bug: memory of some closed pieces is not given back. */
  readonly isForgetful: boolean;
  /** Calls after so much time, while the host is there. */
  readonly later: (ms: number, call: () => void) => void;
}

/** The storage whose memory it is. */
export interface MemoryOwner extends TenantOwner {
  readonly onReadable: (() => void) | null;
}

export class VirtualMemory implements UnitOwner {
  readonly units: ResidentUnits;
  readonly share: Share;
  readonly #pool: MemoryPool;
  readonly #options: VirtualMemoryOptions;
  readonly #owner: MemoryOwner;
  /** Beyond the limit, as promised to each torrent. */
  readonly #leastBytes: number;
  readonly #neighbours: Neighbour[] = [];
  #nowMs = -1;
  #hadPieceMs = -1;
  #loading = 0;
  #isWaking = false;

  constructor(options: VirtualMemoryOptions, owner: MemoryOwner) {
    this.#options = options;
    this.#owner = owner;
    const { spec, geometry, scale, later, random } = options;
    const limitBytes = spec.bytes / scale;
    this.#pool = new MemoryPool({ limitBytes, softBytes: limitBytes, defer: (run) => later(0, run) });
    const unitBytes = evenUnit(geometry.pieceLengthBytes, spec.unitBytes / scale);
    const tenant = tenantOf(owner, { units: () => this.units, hurry: () => {}, isClosing: () => false });
    this.share = this.#pool.join(geometry.pieceLengthBytes, unitBytes, tenant);
    this.units = new ResidentUnits(geometry, unitBytes, limitBytes, this, this.share);
    let leastBytes = LEAST * geometry.pieceLengthBytes + LEAST_UNITS * unitBytes;
    for (const neighbour of spec.neighbours) {
      leastBytes += (LEAST * neighbour.pieceBytes + LEAST_UNITS * neighbour.unitBytes) / scale;
      this.#neighbours.push(new Neighbour(this.#pool, neighbour, scale, random, later));
    }
    this.#leastBytes = leastBytes;
  }

  /** Once a second. */
  tick(nowMs: number): void {
    if (this.#nowMs < 0) for (const neighbour of this.#neighbours) neighbour.start();
    this.#nowMs = nowMs;
    this.#pool.tick(nowMs);
  }

  /** @throws Error where the books do not balance, or a promise of the pool is broken. */
  check(openPieces: number): void {
    this.units.checkInvariants();
    const { liveBytes, softBytes } = this.#pool;
    const mostBytes = softBytes + this.#leastBytes;
    if (liveBytes > mostBytes) throw new Error(`holds ${liveBytes} bytes of memory, ${mostBytes} at most`);
    const { pieces, roomPieces, isShortOfPieces, piecesSinceMs } = this.share;
    if (pieces !== openPieces) throw new Error(`holds memory of ${pieces} pieces, ${openPieces} are open`);
    if (pieces > 0) this.#hadPieceMs = this.#nowMs;
    // With one piece it may have stood in line for another for long.
    const waitedMs = this.#nowMs - Math.max(piecesSinceMs, this.#hadPieceMs);
    if (pieces === 0 && roomPieces <= 0 && isShortOfPieces && waitedMs > NO_PIECE_AT_MOST_MS)
      throw new Error(`waits ${waitedMs} ms for memory without a piece`);
  }

  /** For a piece that is to be opened. False: no room, or its memory is on its way out. */
  takePiece(piece: PieceIndex): boolean {
    if (!this.share.takePiece()) return false;
    if (this.units.forget(piece)) return true;
    this.share.givePiece();
    return false;
  }

  givePiece(): void {
    if (this.#options.isForgetful && this.#options.random() < 0.1) return;
    this.share.givePiece();
  }

  // ---- UnitOwner ----

  load(slot: number, _piece: PieceIndex, _begin: number, _lengthBytes: number): boolean {
    const { later, spec } = this.#options;
    if (this.#loading >= spec.loads) return false;
    this.#loading++;
    later(spec.readMs, () => {
      this.#loading--;
      this.units.loaded(slot, true);
      this.units.retry();
      this.#owner.onReadable?.();
    });
    return true;
  }

  evict(slot: number): boolean {
    const { later, spec } = this.#options;
    if (spec.releaseMs === 0) return true;
    later(spec.releaseMs, () => {
      if (this.units.beginRelease(slot)) later(spec.releaseMs, () => this.units.released(slot));
    });
    return false;
  }

  forgotten(): void {}

  roomCame(): void {
    if (this.#isWaking) return;
    this.#isWaking = true;
    this.#options.later(0, () => {
      this.#isWaking = false;
      this.#owner.onReadable?.();
    });
  }
}

/** Another torrent: takes what it gets, up to so much, and keeps each piece and unit for a while. */
class Neighbour implements Tenant {
  readonly #spec: NeighbourSpec;
  readonly #share: Share;
  readonly #random: () => number;
  readonly #later: (ms: number, call: () => void) => void;

  constructor(
    pool: MemoryPool,
    spec: NeighbourSpec,
    scale: number,
    random: () => number,
    later: (ms: number, call: () => void) => void,
  ) {
    this.#spec = spec;
    this.#random = random;
    this.#later = later;
    this.#share = pool.join(spec.pieceBytes / scale, spec.unitBytes / scale, this);
  }

  /** Asks again and again. */
  start(): void {
    this.#later(this.#random() * ASK_MS, () => {
      this.roomForPieces();
      this.roomForUnits();
      this.start();
    });
  }

  roomForPieces(): void {
    const { mostPieces } = this.#spec;
    while (this.#share.pieces < mostPieces && this.#share.takePiece()) {
      this.#hold(() => {
        if (this.#share.pieces > 0) this.#share.givePiece();
      });
    }
  }

  roomForUnits(): void {
    const { mostUnits } = this.#spec;
    // One at a time: it may push out one of its own.
    if (this.#share.units >= mostUnits || !this.#share.takeUnit()) return;
    this.#hold(() => {
      if (this.#share.units > 0) this.#share.giveUnit();
    });
  }

  /** Gives one back after a while. */
  #hold(give: () => void): void {
    this.#later(this.#random() * this.#spec.holdMs, give);
  }

  /** Those beyond two are of no use just now. */
  shrinkPieces(): void {
    while (this.#share.pieces > LEAST) this.#share.givePiece();
  }

  /** One is in use. */
  shrink(bytes: number): void {
    for (let left = bytes; left > 0 && this.#share.units > 1; left -= this.#share.unitBytes) this.#share.giveUnit();
  }

  hurry(): void {}

  takeUsed(): boolean {
    return this.#share.units > 0;
  }
}
