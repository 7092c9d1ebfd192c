/**
 * Resident units whose memory is places in the engine's slab: of storages that are read, not mapped.
 *
 * Invariant: a place belongs to one resident unit; no read runs into one given back.
 * Must not know: where the bytes come from. The storage reads them.
 */
import { HaulError } from '../errors.js';
import type { Geometry, PieceIndex } from '../metainfo/geometry.js';
import { type Budgets, evenUnit } from './budgets.js';
import type { StorageMemory } from './memory.js';
import type { Share } from './pool-share.js';
import type { PinOutcome, StorageReads } from './port.js';
import type { RunningTransfers } from './running-transfers.js';
import type { Place, Slab } from './slab.js';
import { type TenantOwner, tenantOf } from './tenant.js';
import type { UnitOwner } from './unit-owner.js';
import { ResidentUnits } from './units.js';

/** The storage; who is told, see `Storage`. */
export interface SlabUnitsOwner extends TenantOwner {
  readonly onReadable: (() => void) | null;
  readonly onError: ((error: HaulError) => void) | null;
}

export interface SlabUnitsParts {
  readonly geometry: Geometry;
  readonly budgets: Pick<Budgets, 'residentUnitBytes' | 'readCacheBytes'>;
  readonly memory: StorageMemory;
  /** Whose memory it is, for errors. */
  readonly where: string;
  readonly running: RunningTransfers;
  /** False: no read can begin now, `units.retry` follows. */
  hasRoom(): boolean;
  /** Fills so many bytes of the place with those of the torrent from `beginBytes` on. */
  read(beginBytes: number, place: Place, lengthBytes: number): Promise<unknown>;
}

export class SlabUnits implements StorageReads, UnitOwner {
  readonly units: ResidentUnits;
  readonly share: Share;
  readonly #owner: SlabUnitsOwner;
  readonly #parts: SlabUnitsParts;
  readonly #slab: Slab;
  /** By slot of the units. */
  readonly #places: (Place | undefined)[] = [];
  #readableIsScheduled = false;
  #isClosing = false;

  constructor(owner: SlabUnitsOwner, parts: SlabUnitsParts) {
    const { geometry, budgets, memory } = parts;
    this.#owner = owner;
    this.#parts = parts;
    this.#slab = memory.slab;
    const mostBytes = memory.anonymous.unitBytesFor(budgets.residentUnitBytes);
    const unitBytes = evenUnit(geometry.pieceLengthBytes, mostBytes);
    const tenant = tenantOf(owner, {
      units: () => this.units,
      // Nothing is ever on its way out.
      hurry: () => {},
      isClosing: () => this.#isClosing,
    });
    this.share = memory.anonymous.join(geometry.pieceLengthBytes, unitBytes, tenant);
    this.units = new ResidentUnits(geometry, unitBytes, budgets.readCacheBytes, this, this.share);
  }

  get pinnedUnits(): number {
    return this.units.pinnedUnits;
  }

  pin(piece: PieceIndex, begin: number, length: number): PinOutcome {
    return this.#isClosing ? 'full' : this.units.pin(piece, begin, length);
  }

  readAhead(piece: PieceIndex, begin: number, length: number): void {
    if (!this.#isClosing) this.units.readAhead(piece, begin, length);
  }

  unpin(piece: PieceIndex, begin: number, length: number): void {
    this.units.unpin(piece, begin, length);
  }

  slices(piece: PieceIndex, begin: number, length: number, out: Buffer[]): void {
    const { unitBytes } = this.units;
    for (let at = begin; at < begin + length; ) {
      const inside = at % unitBytes;
      const part = Math.min(begin + length - at, unitBytes - inside);
      const { region, beginBytes } = this.#places[this.units.slotAt(piece, at)]!;
      out.push(region.buffer.subarray(beginBytes + inside, beginBytes + inside + part));
      at += part;
    }
  }

  /** Nothing is pinned any more, and nobody is told. What is pinned stays until it is unpinned. */
  refuse(): void {
    this.#isClosing = true;
  }

  /** All reads have ended. */
  close(): void {
    const { pinnedUnits } = this.units;
    if (pinnedUnits > 0) throw new Error(`storage closed with ${pinnedUnits} pinned units`);
    for (const place of this.#places) if (place !== undefined) this.#slab.give(place);
    this.share.leave();
  }

  /** `UnitOwner`: reads the unit into its slot. */
  load(slot: number, piece: PieceIndex, begin: number, lengthBytes: number): boolean {
    const { geometry, where, running } = this.#parts;
    if (!this.#parts.hasRoom()) return false;
    const place = this.#slab.tryTake(this.units.unitBytes, where);
    if (place instanceof HaulError) {
      const tell = (error: HaulError): void => this.#owner.onError?.(error);
      running.track(Promise.reject(place), tell, tell);
      return false;
    }
    this.#places[slot] = place;
    const finish = (error: HaulError | null): void => {
      if (error !== null) {
        this.#owner.onError?.(error);
        this.forgotten(slot);
      }
      this.units.loaded(slot, error === null);
      this.#owner.onReadable?.();
    };
    const reading = this.#parts.read(geometry.pieceBegin(piece) + begin, place, lengthBytes);
    running.track(reading, () => finish(null), finish);
    return true;
  }

  /** `UnitOwner`: its place can be used again at once, nobody holds it. */
  evict(slot: number): boolean {
    this.forgotten(slot);
    return true;
  }

  /** `UnitOwner` */
  forgotten(slot: number): void {
    this.#slab.give(this.#places[slot]!);
    this.#places[slot] = undefined;
  }

  /** `UnitOwner` */
  roomCame(): void {
    if (this.#readableIsScheduled) return;
    this.#readableIsScheduled = true;
    setImmediate(() => {
      this.#readableIsScheduled = false;
      if (!this.#isClosing) this.#owner.onReadable?.();
    });
  }
}
