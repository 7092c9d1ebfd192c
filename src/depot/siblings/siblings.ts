/**
 * The other depots of a store, as far as they are there, and what they are asked for: a chunk that is not here is
 * another's to bring from the store, or somebody has it already. Each chunk has an owner (rendezvous hashing over those
 * that are there), so depots that want the same at once bring it once, without a word about it. Whatever fails, the
 * answer is that nobody has it: the store is there for that.
 */
import { createHash, randomBytes } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import type { Log } from '../../log.js';
import type { BlobPart, PartSource } from '../store/port.js';
import { Connections } from './ask.js';
import { SIBLING_LIMITS, type SiblingTimes } from './limits.js';
import { isProof, NONCE_DIGITS, type Proofs } from './proofs.js';

export const PROOF_HEADER = 'x-haul-depot-proof';
const ID = /^[0-9a-f]{32}$/;

export interface SiblingsOptions {
  /** Base URLs; our own may be among them. */
  readonly urls: readonly string[];
  readonly id: string;
  readonly proofs: Proofs;
  /** Milliseconds that only go on. */
  readonly now: () => number;
  readonly log?: Log | undefined;
  /** Default: `SIBLING_LIMITS`. */
  readonly times?: Partial<SiblingTimes>;
}

interface Sibling {
  readonly url: string;
  /** Null: nobody is there, or not one of ours. */
  id: string | null;
  isLooking: boolean;
  lookedMs: number;
  /** Not asked for chunks before that. */
  awayUntilMs: number;
  failures: number;
}

/** 'no': it does not have it, and says so. */
type Outcome = 'given' | 'no' | 'failed';

/** Of a chunk at another depot. @param isBrought it is to be brought where it is not there */
export function pathOf({ sha256, begin, end }: BlobPart, isBrought: boolean): string {
  return `/siblings/blobs/${sha256}?begin=${begin}&end=${end}&bring=${isBrought}`;
}

export class Siblings implements PartSource {
  readonly #options: SiblingsOptions;
  readonly #siblings: readonly Sibling[];
  readonly #times: SiblingTimes;
  readonly #connections: Connections;
  readonly #closing = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  /** Resolves when all were looked for once, after the start. */
  #first: Promise<void> = Promise.resolve();
  #hurriedMs = Number.NEGATIVE_INFINITY;
  /** Chunks that were not what they were given for. */
  lies = 0;

  constructor(options: SiblingsOptions) {
    this.#options = options;
    this.#times = { ...SIBLING_LIMITS, ...options.times };
    this.#connections = new Connections(this.#times);
    const never = Number.NEGATIVE_INFINITY;
    const away = { id: null, isLooking: false, lookedMs: never, awayUntilMs: never, failures: 0 };
    this.#siblings = options.urls.map((url) => ({ url, ...away }));
    // As many questions listen to it as are asked at once.
    setMaxListeners(0, this.#closing.signal);
  }

  /** They can ask us, too. */
  start(): void {
    this.#first = this.#look(0);
    this.#timer = setInterval(() => void this.#look(this.#times.lookMs / 2), this.#times.lookMs).unref();
  }

  /** One of them has looked for us: it may have just come. */
  hurry(): void {
    const nowMs = this.#options.now();
    if (nowMs - this.#hurriedMs < this.#times.hurryMs) return;
    this.#hurriedMs = nowMs;
    void this.#look(0);
  }

  /** Of those that are there now, ours not among them. */
  get count(): number {
    return this.#live().length;
  }

  /** That were named, and are neither there nor this depot itself. */
  get missing(): number {
    return this.#siblings.filter(({ id }) => id === null).length;
  }

  close(): void {
    clearInterval(this.#timer);
    this.#closing.abort();
    this.#connections.close();
  }

  async isOurs(part: BlobPart): Promise<boolean> {
    // Who has just started does not yet know whether somebody is there.
    await this.#first;
    return this.#ownerOf(part) === null;
  }

  async bring(
    part: BlobPart,
    mayPassOn: boolean,
    into: Buffer,
    isGood: (bytes: Buffer) => Promise<boolean>,
  ): Promise<boolean> {
    const asked = new Set<Sibling>();
    for (let owner = this.#ownerOf(part); mayPassOn && owner !== null && !asked.has(owner); ) {
      asked.add(owner);
      const outcome = await this.#take(owner, part, true, into, isGood);
      if (outcome === 'given') return true;
      if (outcome === 'no') break;
      owner = this.#ownerOf(part);
    }
    const others = this.#live().filter((sibling) => !asked.has(sibling));
    const holders = others.map(async (sibling) => {
      if (await this.#has(sibling, part)) return sibling;
      throw new Error('not there');
    });
    const holder = await Promise.any(holders).catch(() => null);
    return holder !== null && (await this.#take(holder, part, false, into, isGood)) === 'given';
  }

  /** Null: it is ours. */
  #ownerOf(part: BlobPart): Sibling | null {
    let owner: Sibling | null = null;
    let most = weightOf(part, this.#options.id);
    for (const sibling of this.#live()) {
      const weight = weightOf(part, sibling.id!);
      if (weight <= most) continue;
      most = weight;
      owner = sibling;
    }
    return owner;
  }

  /** Two addresses of one depot count once. */
  #live(): Sibling[] {
    const nowMs = this.#options.now();
    const ids = new Set([this.#options.id]);
    return this.#siblings.filter(({ id, awayUntilMs }) => {
      if (id === null || awayUntilMs > nowMs || ids.has(id)) return false;
      ids.add(id);
      return true;
    });
  }

  async #has(sibling: Sibling, part: BlobPart): Promise<boolean> {
    return (await this.#ask(sibling, 'HEAD', part, false, Buffer.alloc(0))) === 200;
  }

  async #take(
    sibling: Sibling,
    part: BlobPart,
    isBrought: boolean,
    into: Buffer,
    isGood: (bytes: Buffer) => Promise<boolean>,
  ): Promise<Outcome> {
    const status = await this.#ask(sibling, 'GET', part, isBrought, into);
    if (status !== 200) return status === null ? 'failed' : 'no';
    if (await isGood(into)) {
      sibling.failures = 0;
      return 'given';
    }
    this.lies++;
    sibling.awayUntilMs = this.#options.now() + this.#times.liedMs;
    this.#options.log?.('warn', `the depot at ${shown(sibling)} gave wrong bytes of ${part.sha256}: it is not asked`);
    return 'failed';
  }

  /** Null: it is of no use now. */
  async #ask(
    sibling: Sibling,
    method: 'GET' | 'HEAD',
    part: BlobPart,
    isBrought: boolean,
    into: Buffer,
  ): Promise<number | null> {
    const { id } = sibling;
    if (id === null) return null;
    const path = pathOf(part, isBrought);
    const headers = { [PROOF_HEADER]: this.#options.proofs.question(id, path) };
    const { signal } = this.#closing;
    try {
      const url = new URL(sibling.url + path);
      const { status } = await this.#connections.ask({ url, method, headers, into, signal }, true);
      // It is another one than it was, or a proxy stands before several.
      if (status === 403) sibling.id = null;
      return status;
    } catch {
      const { awayMs, awayMsMax } = this.#times;
      sibling.awayUntilMs = this.#options.now() + Math.min(awayMsMax, awayMs * 2 ** sibling.failures++);
      sibling.id = null;
      return null;
    }
  }

  /** @param agoMs those that are away, if they were not looked for since */
  async #look(agoMs: number): Promise<void> {
    const nowMs = this.#options.now();
    const due = this.#siblings.filter(
      ({ id, isLooking, lookedMs }) =>
        !isLooking && nowMs - lookedMs >= (id === null ? agoMs : this.#times.lookAgainMs),
    );
    await Promise.all(due.map((sibling) => this.#greet(sibling)));
  }

  async #greet(sibling: Sibling): Promise<void> {
    sibling.isLooking = true;
    sibling.lookedMs = this.#options.now();
    const before = sibling.id;
    const id = await this.#idOf(sibling.url);
    sibling.isLooking = false;
    sibling.id = id;
    if (id === before || this.#closing.signal.aborted || id === this.#options.id) return;
    const what = id === null ? 'is not there' : 'is asked before the store';
    this.#options.log?.('info', `the depot at ${shown(sibling)} ${what}`);
  }

  /** Null: nobody who knows the secret. */
  async #idOf(base: string): Promise<string | null> {
    const nonce = randomBytes(NONCE_DIGITS / 2).toString('hex');
    const into = Buffer.alloc(this.#times.answerBytes);
    const url = new URL(`${base}/siblings/hello?nonce=${nonce}`);
    const { signal } = this.#closing;
    try {
      const asked = { url, method: 'GET', headers: {}, into, signal } as const;
      const { status, lengthBytes } = await this.#connections.ask(asked, false);
      if (status !== 200) return null;
      const { id, proof } = JSON.parse(into.toString('latin1', 0, lengthBytes)) ?? {};
      return ID.test(id) && isProof(proof, this.#options.proofs.hello(nonce, id)) ? id : null;
    } catch {
      return null;
    }
  }
}

function weightOf({ sha256, begin }: BlobPart, id: string): number {
  return createHash('sha256').update(`${sha256} ${begin} ${id}`).digest().readUIntBE(0, 6);
}

/** A URL may hold a password. */
function shown({ url }: Sibling): string {
  return new URL(url).host;
}
