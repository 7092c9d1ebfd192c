/**
 * Who may hold how much of one kind of memory: all storages of an engine draw on it, for open pieces and for units
 * ready to be served.
 * Pure: it counts and decides. Whoever owns the memory takes it and gives it back.
 *
 *   live     pieces that are open and units that are resident: up to `softBytes`
 *   leaving  units that were given up and whose memory is not back yet: with what is live up to `limitBytes`
 *
 * Nobody has a fixed part. Units that nobody uses now give way, first those of whoever took none for longest. Who is
 * refused a piece stands in a line, and what comes free goes along it, a piece each, so busy torrents use what idle
 * ones leave and none is forgotten. While somebody stands there, all others are asked to close pieces that they have
 * no use for. Pieces leave a quarter to units where there are any. A torrent among others holds fewer than two pieces
 * or four units only for so long: then it gets them beyond the bounds, pieces back at once from then on, until there is
 * room within the bounds. A line of pieces that goes forward is left to its order: the bounds give way where it stands
 * still, and for whoever was without a piece for long. So the most that is ever held is the limit, and two pieces and
 * four units of each torrent; where pieces and units come and go it is the limit.
 */
import { LIMITS } from '../config.js';
import { LEAST, Share, type SharedPool, type Tenant } from './pool-share.js';

/** Of what may be live, pieces leave so much to units that are there or wanted. */
const UNIT_SHARE = 0.25;
/** And units: a block may lie in two, and slow readers, who may pin a half, leave as many to others. */
export const LEAST_UNITS = 4;
/**
 * In a line that stands still without a piece, or with one; without a piece in any line; with fewer than four units:
 * then the bounds count no more.
 */
const NO_PIECE_MS = 5_000;
const ONE_PIECE_MS = 10_000;
const NO_PIECE_AT_ALL_MS = 10_000;
const FEW_UNITS_MS = 1_000;
/** Of what may be live, four units of each torrent are so much when the last one joins, as far as small units do it. */
const LEAST_UNITS_SHARE = 0.25;
/** The longest run of blocks lies in three of these: four hold it, and one more is on its way. */
const UNIT_AT_LEAST_BYTES = LIMITS.runBytes / 2;
/** Units of a torrent that served nothing meanwhile are given up. */
const IDLE_MS = 10_000;

export interface PoolOptions {
  readonly limitBytes: number;
  readonly softBytes: number;
  /** Runs it after the call at hand. */
  readonly defer: (run: () => void) => void;
}

export class MemoryPool implements SharedPool {
  readonly limitBytes: number;
  readonly softBytes: number;
  readonly #defer: (run: () => void) => void;
  /** Those that hold units or wait for the memory of some, who took none for longest first. */
  readonly #readers = new Set<Share>();
  readonly #pieceLine = new Set<Share>();
  readonly #unitLine = new Set<Share>();
  /** Whose turn it is, and whether the bounds count for it. */
  #served: Share | null = null;
  #isForced = false;
  /** Somebody before it in the line does not fit. */
  #isPassing = false;
  #isDeferred = false;
  #nowMs = 0;
  #pieceBytes = 0;
  #unitBytes = 0;
  #leavingBytes = 0;
  /** Shares with open pieces. */
  readonly #writers = new Set<Share>();
  /** When those were asked last to close some. */
  #askedMs = Number.NEGATIVE_INFINITY;
  #isAsking = false;
  /** When somebody in line last got a piece within the bounds. */
  #movedMs = Number.NEGATIVE_INFINITY;
  #shareCount = 0;

  constructor(options: PoolOptions) {
    this.limitBytes = options.limitBytes;
    this.softBytes = options.softBytes;
    this.#defer = options.defer;
  }

  get liveBytes(): number {
    return this.#pieceBytes + this.#unitBytes;
  }

  get heldBytes(): number {
    return this.liveBytes + this.#leavingBytes;
  }

  /** Bytes of a unit for one who is to join: fewer among many, each of whom may hold four. */
  unitBytesFor(mostBytes: number): number {
    let bytes = mostBytes;
    const most = (this.softBytes * LEAST_UNITS_SHARE) / (LEAST_UNITS * (this.#shareCount + 1));
    while (bytes > most && bytes >= 2 * UNIT_AT_LEAST_BYTES) bytes /= 2;
    return bytes;
  }

  /** Until it leaves. */
  join(pieceBytes: number, unitBytes: number, tenant: Tenant): Share {
    this.#shareCount++;
    return new Share(this, pieceBytes, unitBytes, tenant);
  }

  /** Bytes that pieces may hold. */
  get mostPieceBytes(): number {
    return this.#unitBytes > 0 || this.#unitLine.size > 0 ? this.softBytes * (1 - UNIT_SHARE) : this.softBytes;
  }

  /** Even parts of what units may hold. */
  get fairUnitBytes(): number {
    return (this.softBytes - this.#pieceBytes) / Math.max(1, this.#readers.size);
  }

  /** Once a second or so, with a clock that only goes forward. */
  tick(nowMs: number): void {
    this.#nowMs = nowMs;
    for (const share of [...this.#readers]) this.#lookForIdle(share);
    if (this.#pieceLine.size > 0) this.#askForPieces();
    for (const share of [...this.#pieceLine]) {
      if (this.#isLate(share) && share.pieces < LEAST) this.#serve(this.#pieceLine, share, true);
    }
    for (const share of [...this.#unitLine]) {
      const isLate = nowMs - share.unitsSinceMs >= FEW_UNITS_MS;
      if (!isLate || share.units >= LEAST_UNITS) continue;
      share.isLate = true;
      this.#serve(this.#unitLine, share, false);
    }
    this.#serveLines();
  }

  #isLate(share: Share): boolean {
    const waitedMs = this.#nowMs - share.piecesSinceMs;
    const stillMs = Math.min(waitedMs, this.#nowMs - this.#movedMs);
    if (share.pieces > 0) return stillMs >= ONE_PIECE_MS;
    return stillMs >= NO_PIECE_MS || waitedMs >= NO_PIECE_AT_ALL_MS;
  }

  #lookForIdle(share: Share): void {
    if (share.tenant.takeUsed()) share.usedMs = this.#nowMs;
    if (this.#nowMs - share.usedMs < IDLE_MS) return;
    share.tenant.shrink(share.units * share.unitBytes);
    share.tenant.hurry();
  }

  // ---- for shares ----

  takePiece(share: Share): boolean {
    const isInBounds = this.#isTurnOf(share, this.#pieceLine) && this.#hasPieceRoom(share);
    const isForced = this.#served === share && this.#isForced;
    if (isInBounds) {
      share.owedPieces = isForced ? share.pieces + 1 : 0;
      const moves = this.#pieceLine.delete(share) || (this.#served === share && !isForced);
      if (moves && !this.#isPassing) this.#movedMs = this.#nowMs;
      if (this.#served === share) this.#served = null;
    } else {
      this.#stand(share);
      // What it has beyond the bounds leaves its place in the line as it is: it waits for more.
      if (share.pieces >= share.owedPieces) return false;
    }
    share.pieces++;
    this.#writers.add(share);
    this.#pieceBytes += share.pieceBytes;
    return true;
  }

  #stand(share: Share): void {
    if (this.#pieceLine.has(share)) return;
    share.piecesSinceMs = this.#nowMs;
    this.#pieceLine.add(share);
    if (this.#isAsking || this.#askedMs === this.#nowMs || this.#isAlone(share)) return;
    this.#isAsking = true;
    this.#defer(() => {
      this.#isAsking = false;
      this.#askForPieces();
    });
  }

  /** Whoever alone stands in line has nothing to ask of itself. */
  #askForPieces(): void {
    this.#askedMs = this.#nowMs;
    for (const share of [...this.#writers]) {
      if (this.#pieceLine.size > (this.#pieceLine.has(share) ? 1 : 0)) share.tenant.shrinkPieces();
    }
  }

  givePiece(share: Share): void {
    if (--share.pieces === 0) this.#writers.delete(share);
    this.#pieceBytes -= share.pieceBytes;
    this.#roomCame();
  }

  /** Pieces that would be placed now. */
  roomPieces(share: Share): number {
    const owed = Math.max(0, share.owedPieces - share.pieces);
    if (!this.#isTurnOf(share, this.#pieceLine)) return owed;
    // Units count as room: those in use are few, and who is refused is told.
    const room = Math.floor((this.mostPieceBytes - this.#pieceBytes) / share.pieceBytes);
    return Math.max(owed, room, this.#isAlone(share) ? LEAST - share.pieces : 0);
  }

  isShortOfPieces(share: Share): boolean {
    return this.#pieceLine.has(share) && share.pieces <= LEAST && this.#writers.size > (share.pieces > 0 ? 1 : 0);
  }

  takeUnit(share: Share): boolean {
    const isFew = share.units < LEAST_UNITS;
    // Who waited for long is served before what others used last, and lie idle now, is kept.
    const hasRoom =
      this.#makeRoom(share.unitBytes, share) || (isFew && share.isLate && this.#makeRoom(share.unitBytes, share, true));
    if (!hasRoom && !(isFew && (share.isLate || this.#isOnlyReader(share)))) {
      if (!this.#unitLine.has(share)) share.unitsSinceMs = this.#nowMs;
      this.#unitLine.add(share);
      return false;
    }
    this.#addUnit(share);
    return true;
  }

  #addUnit(share: Share): void {
    this.#countUnit(share);
    // All of its least without another wait: a part of a range lies idle, and would be taken back meanwhile.
    if (share.units >= LEAST_UNITS) share.isLate = false;
    this.#unitLine.delete(share);
  }

  #countUnit(share: Share): void {
    share.units++;
    share.usedMs = this.#nowMs;
    this.#unitBytes += share.unitBytes;
    this.#readers.delete(share);
    this.#readers.add(share);
  }

  /**
   * A piece of its own that was closed is present, and is a unit from now on. Whoever waits for another one waits on.
   * Where pieces beyond the bounds become units one after the other, no more than its least stay beyond them.
   */
  adoptUnit(share: Share): void {
    this.#countUnit(share);
    const missing = this.liveBytes - this.softBytes;
    const own = (share.units - LEAST_UNITS) * share.unitBytes;
    if (missing > 0 && own > 0) share.tenant.shrink(Math.min(missing, own));
    this.#roomCame();
  }

  /** Given up, and its memory is still there. */
  unitLeaves(share: Share): void {
    share.leaving++;
    this.#leavingBytes += share.unitBytes;
    this.giveUnit(share);
  }

  /** Had back before its memory went. */
  unitStays(share: Share): void {
    share.leaving--;
    this.#leavingBytes -= share.unitBytes;
    this.#addUnit(share);
  }

  giveUnit(share: Share): void {
    share.units--;
    this.#unitBytes -= share.unitBytes;
    if (share.units + share.leaving === 0) this.#readers.delete(share);
    this.#roomCame();
  }

  unitLeft(share: Share): void {
    share.leaving--;
    this.#leavingBytes -= share.unitBytes;
    if (share.units + share.leaving === 0) this.#readers.delete(share);
    this.#roomCame();
  }

  /** Nobody uses it now: it may make room for another. */
  unitIsFree(): void {
    this.#roomCame();
  }

  leave(share: Share): void {
    while (share.pieces > 0) this.givePiece(share);
    while (share.units > 0) this.giveUnit(share);
    while (share.leaving > 0) this.unitLeft(share);
    this.#pieceLine.delete(share);
    this.#unitLine.delete(share);
    this.#shareCount--;
    this.#roomCame();
  }

  #isTurnOf(share: Share, line: ReadonlySet<Share>): boolean {
    return this.#served === share || line.size === 0 || (line.size === 1 && line.has(share));
  }

  #isAlone(share: Share): boolean {
    return this.#writers.size === (share.pieces > 0 ? 1 : 0);
  }

  #isOnlyReader(share: Share): boolean {
    return this.#readers.size === (this.#readers.has(share) ? 1 : 0);
  }

  #hasPieceRoom(share: Share): boolean {
    if (this.#served === share && this.#isForced) return share.pieces < LEAST;
    if (this.#isAlone(share) && share.pieces < LEAST) {
      this.#makeRoom(share.pieceBytes, null);
      return true;
    }
    return this.#pieceBytes + share.pieceBytes <= this.mostPieceBytes && this.#makeRoom(share.pieceBytes, null);
  }

  #fits(bytes: number): boolean {
    return this.liveBytes + bytes <= this.softBytes && this.heldBytes + bytes <= this.limitBytes;
  }

  /**
   * Has units given up,
   * @param reader for a unit of this one: then only by whoever has more, and by itself; null: for a piece.
   * @param isLate it waited for long: by everybody else
   */
  #makeRoom(bytes: number, reader: Share | null, isLate = false): boolean {
    if (this.#fits(bytes)) return true;
    const most = reader === null || isLate ? 0 : reader.units * reader.unitBytes + bytes;
    for (const other of this.#readers) {
      const missing = this.liveBytes + bytes - this.softBytes;
      if (missing <= 0) break;
      const spare = other.units * other.unitBytes - most;
      if (other !== reader && spare > 0) other.tenant.shrink(Math.min(missing, spare));
    }
    const missing = this.liveBytes + bytes - this.softBytes;
    const { heldBytes } = this;
    // Its least is not pushed out by itself: a block may lie in two, and others may be in use.
    const own = reader === null ? 0 : (reader.units - LEAST_UNITS + 1) * reader.unitBytes;
    if (missing > 0 && own > 0) reader!.tenant.shrink(Math.min(missing, own));
    // One in the place of another, beyond the bounds too.
    if (this.#fits(bytes) || this.heldBytes + bytes <= heldBytes) return true;
    if (this.#leavingBytes > 0) for (const other of this.#readers) if (other.leaving > 0) other.tenant.hurry();
    return false;
  }

  #roomCame(): void {
    if (this.#isDeferred || (this.#pieceLine.size === 0 && this.#unitLine.size === 0)) return;
    this.#isDeferred = true;
    this.#defer(() => {
      this.#isDeferred = false;
      this.#serveLines();
    });
  }

  /**
   * Along the lines. Who does not fit lets those pass who fit and would hold no more than it does: large pieces hold up
   * nobody who has less, and nobody grows past whoever waits for room. Who does not want it any more is let past.
   */
  #serveLines(): void {
    let mostBytes = Number.POSITIVE_INFINITY;
    for (const share of [...this.#unitLine]) {
      const { units, unitBytes } = share;
      if ((units + 1) * unitBytes > mostBytes) continue;
      if (this.#makeRoom(unitBytes, share)) this.#serve(this.#unitLine, share, false);
      else mostBytes = units * unitBytes;
    }
    mostBytes = Number.POSITIVE_INFINITY;
    for (const share of [...this.#pieceLine]) {
      const { pieces, pieceBytes } = share;
      if ((pieces + 1) * pieceBytes > mostBytes) continue;
      this.#isPassing = mostBytes < Number.POSITIVE_INFINITY;
      if (this.#hasPieceRoom(share)) this.#serve(this.#pieceLine, share, false);
      else mostBytes = pieces * pieceBytes;
    }
    this.#isPassing = false;
  }

  #serve(line: Set<Share>, share: Share, isForced: boolean): void {
    if (!line.delete(share)) return;
    this.#served = share;
    this.#isForced = isForced;
    if (line === this.#pieceLine) share.tenant.roomForPieces();
    else share.tenant.roomForUnits();
    this.#served = null;
    this.#isForced = false;
  }
}
