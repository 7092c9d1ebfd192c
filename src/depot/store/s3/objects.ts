/**
 * Objects of one bucket below one prefix: each request with its deadline, and what goes wrong in our words. It knows
 * nothing of blobs.
 */
import type { Readable } from 'node:stream';
import type { ListMultipartUploadsCommandInput } from '@aws-sdk/client-s3';
import type { HaulError } from '../../../errors.js';
import { S3_LIMITS } from './limits.js';
import type { S3Place } from './place.js';
import { type Client, makeClient, type Sdk, type Times } from './sdk.js';
import { isMissing, isNotImplemented, isTaken, statusOf, unavailable } from './trouble.js';

export interface ObjectEntry {
  readonly key: string;
  readonly lengthBytes: number;
  /** By the clock of the server, milliseconds since 1970. */
  readonly modifiedMs: number;
}

export interface Multipart {
  readonly key: string;
  readonly id: string;
}

export interface PartDone {
  readonly number: number;
  readonly tag: string;
}

export interface OpenBody {
  readonly body: Readable;
  readonly lengthBytes: number;
}

const PAYLOAD_HASH = 'x-amz-content-sha256';
const UNSIGNED = 'UNSIGNED-PAYLOAD';

export class Objects {
  readonly title: string;
  readonly #sdk: Sdk;
  readonly #client: Client;
  readonly #place: S3Place;
  readonly #times: Times;
  /** Null: nobody has tried. */
  #hasConditions = true;
  readonly #closing = new AbortController();

  constructor(sdk: Sdk, place: S3Place, times: Times) {
    this.#sdk = sdk;
    this.#place = place;
    this.#times = times;
    this.title = place.title;
    this.#client = makeClient(sdk, place, times);
    this.#signPayloads();
  }

  close(): void {
    this.#closing.abort();
    this.#client.destroy();
  }

  /**
   * The SDK would hash each body on this thread, and the server again. What comes back is hashed anyway before anybody
   * sees it; who may change bytes on the way is a question of TLS.
   */
  #signPayloads(): void {
    this.#client.middlewareStack.add(
      (next) => (args) => {
        const request = args.request as { headers: Record<string, string>; body?: unknown };
        if (request.body instanceof Uint8Array && request.headers[PAYLOAD_HASH] === undefined)
          request.headers[PAYLOAD_HASH] = UNSIGNED;
        return next(args);
      },
      { step: 'build', name: 'hashOfPayload', priority: 'low' },
    );
  }

  /**
   * @param onlyIfNew false is returned where there is one already
   * @throws HaulError
   */
  async put(name: string, bytes: Uint8Array, onlyIfNew: boolean): Promise<boolean> {
    const input = { ...this.#key(name), Body: bytes, ContentLength: bytes.length };
    return this.#conditionally('write', name, onlyIfNew, (condition) =>
      this.#client.send(new this.#sdk.PutObjectCommand({ ...input, ...condition }), this.#limited(bytes.length)),
    );
  }

  /** Null: it is not there. */
  async head(name: string): Promise<number | null> {
    return this.#ifThere('look at', name, async () => {
      const command = new this.#sdk.HeadObjectCommand(this.#key(name));
      const found = await this.#client.send(command, this.#limited()).catch((error) => this.#explained(error, name));
      return found.ContentLength ?? 0;
    });
  }

  /** The answer to a HEAD has no room for a reason: that to a GET of a byte has. */
  async #explained(error: unknown, name: string): Promise<never> {
    const status = statusOf(error);
    if (status < 400 || status >= 500 || isMissing(error)) throw error;
    const command = new this.#sdk.GetObjectCommand({ ...this.#key(name), Range: 'bytes=0-0' });
    const found = await this.#client.send(command, this.#limited());
    (found.Body as Readable).destroy();
    throw error;
  }

  /** Whole, up to `S3_LIMITS.besideBytes`. Null: it is not there, or longer. */
  async getShort(name: string): Promise<Buffer | null> {
    return this.#ifThere('read', name, async () => {
      const options = this.#limited(S3_LIMITS.besideBytes);
      const found = await this.#client.send(new this.#sdk.GetObjectCommand(this.#key(name)), options);
      const body = found.Body as Readable;
      const chunks: Buffer[] = [];
      let length = 0;
      for await (const chunk of body) {
        length += chunk.length;
        if (length > S3_LIMITS.besideBytes) return null;
        chunks.push(chunk);
      }
      return Buffer.concat(chunks);
    });
  }

  /**
   * One try at the bytes from `begin` on. What SDK and server say is thrown as it is, so that the caller can try
   * again; null: it is not there.
   */
  async openRange(name: string, begin: number, end: number, signal: AbortSignal): Promise<OpenBody | null> {
    const input = { ...this.#key(name), Range: `bytes=${begin}-${end - 1}` };
    try {
      const found = await this.#client.send(new this.#sdk.GetObjectCommand(input), { abortSignal: signal });
      return { body: found.Body as Readable, lengthBytes: found.ContentLength ?? 0 };
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  }

  /** Those that are not there are none of ours any more. */
  async remove(name: string): Promise<void> {
    await this.#ifThere('remove', name, () =>
      this.#client.send(new this.#sdk.DeleteObjectCommand(this.#key(name)), this.#limited()),
    );
  }

  /** All whose names begin so, in the order of their keys. */
  async *list(prefix: string): AsyncGenerator<ObjectEntry[]> {
    let token: string | undefined;
    do {
      const page = await this.#tell('list', prefix, () =>
        this.#client.send(
          new this.#sdk.ListObjectsV2Command({
            Bucket: this.#place.bucket,
            Prefix: this.#place.prefix + prefix,
            ...(token === undefined ? {} : { ContinuationToken: token }),
          }),
          this.#limited(),
        ),
      );
      yield (page.Contents ?? []).map(({ Key = '', Size = 0, LastModified }) => ({
        key: Key.slice(this.#place.prefix.length),
        lengthBytes: Size,
        modifiedMs: LastModified?.getTime() ?? 0,
      }));
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
  }

  async beginMultipart(name: string): Promise<Multipart> {
    const begun = await this.#tell('begin', name, () =>
      this.#client.send(new this.#sdk.CreateMultipartUploadCommand(this.#key(name)), this.#limited()),
    );
    return { key: name, id: begun.UploadId ?? '' };
  }

  async putPart(
    { key, id }: Multipart,
    number: number,
    body: Uint8Array | Readable,
    length: number,
  ): Promise<PartDone> {
    const input = { ...this.#key(key), UploadId: id, PartNumber: number, Body: body, ContentLength: length };
    const done = await this.#tell('write', key, () =>
      this.#client.send(new this.#sdk.UploadPartCommand(input), this.#limited(length)),
    );
    return { number, tag: done.ETag ?? '' };
  }

  /** False: there is an object of that name, and it was to be new. */
  async endMultipart({ key, id }: Multipart, parts: readonly PartDone[], onlyIfNew: boolean): Promise<boolean> {
    const Parts = parts.map(({ number, tag }) => ({ PartNumber: number, ETag: tag }));
    const input = { ...this.#key(key), UploadId: id, MultipartUpload: { Parts } };
    return this.#conditionally('write', key, onlyIfNew, (condition) =>
      this.#client.send(
        new this.#sdk.CompleteMultipartUploadCommand({ ...input, ...condition }),
        this.#limited(parts.length * S3_LIMITS.partBytes),
      ),
    );
  }

  /** Whether it is gone; what fails is swept later on. */
  async abortMultipart({ key, id }: Multipart): Promise<boolean> {
    const input = { ...this.#key(key), UploadId: id };
    return this.#client.send(new this.#sdk.AbortMultipartUploadCommand(input), this.#limited()).then(
      () => true,
      (error: unknown) => statusOf(error) === 404,
    );
  }

  /** Those that are not ended, below a prefix. */
  async *multiparts(prefix: string): AsyncGenerator<Multipart & { readonly begunMs: number }> {
    const Prefix = this.#place.prefix + prefix;
    let marker: { readonly KeyMarker?: string; readonly UploadIdMarker?: string } = {};
    for (;;) {
      const page = await this.#multipartPage({ Bucket: this.#place.bucket, Prefix, ...marker });
      for (const { Key = '', UploadId = '', Initiated } of page.Uploads ?? []) {
        // Not every server knows the prefix.
        if (!Key.startsWith(Prefix)) continue;
        yield { key: Key.slice(this.#place.prefix.length), id: UploadId, begunMs: Initiated?.getTime() ?? 0 };
      }
      const { IsTruncated, NextKeyMarker, NextUploadIdMarker } = page;
      if (IsTruncated !== true || NextKeyMarker === undefined) return;
      marker = { KeyMarker: NextKeyMarker, UploadIdMarker: NextUploadIdMarker ?? '' };
    }
  }

  #multipartPage(input: ListMultipartUploadsCommandInput) {
    const command = new this.#sdk.ListMultipartUploadsCommand(input);
    return this.#tell('list', input.Prefix ?? '', () => this.#client.send(command, this.#limited()));
  }

  /** As the server says it. @throws whatever it is */
  async ask(name: string): Promise<Buffer | null> {
    try {
      const found = await this.#client.send(new this.#sdk.GetObjectCommand(this.#key(name)), this.#limited());
      return Buffer.from(await found.Body!.transformToByteArray());
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  }

  #key(name: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.#place.bucket, Key: this.#place.prefix + name };
  }

  /** With longer bodies there is more time: a megabyte a second at least. */
  #limited(lengthBytes = 0): { readonly abortSignal: AbortSignal } {
    const timeMs = this.#times.requestMs + Math.ceil(lengthBytes / 1024);
    return { abortSignal: AbortSignal.any([this.#closing.signal, AbortSignal.timeout(Math.min(timeMs, 2 ** 31 - 1))]) };
  }

  async #conditionally(
    operation: string,
    name: string,
    onlyIfNew: boolean,
    send: (condition: { readonly IfNoneMatch?: string }) => Promise<unknown>,
  ): Promise<boolean> {
    return this.#tell(operation, name, async () => {
      const isConditional = onlyIfNew && this.#hasConditions;
      try {
        await send(isConditional ? { IfNoneMatch: '*' } : {});
        return true;
      } catch (error) {
        if (isConditional && isTaken(error)) return false;
        if (!isConditional || !isNotImplemented(error)) throw error;
        this.#hasConditions = false;
        await send({});
        return true;
      }
    });
  }

  async #ifThere<T>(operation: string, name: string, body: () => Promise<T>): Promise<T | null> {
    return this.#tell(operation, name, async () => {
      try {
        return await body();
      } catch (error) {
        if (isMissing(error)) return null;
        throw error;
      }
    });
  }

  async #tell<T>(operation: string, name: string, body: () => Promise<T>): Promise<T> {
    try {
      return await body();
    } catch (error) {
      throw this.trouble(error, operation, name);
    }
  }

  trouble(error: unknown, operation: string, name: string): HaulError {
    return unavailable(error, `${this.title}: ${name}`, operation);
  }
}
