/**
 * Bytes of a file on their way to one client of HTTP, as fast as it takes them and the upload limit allows. What is
 * read ahead is one chunk.
 */
import { createReadStream } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';

/** What a torrent may send, as peers and HTTP share it (`peer/throttle.ts`). */
export interface UploadLimit {
  /** Nothing may be sent now. */
  readonly isDry: boolean;
  /** The most that should be taken at once. */
  readonly readBytes: number;
  /** So many bytes were sent. */
  take(bytes: number): void;
  /** Calls back, once, when something may be sent. @param tookBytes in the turn that ends */
  wait(wake: () => void, tookBytes: number): void;
}

const READ_BYTES = 256 * 1024;

export class DataStream {
  takenBytes = 0;
  /** The limit keeps it from sending: that is not the client's doing. */
  isHeld = false;
  readonly #response: ServerResponse;
  readonly #limit: UploadLimit;
  /** What was read and not sent. */
  #chunk: Buffer | null = null;
  /** The client is to take some first. */
  #isDraining = false;

  constructor(response: ServerResponse, limit: UploadLimit) {
    this.#response = response;
    this.#limit = limit;
  }

  /** Bytes [begin, end). Resolves when all is sent, or nobody takes it any more. */
  send(handle: FileHandle, begin: number, end: number): Promise<void> {
    const response = this.#response;
    // Whoever has gone meanwhile is not told of again.
    if (response.destroyed) return Promise.resolve();
    const options = { fd: handle, start: begin, end: end - 1, autoClose: false, highWaterMark: READ_BYTES };
    const source = createReadStream('', options);
    let isEnded = false;
    const more = (): void => {
      if (!isEnded) source.resume();
      // Where the file was cut off the rest does not come.
      else if (this.takenBytes < end - begin) response.destroy();
      else response.end();
    };
    const goOn = (): void => this.#write(goOn, more);
    source.on('data', (chunk) => {
      source.pause();
      this.#chunk = chunk as Buffer;
      goOn();
    });
    source.once('error', () => response.destroy());
    source.once('end', () => {
      isEnded = true;
      // The last chunk may still be on its way.
      if (this.#chunk === null && !this.#isDraining) more();
    });
    return new Promise((resolve) => {
      response.once('close', () => {
        source.destroy();
        resolve();
      });
    });
  }

  /** In turns with the peers, where there is a limit. */
  #write(goOn: () => void, more: () => void): void {
    const response = this.#response;
    this.isHeld = false;
    let tookBytes = 0;
    for (let chunk = this.#chunk; chunk !== null && !response.destroyed; chunk = this.#chunk) {
      if (this.#limit.isDry) {
        this.isHeld = true;
        this.#limit.wait(goOn, tookBytes);
        return;
      }
      const part = chunk.subarray(0, this.#limit.readBytes);
      this.#chunk = part.length < chunk.length ? chunk.subarray(part.length) : null;
      this.#limit.take(part.length);
      tookBytes += part.length;
      this.takenBytes += part.length;
      if (response.write(part)) continue;
      this.#isDraining = true;
      response.once('drain', () => {
        this.#isDraining = false;
        goOn();
      });
      return;
    }
    if (!response.destroyed) more();
  }
}
