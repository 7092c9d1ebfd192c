/** The body of a request: asked for where the client waits for that, read once, or dropped within limits. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { HaulError } from '../../errors.js';
import { DEPOT_HTTP_LIMITS } from './limits.js';
import { Problem } from './problems.js';
import { SenderRate } from './sender-rate.js';
import type { ChunkTurns, SmallChunks } from './small-chunks.js';

const CHATTY = new Problem(400, 'BAD_REQUEST', 'the chunks of the body are too small: send larger ones');

export interface UploadBodyOptions {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** The client waits for a word before it sends the body. */
  readonly expectsContinue: boolean;
  readonly small: SmallChunks;
  readonly turns: ChunkTurns;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

export class UploadBody {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #now: () => number;
  readonly #rate = new SenderRate(DEPOT_HTTP_LIMITS.slowUploadMs);
  readonly #small: SmallChunks;
  readonly #turns: ChunkTurns;
  #waits: boolean;
  /** Of what the connection had brought. */
  #begunAt = 0;
  #wake: (error: Error) => void = () => {};
  receivedBytes = 0;
  /** Somebody has asked for its first bytes. */
  isBegun = false;
  /** Why it is read no more. */
  givenUp: Problem | null = null;

  constructor({ request, response, expectsContinue, small, turns, now }: UploadBodyOptions) {
    this.#request = request;
    this.#response = response;
    this.#waits = expectsContinue;
    this.#turns = turns;
    this.#now = now;
    this.#small = small;
  }

  /** Without end where that cannot be said yet. */
  bytesPerSec(nowMs: number): number {
    return this.#rate.bytesPerSec(nowMs);
  }

  /** Who reads it takes its client for gone. */
  giveUp(problem: Problem): void {
    this.givenUp = problem;
    this.#wake(problem);
  }

  /** Bytes of it are, or may be, still to come. */
  get isUnread(): boolean {
    const { headers, complete } = this.#request;
    const length = headers['content-length'];
    const hasBody = headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0');
    return hasBody && !complete;
  }

  /** @throws HaulError ABORTED: the client is gone before the end of it */
  async *read(): AsyncGenerator<Uint8Array> {
    this.isBegun = true;
    this.#begunAt = this.#request.socket.bytesRead;
    if (this.#waits) {
      this.#waits = false;
      this.#response.writeContinue();
    }
    const chunks: AsyncIterator<Uint8Array> = this.#request.iterator({ destroyOnReturn: false });
    try {
      for (;;) {
        const next = await this.#next(chunks);
        if (next.done === true) return;
        yield next.value;
      }
    } catch (error) {
      throw new HaulError('ABORTED', 'the client is gone before the end of the body', {}, error);
    } finally {
      // Else the rest of the body would never come: `drop` waits for it.
      chunks.return?.().catch(() => {});
    }
  }

  /** Each chunk costs as much time as a packet, and its sender six bytes. */
  #isChatty(): boolean {
    const { headers, socket } = this.#request;
    if (headers['transfer-encoding'] === undefined) return false;
    const overheadBytes = socket.bytesRead - this.#begunAt - this.receivedBytes;
    const isChatty = overheadBytes > Math.max(this.receivedBytes, DEPOT_HTTP_LIMITS.chunkOverheadBytes);
    if (isChatty) this.givenUp = CHATTY;
    return isChatty;
  }

  #next(chunks: AsyncIterator<Uint8Array>): Promise<IteratorResult<Uint8Array>> {
    // Who has to wait for its turn is slow by its own doing.
    this.#rate.wait(this.#now());
    return new Promise((resolve, reject) => {
      this.#wake = reject;
      const take = (): void => {
        if (this.givenUp !== null) {
          reject(this.givenUp);
          return;
        }
        chunks.next().then((next) => {
          const bytes = next.done === true ? 0 : next.value.length;
          this.#rate.got(this.#now(), bytes);
          this.receivedBytes += bytes;
          if (bytes > 0 && this.#isChatty()) reject(CHATTY);
          else resolve(next);
        }, reject);
      };
      const waitMs = this.#turnMs();
      if (waitMs === 0) take();
      else setTimeout(take, waitMs);
    });
  }

  /** Whole milliseconds until more may be read. */
  #turnMs(): number {
    const small = this.#small.takeFresh();
    return small === 0 ? 0 : Math.floor(this.#turns.waitMs(small));
  }

  /**
   * Reads on for a moment after the answer was written: a connection that is closed while bytes come in loses the
   * answer on its way. Resolves when it may be closed.
   */
  drop(): Promise<void> {
    // Nobody asked for it, so it does not come.
    if (this.#waits || this.givenUp === CHATTY) return Promise.resolve();
    const request = this.#request;
    return new Promise((resolve) => {
      const { socket } = request;
      // With what tells the chunks apart: a million of them may be of a byte each.
      const untilBytes = socket.bytesRead + DEPOT_HTTP_LIMITS.unwantedBytes;
      const end = (): void => {
        clearTimeout(timer);
        request.off('data', take).off('end', end).off('close', end);
        resolve();
      };
      const take = (): void => {
        const waitMs = this.#turnMs();
        if (socket.bytesRead >= untilBytes) end();
        else if (waitMs > 0) {
          request.pause();
          setTimeout(() => request.resume(), waitMs);
        }
      };
      const timer = setTimeout(end, DEPOT_HTTP_LIMITS.unwantedMs);
      request.on('error', () => {});
      request.on('data', take).once('end', end).once('close', end);
      request.resume();
    });
  }
}
