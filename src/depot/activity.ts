/**
 * What goes on at a depot now, for those who look at it: uploads under way, and what went wrong lately. Bounded: the
 * oldest problems make room, and what is the same as one before is counted there.
 */
import type { Artifacts } from './http/inside.js';
import { shortName } from './names.js';
import type { StatusProblem, StatusUpload } from './status.js';

const PROBLEMS_MAX = 50;
const TEXT_MAX = 300;
/** Clients are told these as a matter of course; they are no trouble of anybody's. */
const USUAL: ReadonlySet<number> = new Set([401, 404, 412]);

interface Upload {
  /** Full name. */
  readonly name: string;
  readonly lengthBytes: number | null;
  readonly beganMs: number;
  readonly receivedBytes: () => number;
}

interface Answered {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly isAborted: boolean;
}

interface Noted {
  lastMs: number;
  count: number;
  readonly status: number;
  readonly text: string;
}

export class Activity {
  readonly #uploads = new Set<Upload>();
  readonly #problems = new Map<string, Noted>();
  readonly #now: () => number;

  /** @param now milliseconds since 1970 */
  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  get uploadCount(): number {
    return this.#uploads.size;
  }

  /** Those of names below the prefix, the oldest first. */
  uploads(prefix: string, limit: number): StatusUpload[] {
    const found = [...this.#uploads].filter(({ name }) => name.startsWith(prefix)).slice(0, limit);
    return found.map(({ name, lengthBytes, beganMs, receivedBytes }) => {
      const seconds = Math.max(0, this.#now() - beganMs) / 1000;
      return { name: shortName(name), lengthBytes, receivedBytes: receivedBytes(), seconds };
    });
  }

  /** The latest first. */
  problems(): StatusProblem[] {
    return [...this.#problems.values()]
      .reverse()
      .map(({ lastMs, count, status, text }) => ({ time: new Date(lastMs).toISOString(), count, status, text }));
  }

  /** Of a request that is over. */
  answered({ method, path, status, isAborted }: Answered): void {
    if (status >= 400 && !USUAL.has(status)) this.#note(status, `${method} ${readable(path)}`);
    else if (isAborted && method === 'PUT') this.#note(0, `${method} ${readable(path)}: the client went away`);
  }

  /** Something of ours failed. */
  failed(text: string): void {
    this.#note(500, text);
  }

  /** One that comes from peers. @returns its end */
  began(upload: Omit<Upload, 'beganMs'>): () => void {
    const shown = { ...upload, beganMs: this.#now() };
    this.#uploads.add(shown);
    return () => void this.#uploads.delete(shown);
  }

  /** The same, with uploads counted while they come. */
  watch(inner: Artifacts): Artifacts {
    return {
      publish: async (request) => {
        const { name, lengthBytes, body, file } = request;
        // What is taken over as a file is all here.
        let receivedBytes = file === undefined ? 0 : (lengthBytes ?? 0);
        const end = this.began({ name, lengthBytes, receivedBytes: () => receivedBytes });
        const count = (bytes: number): void => {
          if (file === undefined) receivedBytes += bytes;
        };
        try {
          return await inner.publish({ ...request, body: counted(body, count) });
        } finally {
          end();
        }
      },
      find: (name) => inner.find(name),
      read: (row, range) => inner.read(row, range),
      remove: (name, onlyIf) => inner.remove(name, onlyIf),
      pin: (name, isPinned) => inner.pin(name, isPinned),
      torrent: (row, announceUrl, webSeedUrl) => inner.torrent(row, announceUrl, webSeedUrl),
    };
  }

  #note(status: number, whole: string): void {
    const text = whole.slice(0, TEXT_MAX);
    const key = `${status} ${text}`;
    const count = (this.#problems.get(key)?.count ?? 0) + 1;
    this.#problems.delete(key);
    this.#problems.set(key, { lastMs: this.#now(), count, status, text });
    if (this.#problems.size > PROBLEMS_MAX) this.#problems.delete(this.#problems.keys().next().value!);
  }
}

async function* counted(body: AsyncIterable<Uint8Array>, count: (bytes: number) => void): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    count(chunk.length);
    yield chunk;
  }
}

/** As people wrote it, where it can be read. */
function readable(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
