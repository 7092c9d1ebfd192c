/**
 * Load of the tracker bench over UDP (BEP 15), as a process of its own:
 *   udp-load --port N --swarms N --peers N [--host 127.0.0.1] [--sockets 4] [--outstanding 32] [--seconds 8]
 *            [--announces N] [--timeout-ms 500]
 * The peers are those of announces.lua, walked in the same order. Each socket connects, again once per minute, and
 * keeps `outstanding` announces under way until the seconds are over or that many announces are answered. One that is
 * not answered in time is lost: counted, and sent again. An answer of another kind than announce, an answer to what was
 * never asked, and a peer list that is not whole end the load with an error. Prints one JSON line; `cpuSeconds` are its
 * own, to be compared with the tracker's.
 */
import { parseArgs } from 'node:util';
import { Datagrams } from '../../src/native/datagrams.js';
import { DatagramSocket, waitForAny } from './datagrams.js';

const PROTOCOL_ID = 0x41727101980n;
const CONNECT = 0;
const ANNOUNCE = 1;
const ERROR = 3;
const CONNECT_BYTES = 16;
const ANNOUNCE_BYTES = 98;
/**
 * Of an announce, without connection, action and transaction: info-hash and peer id of 20 bytes each, downloaded, and
 * then what is named here.
 */
const TAIL_AT = 16;
const TAIL_BYTES = ANNOUNCE_BYTES - TAIL_AT;
const LEFT_AT = 48;
const NUMWANT_AT = 76;
const PORT_AT = 80;
const ANSWER_BYTES = 20;
const PEER_BYTES = 6;
/** 200 peers, the most that trackers name, and some. */
const RECEIVE_BYTES = 2048;
/** BEP 15: a client may use a connection id for one minute. */
const CONNECTION_MS = 60_000;
const TRIES_MAX = 8;
const NUMWANT = 50;
/** As in announces.lua: a prime, so that it meets all peers. */
const STEP = 7919;

/**
 * The peers to announce, round and round: the part of each announce that is always the same, made before the clock
 * starts.
 */
class Announces {
  readonly #tails: Buffer;
  readonly #count: number;
  #at = 0;

  constructor(swarms: number, peers: number) {
    this.#count = swarms * peers;
    this.#tails = Buffer.alloc(this.#count * TAIL_BYTES);
    for (let k = 0; k < this.#count; k++) {
      const peer = Math.floor(k / swarms);
      const tail = this.#tails.subarray(k * TAIL_BYTES, (k + 1) * TAIL_BYTES);
      tail.fill(0xaa, 0, 19);
      tail[19] = k % swarms;
      tail.write(`-XX0001-${String(k).padStart(12, '0')}`, 20, 'latin1');
      tail.writeBigUInt64BE(peer % 5 === 0 ? 0n : 1n, LEFT_AT);
      tail.writeInt32BE(NUMWANT, NUMWANT_AT);
      tail.writeUInt16BE(10_000 + peer, PORT_AT);
    }
  }

  next(): number {
    this.#at = (this.#at + STEP) % this.#count;
    return this.#at;
  }

  write(target: Buffer, at: number, k: number): void {
    this.#tails.copy(target, at, k * TAIL_BYTES, (k + 1) * TAIL_BYTES);
  }
}

interface LoadCounts {
  answered: number;
  /** Time-outs: an announce may have several. */
  lost: number;
  /** Answers that came after their time-out. */
  late: number;
  bytes: number;
}

/** One socket and its announces under way: slot i waits for `#transactions[i]`, 0 when it is free. */
class Announcer {
  readonly socket: DatagramSocket;
  readonly #outgoing: Datagrams;
  readonly #incoming: Datagrams;
  readonly #announces: Announces;
  readonly #counts: LoadCounts;
  readonly #timeoutMs: number;
  readonly #transactions: Uint32Array;
  readonly #sentAtMs: Float64Array;
  readonly #tries: Uint8Array;
  readonly #peers: Uint32Array;
  readonly #connectionId = Buffer.alloc(8);
  #connectedAtMs = Number.NEGATIVE_INFINITY;
  /** Transaction ids go up, slot = id % slots: so a late answer is told from one to nothing. */
  #round = 1;
  outstanding = 0;

  constructor(socket: DatagramSocket, slots: number, announces: Announces, counts: LoadCounts, timeoutMs: number) {
    this.socket = socket;
    this.#outgoing = new Datagrams(slots, ANNOUNCE_BYTES, false);
    this.#incoming = new Datagrams(slots, RECEIVE_BYTES, false);
    this.#announces = announces;
    this.#counts = counts;
    this.#timeoutMs = timeoutMs;
    this.#transactions = new Uint32Array(slots);
    this.#sentAtMs = new Float64Array(slots);
    this.#tries = new Uint8Array(slots);
    this.#peers = new Uint32Array(slots);
  }

  /** Sends lost ones again and up to `more` new ones. */
  send(nowMs: number, more: number): void {
    const isOld = nowMs - this.#connectedAtMs >= CONNECTION_MS;
    // What is under way is waited for, or lost, before the connection is made anew.
    if (isOld && more > 0 && this.outstanding === 0) this.#connect();
    let count = 0;
    let left = isOld && this.outstanding > 0 ? 0 : more;
    const slots = this.#transactions.length;
    for (let slot = 0; slot < slots; slot++) {
      const isFree = this.#transactions[slot] === 0;
      if (isFree && left > 0) {
        left--;
        this.outstanding++;
        this.#peers[slot] = this.#announces.next();
        this.#tries[slot] = 0;
      } else if (isFree || nowMs - this.#sentAtMs[slot]! < this.#timeoutMs) continue;
      else this.#counts.lost++;
      this.#put(count++, slot, nowMs);
    }
    if (count === 0) return;
    this.socket.send(this.#outgoing, count);
    this.#round++;
  }

  /** Takes what has arrived. Returns how many datagrams. */
  receive(): number {
    const count = this.socket.receive(this.#incoming);
    for (let i = 0; i < count; i++) this.#answer(i * RECEIVE_BYTES, this.#incoming.lengthOf(i));
    return count;
  }

  #put(index: number, slot: number, nowMs: number): void {
    this.#tries[slot]!++;
    if (this.#tries[slot]! > TRIES_MAX) throw new Error(`no answer to an announce, sent ${TRIES_MAX} times`);
    const transaction = this.#round * this.#transactions.length + slot;
    this.#transactions[slot] = transaction;
    this.#sentAtMs[slot] = nowMs;
    const { bytes } = this.#outgoing;
    const begin = index * ANNOUNCE_BYTES;
    this.#connectionId.copy(bytes, begin);
    bytes.writeUInt32BE(ANNOUNCE, begin + 8);
    bytes.writeUInt32BE(transaction, begin + 12);
    this.#announces.write(bytes, begin + TAIL_AT, this.#peers[slot]!);
    this.#outgoing.setLength(index, ANNOUNCE_BYTES);
  }

  #answer(begin: number, length: number): void {
    const { bytes } = this.#incoming;
    if (length < 8) throw new Error(`an answer of ${length} bytes`);
    const action = bytes.readUInt32BE(begin);
    if (action === ERROR)
      throw new Error(`the tracker refuses: ${bytes.toString('latin1', begin + 8, begin + length)}`);
    const transaction = bytes.readUInt32BE(begin + 4);
    const slots = this.#transactions.length;
    if (transaction < slots || transaction >= this.#round * slots)
      throw new Error(`an answer to transaction ${transaction}, which was never asked`);
    const isWhole = length >= ANSWER_BYTES && (length - ANSWER_BYTES) % PEER_BYTES === 0 && length < RECEIVE_BYTES;
    // Connecting again sends its own transactions, of which an answer may be late too.
    const isConnect = action === CONNECT && length === CONNECT_BYTES;
    if (!isConnect && (action !== ANNOUNCE || !isWhole)) throw new Error(`action ${action}, ${length} bytes`);
    const slot = transaction % slots;
    if (this.#transactions[slot] !== transaction || isConnect) {
      this.#counts.late++;
      return;
    }
    this.#transactions[slot] = 0;
    this.outstanding--;
    this.#counts.answered++;
    this.#counts.bytes += length;
  }

  #connect(): void {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const transaction = this.#round++ * this.#transactions.length;
      const request = this.#outgoing.bytes;
      request.writeBigUInt64BE(PROTOCOL_ID, 0);
      request.writeUInt32BE(CONNECT, 8);
      request.writeUInt32BE(transaction, 12);
      this.#outgoing.setLength(0, CONNECT_BYTES);
      this.socket.send(this.#outgoing, 1);
      const sentAtMs = performance.now();
      for (let restMs = this.#timeoutMs; restMs > 0; restMs = this.#timeoutMs - (performance.now() - sentAtMs)) {
        waitForAny([this.socket], Math.ceil(restMs));
        if (this.socket.receive(this.#incoming) === 0) continue;
        const answer = this.#incoming.bytes;
        const isMine = this.#incoming.lengthOf(0) >= CONNECT_BYTES && answer.readUInt32BE(4) === transaction;
        if (!isMine || answer.readUInt32BE(0) !== CONNECT) continue;
        answer.copy(this.#connectionId, 0, 8, 16);
        this.#connectedAtMs = sentAtMs;
        return;
      }
    }
    throw new Error(`no answer to connect, sent ${TRIES_MAX} times`);
  }
}

interface UdpLoadOptions {
  readonly host: string;
  readonly port: number;
  readonly sockets: number;
  /** Announces under way per socket. */
  readonly outstanding: number;
  readonly swarms: number;
  readonly peers: number;
  readonly timeoutMs: number;
  readonly seconds: number;
  /** Ends before the seconds are over; Infinity for no such end. */
  readonly announces: number;
}

/** Runs to the end; blocks. */
function runUdpLoad(options: UdpLoadOptions): LoadCounts & { seconds: number; cpuSeconds: number } {
  const counts: LoadCounts = { answered: 0, lost: 0, late: 0, bytes: 0 };
  const announces = new Announces(options.swarms, options.peers);
  const announcers = Array.from({ length: options.sockets }, () => {
    const socket = new DatagramSocket(options.host, options.port);
    return new Announcer(socket, options.outstanding, announces, counts, options.timeoutMs);
  });
  const sockets = announcers.map(({ socket }) => socket);
  const cpuBefore = process.cpuUsage();
  const startedAtMs = performance.now();
  let started = 0;
  for (let isGoing = true; isGoing; ) {
    const nowMs = performance.now();
    const isOpen = nowMs - startedAtMs < options.seconds * 1000;
    isGoing = false;
    for (const announcer of announcers) {
      const before = announcer.outstanding;
      announcer.send(nowMs, isOpen ? Math.min(options.outstanding - before, options.announces - started) : 0);
      started += announcer.outstanding - before;
      isGoing ||= announcer.outstanding > 0;
    }
    if (isGoing) waitForAny(sockets, options.timeoutMs);
    for (const announcer of announcers) announcer.receive();
  }
  const { user, system } = process.cpuUsage(cpuBefore);
  const seconds = (performance.now() - startedAtMs) / 1000;
  for (const socket of sockets) socket.close();
  return { ...counts, seconds, cpuSeconds: (user + system) / 1e6 };
}

const OPTIONS = {
  host: { type: 'string', default: '127.0.0.1' },
  port: { type: 'string' },
  sockets: { type: 'string', default: '4' },
  outstanding: { type: 'string', default: '32' },
  seconds: { type: 'string', default: '8' },
  announces: { type: 'string', default: 'Infinity' },
  swarms: { type: 'string' },
  peers: { type: 'string' },
  'timeout-ms': { type: 'string', default: '500' },
} as const;

const { values } = parseArgs({ options: OPTIONS });
const done = runUdpLoad({
  host: values.host,
  port: Number(values.port),
  sockets: Number(values.sockets),
  outstanding: Number(values.outstanding),
  swarms: Number(values.swarms),
  peers: Number(values.peers),
  timeoutMs: Number(values['timeout-ms']),
  seconds: Number(values.seconds),
  announces: Number(values.announces),
});
process.stdout.write(`${JSON.stringify(done)}\n`);
