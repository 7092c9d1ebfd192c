/**
 * Fuzzing of all that is said between a tracker and its clients: datagrams (BEP 15, 41), query strings and bencoded
 * replies, as they should be and changed at random. Each is read or refused: no other exception, and what was read
 * keeps its bounds. `node dist/test/tracker/fuzz.js SECONDS [SEED]` goes on for so long; a failure prints the round and
 * the seed.
 */
import assert from 'node:assert/strict';
import { readAnnounce, readReply, readScrape } from '../../src/discovery/tracker-reply.js';
import {
  announceRequest,
  readAnnounceReply,
  readConnect,
  readError,
  readScrapeReply,
  replyHead,
  scrapeRequest,
} from '../../src/discovery/udp-messages.js';
import { HaulError } from '../../src/errors.js';
import { readPlainAnnounce } from '../../src/tracker/plain-announce.js';
import { parseAnnounce, parseScrape, SCRAPE_HASHES_MAX } from '../../src/tracker/query.js';
import { encodeWord, parseWord } from '../../src/tracker/shared/word.js';
import { HEAD_BYTES, readUdpAnnounce, readUdpScrape, UDP_SCRAPE_HASHES_MAX } from '../../src/tracker/udp-query.js';
import { printable } from '../../src/wire/text.js';
import { Dice, type FuzzOptions, fuzzFromShell, fuzzRounds } from '../support/fuzz.js';

const QUERY_WORDS = [
  '&',
  '=',
  '%',
  '%00',
  '+',
  'port=1',
  'port=65536',
  'left=-1',
  'numwant=9999999999',
  'zone=a/b',
  'event=x',
];
const WORD_WORDS = [' ', '/', '=', 's', 'x', 'AAAA', ' a/b', '\u0000'];
const REPLY_WORDS = ['i-1e', 'i0e', '0:', 'le', 'de', '99999999999:', 'e', 'd', 'l', '5:peers', 'i9007199254740993e'];
const REPLY =
  'd8:completei3e10:incompletei4e8:intervali1800e12:min intervali60e5:peers12:\u000a\u0000\u0000\u0001\u001aa' +
  '\u000a\u0000\u0000\u0002\u001ab6:peers60:10:tracker id3:abc15:warning message2:hie';

class Fuzz extends Dice {
  #mutate(bytes: Buffer, words: readonly string[]): Buffer {
    let changed = bytes;
    for (let times = this.below(4); times > 0; times--) {
      const at = this.below(changed.length + 1);
      const isWord = words.length > 0 && this.below(3) > 0;
      const word = isWord ? Buffer.from(words[this.below(words.length)]!) : this.bytes(this.below(5));
      changed = Buffer.concat([changed.subarray(0, at), word, changed.subarray(at + this.below(6))]);
    }
    return this.below(10) === 0 ? changed.subarray(0, this.below(changed.length + 1)) : changed;
  }

  round(): void {
    this.#request();
    this.#answer();
    this.#query();
    this.#reply();
    this.#word();
  }

  /** What a client says by UDP, as the tracker reads it. */
  #request(): void {
    const infoHash = this.bytes(20);
    const bytes = { uploadedBytes: 0, downloadedBytes: this.below(2 ** 31), leftBytes: this.below(3) };
    const urlData = `/${'k'.repeat(this.below(300))}?zone=a`;
    const announce = announceRequest(
      this.bytes(8),
      this.below(2 ** 32),
      { infoHash, peerId: this.bytes(20), port: this.below(65_536), numwant: this.below(300), ...bytes },
      urlData,
    );
    const whole = readUdpAnnounce(announce, 6);
    assert.deepEqual([whole?.query.infoHash, whole?.path], [infoHash.toString('latin1'), urlData.split('?')[0]]);
    const read = readUdpAnnounce(this.#mutate(announce, []), 18);
    assert.ok(read === null || (read.query.infoHash.length === 20 && read.query.numwant <= 1_300 / 18));
    const scrape = this.#mutate(scrapeRequest(this.bytes(8), 1, [infoHash, infoHash]), []);
    const hashes = scrape.length < HEAD_BYTES ? null : readUdpScrape(scrape);
    assert.ok(
      hashes === null || (hashes.length <= UDP_SCRAPE_HASHES_MAX && hashes.every(({ length }) => length === 20)),
    );
  }

  /** What a tracker says by UDP, as the client reads it. */
  #answer(): void {
    const body = this.bytes(12 + this.below(400));
    const bytes = Buffer.concat([Buffer.from([0, 0, 0, this.below(5)]), this.bytes(4), body]);
    const changed = this.#mutate(bytes, []);
    const head = replyHead(changed);
    assert.equal(head === null, changed.length < 8);
    if (head === null) return;
    readConnect(changed);
    assert.equal(printable(readError(changed), 300), readError(changed));
    const reply = readAnnounceReply(changed, this.below(2) === 0, this.random);
    assert.ok(reply === null || reply.peers.every(({ port }) => port > 0 && port < 65_536));
    readScrapeReply(changed, [this.bytes(20), this.bytes(20)]);
  }

  /** What a client says by HTTP. */
  #query(): void {
    const escaped = [...this.bytes(20)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
    const usual = `info_hash=${escaped}&peer_id=${escaped}&port=6881&left=1&numwant=50&event=started&compact=1`;
    const query = this.#mutate(Buffer.from(usual), QUERY_WORDS).toString('latin1');
    const read = parseAnnounce(query);
    if (typeof read !== 'string') {
      assert.deepEqual([read.infoHash.length, read.peerId.length], [20, 20]);
      assert.ok(read.port >= 0 && read.port < 65_536);
    }
    const hashes = parseScrape(query);
    assert.ok(typeof hashes === 'string' || hashes.length <= SCRAPE_HASHES_MAX);
    const text = `GET /announce?${query} HTTP/1.1\r\nHost: a\r\n\r\n`;
    const plain = readPlainAnnounce(text, 0);
    assert.ok(plain === null || (plain.query === query && plain.end === text.length));
    readPlainAnnounce(this.#mutate(Buffer.from(text, 'latin1'), ['\r\n', 'Host: b\r\n']).toString('latin1'), 0);
  }

  /** What trackers tell each other of a peer, through a table in which anybody may write. */
  #word(): void {
    const compact = this.bytes(this.below(2) === 0 ? 6 : 18);
    const kind = (['seed', 'leech', 'stopped'] as const)[this.below(3)]!;
    const zone = this.below(2) === 0 ? '' : 'eu-1/rack7';
    const text = encodeWord(kind, compact, this.bytes(20).toString('latin1'), zone);
    const changed = this.#mutate(Buffer.from(text, 'latin1'), WORD_WORDS).toString('utf8');
    for (const each of [text, changed]) {
      const word = parseWord(each);
      if (word === null) continue;
      // Who reads one would write the same.
      assert.equal(encodeWord(word.kind, word.compact, word.peerId, word.zone), each);
      assert.ok(word.compact.at(-1) !== 0 || word.compact.at(-2) !== 0);
    }
  }

  /** What a tracker says by HTTP. */
  #reply(): void {
    const body = this.#mutate(Buffer.from(REPLY, 'latin1'), REPLY_WORDS);
    try {
      const reply = readReply(body, 'tracker', 'http://a/');
      const reading = { random: this.random, ownId: this.bytes(20) };
      const { peers } = readAnnounce(reply, reading, 'tracker', 'http://a/');
      assert.ok(peers.every(({ port }) => port > 0 && port < 65_536));
      readScrape(reply, [this.bytes(20)], 'tracker', 'http://a/');
    } catch (error) {
      if (!(error instanceof HaulError) || error.code !== 'TRACKER') throw error;
      assert.equal(printable(error.message, 400), error.message);
    }
  }
}

export function fuzzTrackers(options: FuzzOptions): { readonly rounds: number } {
  const fuzz = new Fuzz(options.seed);
  return { rounds: fuzzRounds(() => fuzz.round(), options) };
}

fuzzFromShell(import.meta.url, (options) => `${fuzzTrackers(options).rounds} rounds`);
