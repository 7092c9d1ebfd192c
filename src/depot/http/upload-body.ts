/** The body of a request: asked for where the client waits for that, read once, or dropped within limits. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { HaulError } from '../../errors.js';
import { DEPOT_HTTP_LIMITS } from './limits.js';

export class UploadBody {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  #waits: boolean;
  receivedBytes = 0;

  constructor(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean) {
    this.#request = request;
    this.#response = response;
    this.#waits = expectsContinue;
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
    if (this.#waits) {
      this.#waits = false;
      this.#response.writeContinue();
    }
    try {
      for await (const chunk of this.#request.iterator({ destroyOnReturn: false })) {
        this.receivedBytes += (chunk as Uint8Array).length;
        yield chunk as Uint8Array;
      }
    } catch (error) {
      throw new HaulError('ABORTED', 'the client is gone before the end of the body', {}, error);
    }
  }

  /**
   * Reads on for a moment after the answer was written: a connection that is closed while bytes come in loses the
   * answer on its way. Resolves when it may be closed.
   */
  drop(): Promise<void> {
    // Nobody asked for it, so it does not come.
    if (this.#waits) return Promise.resolve();
    const request = this.#request;
    return new Promise((resolve) => {
      let left = DEPOT_HTTP_LIMITS.unwantedBytes;
      const end = (): void => {
        clearTimeout(timer);
        request.off('data', take).off('end', end).off('close', end);
        resolve();
      };
      const take = (chunk: Uint8Array): void => {
        left -= chunk.length;
        if (left <= 0) end();
      };
      const timer = setTimeout(end, DEPOT_HTTP_LIMITS.unwantedMs);
      request.on('error', () => {});
      request.on('data', take).once('end', end).once('close', end);
      request.resume();
    });
  }
}
