/** One entry of the Actions cache on its way in: reserved, written in parts, committed once. */
import { HaulError } from '../../errors.js';
import { receive } from '../receive.js';
import type { ByteRange } from '../store/port.js';
import type { CacheKey } from './cache-names.js';
import { CACHE_LIMITS } from './limits.js';
import { type StagedFile, Stretches } from './staging.js';

/** Slower than that for half a minute: gone. */
const PACE = { bytesPerSec: 4 * 1024, windowMs: 30_000 };

export interface PartBody {
  readonly body: AsyncIterable<Uint8Array>;
  readonly signal: AbortSignal;
  /** As the request says; null: not known. */
  readonly lengthBytes: number | null;
}

interface Block extends ByteRange {
  /** Broken: its place waits for it to be sent again. */
  readonly state: 'written' | 'broken' | 'whole';
}

export class CacheUpload {
  readonly id: number;
  readonly entry: CacheKey;
  readonly name: string;
  readonly #file: StagedFile;
  readonly #monotonic: () => number;
  readonly #room: (bytes: number) => void;
  readonly #stretches = new Stretches();
  readonly #blocks = new Map<string, Block>();
  /** Of a list of blocks, or of one put at once; null: parts by their place in the file. */
  #order: readonly ByteRange[] | null = null;
  #busy = 0;
  #isOver = false;
  usedMs: number;

  /** @param room told of bytes before they are kept; throws where there is no more */
  constructor(
    id: number,
    entry: CacheKey & { readonly name: string },
    parts: { file: StagedFile; monotonic: () => number; room: (bytes: number) => void },
  ) {
    this.id = id;
    this.entry = entry;
    this.name = entry.name;
    this.#file = parts.file;
    this.#monotonic = parts.monotonic;
    this.#room = parts.room;
    this.usedMs = parts.monotonic();
  }

  /** Bytes of its file that take room. */
  get stagedBytes(): number {
    return this.#file.diskBytes;
  }

  get isBusy(): boolean {
    return this.#busy > 0;
  }

  /** A part at its place (v1). @throws HaulError MISMATCH, LIMIT, NO_SPACE, TIMEOUT, ABORTED */
  async putRange(range: ByteRange, part: PartBody): Promise<void> {
    if (part.lengthBytes !== null && part.lengthBytes !== range.end - range.begin)
      throw new HaulError('MISMATCH', 'Content-Range is not as long as the body');
    this.#stretches.checkRoom();
    this.#reach(range.end);
    await this.#write(range, part);
    this.#stretches.add(range);
  }

  /** A block by its id (v2): it counts where a list names it. @throws as `putRange` */
  async putBlock(blockId: string, part: PartBody): Promise<void> {
    const { lengthBytes } = part;
    if (lengthBytes === null) throw new HaulError('BAD_ARGUMENT', 'a block has a Content-Length');
    const known = this.#blocks.get(blockId);
    if (known?.state === 'written') throw new HaulError('IN_USE', 'this block is being written');
    if (known === undefined && this.#blocks.size >= 50_000) throw new HaulError('LIMIT', 'too many blocks');
    // Sent again it is as long as before, and takes no more room.
    const begin = known !== undefined && known.end - known.begin === lengthBytes ? known.begin : this.#file.endBytes;
    const range = { begin, end: begin + lengthBytes };
    this.#reach(range.end);
    this.#blocks.set(blockId, { ...range, state: 'written' });
    try {
      await this.#write(range, part);
      this.#blocks.set(blockId, { ...range, state: 'whole' });
    } catch (error) {
      this.#blocks.set(blockId, { ...range, state: 'broken' });
      throw error;
    }
  }

  /** All of it at once (v2). @throws as `putRange` */
  async putWhole(part: PartBody): Promise<void> {
    const { lengthBytes } = part;
    if (lengthBytes === null) throw new HaulError('BAD_ARGUMENT', 'a blob has a Content-Length');
    const begin = this.#file.endBytes;
    const range = { begin, end: begin + lengthBytes };
    this.#reach(range.end);
    await this.#write(range, part);
    this.#order = [range];
  }

  /** Which blocks it is made of (v2). @throws HaulError BAD_ARGUMENT, LIMIT */
  order(blockIds: readonly string[]): void {
    let lengthBytes = 0;
    this.#order = blockIds.map((id) => {
      const block = this.#blocks.get(id);
      if (block?.state !== 'whole') throw new HaulError('BAD_ARGUMENT', 'the list names a block that did not come');
      lengthBytes += block.end - block.begin;
      if (lengthBytes > CACHE_LIMITS.entryBytes) throw tooLong();
      return { begin: block.begin, end: block.end };
    });
    this.usedMs = this.#monotonic();
  }

  /**
   * The bytes in order, once, where they are as many as the client says. @throws HaulError MISMATCH; IN_USE: parts of
   * it still come
   */
  take(lengthBytes: number): AsyncIterable<Uint8Array> {
    if (this.#isOver || this.#busy > 0) throw new HaulError('IN_USE', 'the entry is still being written');
    const here = this.#order?.reduce((sum, { begin, end }) => sum + end - begin, 0) ?? null;
    const isWhole = here === null ? this.#stretches.isWhole(lengthBytes) : here === lengthBytes;
    if (!isWhole) throw new HaulError('MISMATCH', `the entry is not the ${lengthBytes} bytes that were announced`);
    return this.#file.read(this.#order ?? [{ begin: 0, end: lengthBytes }]);
  }

  /** While this runs it is neither swept nor written to. */
  async commit<T>(work: () => Promise<T>): Promise<T> {
    this.#isOver = true;
    this.#busy++;
    try {
      return await work();
    } finally {
      this.#busy--;
      this.#isOver = false;
      this.usedMs = this.#monotonic();
    }
  }

  remove(): Promise<void> {
    this.#isOver = true;
    return this.#file.remove();
  }

  /** The place is taken; room is, as bytes come. */
  #reach(endBytes: number): void {
    if (this.#isOver) throw new HaulError('IN_USE', 'the entry is being committed');
    if (endBytes > CACHE_LIMITS.entryBytes) throw tooLong();
    this.#file.endBytes = Math.max(this.#file.endBytes, endBytes);
  }

  async #write({ begin, end }: ByteRange, { body, signal }: PartBody): Promise<void> {
    const lengthBytes = end - begin;
    const writer = this.#file.writer(begin, lengthBytes, this.#room);
    this.#busy++;
    try {
      await receive({ body, signal, lengthBytes }, writer, {
        lengthMax: lengthBytes,
        tooLong: () => new HaulError('MISMATCH', 'the body is longer than was said'),
        pace: PACE,
        monotonic: this.#monotonic,
      });
      if (writer.writtenBytes !== lengthBytes) throw new HaulError('MISMATCH', 'the body is shorter than was said');
    } finally {
      this.#busy--;
      this.usedMs = this.#monotonic();
      writer.end();
    }
  }
}

function tooLong(): HaulError {
  return new HaulError('LIMIT', `an entry has at most ${CACHE_LIMITS.entryBytes} bytes`);
}
