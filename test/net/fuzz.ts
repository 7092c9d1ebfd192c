/**
 * Fuzzing of our own reading of HTTP: what answers to a request for a part of a file (status, headers, bodies in any
 * pieces), and what asks a tracker's shelf for a part. Nothing throws, no byte beyond what was asked is given on, an
 * answer ends once, and a place lies in its file. `node dist/test/net/fuzz.js SECONDS [SEED]` goes on for so long; a
 * failure prints the round and the seed.
 */
import assert from 'node:assert/strict';
import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import { RangeGet } from '../../src/net/range-get.js';
import { rangeOf } from '../../src/tracker/data-shelf.js';
import { Dice, type FuzzOptions, fuzzFromShell, fuzzRounds } from '../support/fuzz.js';

/** What the rounds met. */
export interface FuzzOutcome {
  readonly rounds: number;
  readonly whole: number;
  readonly failed: number;
  readonly moved: number;
  readonly parts: number;
  readonly none: number;
}

const FILE_BYTES = 100_000;
const HOUR_MS = 3_600_000;
const STATUSES = [100, 200, 204, 206, 206, 206, 206, 301, 302, 304, 307, 399, 404, 408, 416, 416, 429, 500, 503, 999];
const NUMBERS = ['0', '1', '99999', '100000', '100001', '9007199254740993', '-1', '', '*', '1e3', ' 7', '00'];
const LOCATIONS = [
  '/x',
  '//other/x',
  'http://u:p@[::1]:1/',
  'ftp://a/',
  'http://',
  '',
  '\0',
  'x'.repeat(5000),
  'http:a',
];
const RETRIES = ['5', '999999999', '-3', 'Fri, 31 Dec 9999 23:59:59 GMT', 'Thu, 01 Jan 1970 00:00:00 GMT', 'soon', ''];
const ENCODINGS = ['identity', 'gzip', ' Identity ', ''];

class Fuzz extends Dice {
  readonly met = { whole: 0, failed: 0, moved: 0, parts: 0, none: 0 };

  #place(begin: number, end: number): string {
    const isRight = this.below(3) > 0;
    const [first, last] = isRight ? [`${begin}`, `${end - 1}`] : [this.pick(NUMBERS), this.pick(NUMBERS)];
    const length = this.below(3) > 0 ? this.pick([`${FILE_BYTES}`, '*']) : this.pick(NUMBERS);
    return this.below(8) === 0
      ? `bytes */${length}`
      : `${this.pick(['bytes ', 'bytes  ', 'Bytes '])}${first}-${last}/${length}`;
  }

  #headers(begin: number, end: number): IncomingHttpHeaders {
    const may = <T>(value: T): T | undefined => (this.below(4) === 0 ? value : undefined);
    const length = this.below(2) === 0 ? `${end - begin}` : this.pick(NUMBERS);
    return {
      'content-range': this.below(8) > 0 ? this.#place(begin, end) : undefined,
      'content-length': may(length),
      'content-encoding': may(this.pick(ENCODINGS)),
      'content-type': may(this.pick(['text/html; charset=x', 'a/b'])),
      'retry-after': may(this.pick(RETRIES)),
      location: this.below(3) > 0 ? this.pick(LOCATIONS) : undefined,
    };
  }

  /** One answer after the other, as many as are asked for. */
  answer(): void {
    const begin = this.below(FILE_BYTES);
    const end = begin + 1 + this.below(FILE_BYTES - begin);
    let [gotBytes, ends, requests] = [0, 0, 0];
    // What a sink throws would come to light later, and nobody would know the round.
    const faults: string[] = [];
    const check = (isTrue: boolean, text: string): void => {
      if (!isTrue) faults.push(text);
    };
    const over = (): void => {
      ends++;
    };
    const dispatch = (_options: unknown, handler: Dispatcher.DispatchHandler): boolean => {
      check(++requests <= 5, 'redirects without an end');
      if (requests > 9) return false;
      this.#reply(handler, begin, end);
      return true;
    };
    const get = new RangeGet(
      {
        url: new URL('http://user:secret@web/file'),
        begin,
        end,
        fileBytes: FILE_BYTES,
        userAgent: 'x',
        redirectsMax: 4,
        timeoutMs: 1,
        connectionsFor: ({ protocol }) => (protocol === 'http:' || protocol === 'https:' ? { dispatch } : 'no such'),
      },
      {
        onBytes: (bytes) => {
          check(ends === 0, 'bytes behind the end');
          gotBytes += bytes.length;
          check(gotBytes <= end - begin, 'more than was asked for');
        },
        onEnd: () => {
          over();
          check(gotBytes > 0, 'an empty part');
          this.met.whole++;
        },
        onFailed: ({ reason, retryAfterMs }) => {
          over();
          check(/^[\x20-\x7e]{1,300}$/.test(reason), reason);
          check(retryAfterMs === null || (retryAfterMs >= 0 && retryAfterMs <= HOUR_MS), `${retryAfterMs}`);
          this.met.failed++;
        },
        onMoved: ({ url }) => {
          check(/^https?:$/.test(url.protocol), url.protocol);
          check(url.host === 'web' || url.username !== 'user', 'credentials for another');
          this.met.moved++;
        },
      },
    );
    get.start();
    get.abort();
    check(ends <= 1, `${ends} ends`);
    assert.deepEqual(faults, []);
  }

  #reply(handler: Dispatcher.DispatchHandler, begin: number, end: number): void {
    let isAborted = false;
    const controller = {
      abort: () => {
        isAborted = true;
      },
      pause: () => {},
      resume: () => {},
    } as unknown as Dispatcher.DispatchController;
    handler.onRequestStart?.(controller, {});
    handler.onResponseStart?.(controller, this.pick(STATUSES), this.#headers(begin, end), '');
    let left = this.below(5) > 0 ? end - begin : this.below(2 * FILE_BYTES);
    while (left > 0 && !isAborted) {
      const bytes = Math.min(left, 1 + this.below(40_000));
      handler.onResponseData?.(controller, Buffer.alloc(bytes));
      left -= bytes;
    }
    if (isAborted) return;
    if (this.below(6) === 0) handler.onResponseError?.(controller, Object.assign(new Error('x'), { code: 'EPIPE' }));
    else handler.onResponseEnd?.(controller, {});
  }

  /** What a client asks a shelf for. */
  request(): void {
    const lengthBytes = this.pick([0, 1, FILE_BYTES]);
    const unit = this.pick(['bytes=', ' bytes=', 'bytes =', 'lines=', '']);
    const text = `${unit}${this.pick(NUMBERS)}${this.pick(['-', '--', ',', ''])}${this.pick(NUMBERS)}`;
    const condition = this.pick([{}, {}, { 'if-range': '"tag"' }, { 'if-range': '"other"' }]);
    const headers = { range: text, ...condition };
    const range = rangeOf(headers, { lengthBytes, etag: '"tag"' });
    if (range === 'none') this.met.none++;
    else if (range !== null) {
      const [first, behind] = range;
      assert.ok(first >= 0 && first < behind && behind <= lengthBytes, `${text}: ${first} to ${behind}`);
      this.met.parts++;
    }
  }
}

/** @throws when something did harm */
export function fuzzHttp(options: FuzzOptions): FuzzOutcome {
  const fuzz = new Fuzz(options.seed);
  const rounds = fuzzRounds(() => {
    fuzz.answer();
    fuzz.request();
  }, options);
  return { rounds, ...fuzz.met };
}

fuzzFromShell(import.meta.url, (options) => JSON.stringify(fuzzHttp(options)));
