/** One request to another depot: into memory that is there, with an eye on the time. Nothing of it is believed. */
import http, { type ClientRequest, type IncomingMessage } from 'node:http';
import https from 'node:https';
import type { SiblingTimes } from './limits.js';

export interface Question {
  readonly url: URL;
  readonly method: 'GET' | 'HEAD';
  readonly headers: Readonly<Record<string, string>>;
  /** Takes the body of a 200, which has to be as long. */
  readonly into: Uint8Array;
  readonly signal: AbortSignal;
}

export interface Said {
  readonly status: number;
  readonly lengthBytes: number;
}

const STALE = new Error('the connection was closed before the question came');

export class Connections {
  readonly #times: SiblingTimes;
  readonly #plain: http.Agent;
  readonly #secure: https.Agent;

  constructor(times: SiblingTimes) {
    this.#times = times;
    const options = { keepAlive: true, timeout: 2 * times.lookAgainMs };
    this.#plain = new http.Agent(options);
    this.#secure = new https.Agent(options);
  }

  close(): void {
    this.#plain.destroy();
    this.#secure.destroy();
  }

  /** @param isWhole the body of a 200 has to fill `into`. @throws Error: it is away, silent, slow, or says nonsense */
  async ask(question: Question, isWhole: boolean): Promise<Said> {
    try {
      return await this.#ask(question, isWhole);
    } catch (error) {
      // A connection that the other side was just closing, as nothing had been asked on it for a while.
      if (error !== STALE) throw error;
      return this.#ask(question, isWhole);
    }
  }

  #ask({ url, method, headers, into, signal }: Question, isWhole: boolean): Promise<Said> {
    const isSecure = url.protocol === 'https:';
    return new Promise((resolve, reject) => {
      const options = { method, headers, signal, agent: isSecure ? this.#secure : this.#plain };
      const asking = (isSecure ? https : http).request(url, options as http.RequestOptions);
      const clock = new Clock(asking, this.#times);
      let hasSaid = false;
      asking.on('information', () => {
        hasSaid = true;
        clock.sign();
      });
      asking.on('response', (answer) => {
        hasSaid = true;
        clock.answered(into.length);
        takeBody(answer, { into, isWhole: isWhole && method === 'GET', clock }, resolve, reject);
      });
      asking.on('error', (error: NodeJS.ErrnoException) => {
        reject(error.code === 'ECONNRESET' && asking.reusedSocket && !hasSaid ? STALE : error);
      });
      asking.on('close', () => {
        clock.stop();
        reject(new Error('the connection ended'));
      });
      asking.end();
    });
  }
}

/** Ends a request that shows no sign of life, or takes too long. */
class Clock {
  readonly #asking: ClientRequest;
  readonly times: SiblingTimes;
  #silence: NodeJS.Timeout | undefined;
  #signs = 0;
  #end: NodeJS.Timeout | undefined;

  constructor(asking: ClientRequest, times: SiblingTimes) {
    this.#asking = asking;
    this.times = times;
    this.#end = this.#after(times.waitMs, 'it waits for too long');
    this.sign();
  }

  sign(): void {
    this.#signs++;
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#suspect(this.#signs), this.times.silenceMs);
  }

  /** It may be this process that had no time: what has come meanwhile is read first. */
  #suspect(signs: number): void {
    const look = (): void => {
      if (signs === this.#signs) this.#asking.destroy(new Error('it is silent'));
    };
    setImmediate(() => setImmediate(look));
  }

  answered(lengthBytes: number): void {
    this.sign();
    clearTimeout(this.#end);
    const { silenceMs, leastBytesPerSec } = this.times;
    this.#end = this.#after(silenceMs + (lengthBytes / leastBytesPerSec) * 1000, 'it is too slow');
  }

  stop(): void {
    clearTimeout(this.#silence);
    clearTimeout(this.#end);
  }

  #after(timeMs: number, why: string): NodeJS.Timeout {
    return setTimeout(() => this.#asking.destroy(new Error(why)), timeMs);
  }
}

interface Taking {
  readonly into: Uint8Array;
  readonly isWhole: boolean;
  readonly clock: Clock;
}

function takeBody(
  answer: IncomingMessage,
  { into, isWhole, clock }: Taking,
  resolve: (said: Said) => void,
  reject: (error: Error) => void,
): void {
  const status = answer.statusCode ?? 0;
  let lengthBytes = 0;
  const tooLong = (): void => void answer.destroy(new Error('it says more than it was asked for'));
  answer.on('data', (part: Buffer) => {
    clock.sign();
    // What is no answer to the question is read, as far as it is short, so that the connection can be used again.
    if (status === 200 && lengthBytes + part.length <= into.length) into.set(part, lengthBytes);
    lengthBytes += part.length;
    if (lengthBytes > (status === 200 ? into.length : clock.times.answerBytes)) tooLong();
  });
  answer.on('end', () => {
    if (status === 200 && isWhole && lengthBytes < into.length) reject(new Error('it says less than it was asked for'));
    else resolve({ status, lengthBytes });
  });
  answer.on('error', reject);
}
