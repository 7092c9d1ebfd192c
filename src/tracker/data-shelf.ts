/**
 * The data of what is shared, over HTTP: what any browser takes, and what other clients use as a web seed (BEP 19).
 * A path is looked up in the list of the torrent's own files, and never becomes a path on the disk. A file that is not
 * the one that was hashed any more is not served. Read by streams, off the main thread; how many at once is bounded,
 * and who takes next to nothing gives way.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { groupOf } from '../net/remote-group.js';
import { DataStream, type UploadLimit } from './data-stream.js';
import { TRACKER_LIMITS } from './limits.js';

/** A file that `TrackerServer.serveData` offers. */
export interface SharedFile {
  /** As in the torrent, its name first. */
  readonly path: readonly string[];
  /** On the disk. */
  readonly location: string;
  readonly lengthBytes: number;
  /** With quotes: other content, another tag. */
  readonly etag: string;
  /** Shared with the peers of its torrent. */
  readonly uploads: UploadLimit;
  /** Of an open file: it is the one that was hashed. */
  isSame(file: FileHandle): Promise<boolean>;
}

interface Answer {
  readonly group: string;
  readonly response: ServerResponse;
  readonly stream: DataStream;
  readonly beganMs: number;
  seenBytes: number;
  seenMs: number;
}

/** In a URL the parts of a path are encoded one by one, and none can hold this. */
const SEPARATOR = '\0';

export class DataShelf {
  readonly #files = new Map<string, SharedFile>();
  readonly #answers = new Set<Answer>();
  /** Of connections on which requests wait for those before them: when the last of them has its answer. */
  readonly #turns = new Map<Socket, Promise<void>>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  put(files: readonly SharedFile[]): void {
    for (const file of files) this.#files.set(file.path.join(SEPARATOR), file);
  }

  /** @param path of the URL behind the prefix, as it came */
  async serve(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const file = this.#find(path);
    if (file === null) {
      refuse(response, 404, 'not found');
      return;
    }
    const { socket } = request;
    const before = this.#turns.get(socket);
    if (before === undefined && response.socket !== null) {
      await this.#answer(file, request, response);
      return;
    }
    // Requests in a row (pipelining, as libtorrent does): Node gives the connection to one after the other.
    const turn = (before ?? Promise.resolve())
      .then(() => hasConnection(socket, response))
      .then((isHere) => (isHere ? this.#answer(file, request, response) : undefined));
    this.#turns.set(socket, turn);
    await turn;
    if (this.#turns.get(socket) === turn) this.#turns.delete(socket);
  }

  async #answer(file: SharedFile, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const group = groupOf(request.socket.remoteAddress ?? '');
    if (!this.#makeRoom(group)) {
      refuse(response, 503, 'busy', { 'retry-after': String(TRACKER_LIMITS.dataRetrySeconds) });
      return;
    }
    const nowMs = this.#now();
    const stream = new DataStream(response, file.uploads);
    const answer: Answer = { group, response, stream, beganMs: nowMs, seenBytes: 0, seenMs: nowMs };
    this.#answers.add(answer);
    let handle: FileHandle | null = null;
    try {
      handle = await open(file.location, constants.O_RDONLY | constants.O_NONBLOCK);
      if (await file.isSame(handle)) await send(file, handle, answer, request);
      else refuse(response, 410, 'the file was changed since it was hashed');
    } catch {
      if (response.headersSent) response.destroy();
      else refuse(response, 500, 'the file cannot be read');
    } finally {
      this.#answers.delete(answer);
      await handle?.close().catch(() => {});
    }
  }

  /** Once a second or so: who takes next to nothing gives way. */
  tick(): void {
    const nowMs = this.#now();
    for (const answer of this.#answers) {
      if (nowMs - answer.seenMs < TRACKER_LIMITS.dataIdleMs) continue;
      const { takenBytes, isHeld } = answer.stream;
      if (!isHeld && takenBytes - answer.seenBytes < TRACKER_LIMITS.dataIdleBytes) answer.response.destroy();
      answer.seenBytes = takenBytes;
      answer.seenMs = nowMs;
    }
  }

  #find(path: string): SharedFile | null {
    try {
      return this.#files.get(path.split('/').map(decodeURIComponent).join(SEPARATOR)) ?? null;
    } catch {
      return null;
    }
  }

  /** Where all places are taken, who has most gives one up to who has fewer: the slowest that had time enough. */
  #makeRoom(group: string): boolean {
    const counts = new Map<string, number>();
    for (const answer of this.#answers) counts.set(answer.group, (counts.get(answer.group) ?? 0) + 1);
    const own = counts.get(group) ?? 0;
    if (own >= TRACKER_LIMITS.dataAnswersPerAddress) return false;
    if (this.#answers.size < TRACKER_LIMITS.dataAnswers) return true;
    const most = Math.max(...counts.values());
    if (most <= own + 1) return false;
    const nowMs = this.#now();
    const rate = ({ stream, beganMs }: Answer): number => stream.takenBytes / (nowMs - beganMs);
    const [slowest] = [...this.#answers]
      .filter((answer) => counts.get(answer.group) === most && nowMs - answer.beganMs >= TRACKER_LIMITS.dataIdleMs)
      .sort((a, b) => rate(a) - rate(b));
    if (slowest === undefined) return false;
    slowest.response.destroy();
    this.#answers.delete(slowest);
    return true;
  }
}

/** Whether this answer has its turn on the connection; false: that is closed. For one answer of each at a time. */
function hasConnection(socket: Socket, response: ServerResponse): Promise<boolean> {
  return new Promise((resolve) => {
    if (response.socket !== null || socket.destroyed) {
      resolve(!socket.destroyed);
      return;
    }
    const go = (): void => {
      socket.off('close', gone);
      resolve(true);
    };
    const gone = (): void => {
      response.off('socket', go);
      resolve(false);
    };
    response.once('socket', go);
    socket.once('close', gone);
  });
}

async function send(file: SharedFile, handle: FileHandle, answer: Answer, request: IncomingMessage): Promise<void> {
  const { response } = answer;
  const { lengthBytes, etag, path } = file;
  const range = rangeOf(request.headers, file);
  const headers = {
    'accept-ranges': 'bytes',
    'content-type': 'application/octet-stream',
    'content-disposition': `attachment; filename*=UTF-8''${encodeURIComponent(path.at(-1)!)}`,
    'x-content-type-options': 'nosniff',
    etag,
  };
  if (range === 'none') {
    response.writeHead(416, { ...headers, 'content-range': `bytes */${lengthBytes}`, 'content-length': 0 }).end();
    return;
  }
  const [begin, end] = range ?? [0, lengthBytes];
  const place = range === null ? {} : { 'content-range': `bytes ${begin}-${end - 1}/${lengthBytes}` };
  response.writeHead(range === null ? 200 : 206, { ...headers, ...place, 'content-length': end - begin });
  if (request.method === 'HEAD' || end === begin) response.end();
  else await answer.stream.send(handle, begin, end);
}

/** [begin, end), null for all of it; 'none': no byte of it is there. One range is answered, a list of them with all. */
export function rangeOf(
  headers: IncomingHttpHeaders,
  { lengthBytes, etag }: Pick<SharedFile, 'lengthBytes' | 'etag'>,
): [number, number] | null | 'none' {
  const match = /^bytes=(\d{0,16})-(\d{0,16})$/.exec(headers.range?.trim() ?? '');
  const condition = headers['if-range'];
  if (match === null || (condition !== undefined && condition !== etag)) return null;
  const [, first, last] = match as unknown as [string, string, string];
  if (first === '' && last === '') return null;
  if (first === '') {
    const count = Math.min(lengthBytes, Number(last));
    return count === 0 ? 'none' : [lengthBytes - count, lengthBytes];
  }
  if (last !== '' && Number(last) < Number(first)) return null;
  if (Number(first) >= lengthBytes) return 'none';
  return [Number(first), last === '' ? lengthBytes : Math.min(lengthBytes, Number(last) + 1)];
}

function refuse(response: ServerResponse, status: number, text: string, headers: Record<string, string> = {}): void {
  response.writeHead(status, { ...headers, 'content-type': 'text/plain', 'content-length': text.length + 1 });
  response.end(`${text}\n`);
}
