/**
 * One case: a download that is disturbed and ended in a way drawn from a seed, and the downloads after it.
 *
 *   get (slow) -> at a drawn moment the output is disturbed -> Ctrl-C, kill -9, or it runs on -> the next get
 *   -> what it asks for, if it fails
 *
 * Survived: the next get ends with equal bytes, or with a clear error after which one more get ends with equal bytes.
 * Lost: anything else, above all exit 0 over other bytes, and whatever hangs.
 */
import * as fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type Child, startChild } from '../../lab/child.js';
import { Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { readTree } from '../../lab/tree.js';
import { withDeadline } from '../../lab/wait.js';
import { makeRandom } from '../../src/random.js';
import { DISTURBANCES, type Dice, type Disturbance, disturb } from './disturbances.js';
import { LENGTH_BYTES, type Offer, SHAPES, type Shape, type Stage } from './stage.js';

export const STORAGES = ['mapped', 'positional'] as const;
export const ENDS = ['Ctrl-C', 'kill -9', 'runs on'] as const;
export type StorageChoice = (typeof STORAGES)[number];
export type End = (typeof ENDS)[number];

export interface Case {
  readonly number: number;
  readonly disturbance: Disturbance;
  readonly storage: StorageChoice;
  readonly end: End;
  readonly shape: Shape;
  /** Of the bytes, verified when it is disturbed. */
  readonly fraction: number;
  /** From the disturbance to the signal. */
  readonly delayMs: number;
  readonly dice: Dice;
}

export interface Outcome {
  readonly isSurvived: boolean;
  /** The disturbed get was ended by SIGBUS: a mapped file was cut under it. */
  readonly isSigbus: boolean;
  /** The disturbed get said done over other bytes. */
  readonly isLie: boolean;
  /** The next get ended with a clear error, and one more healed. */
  readonly isRefused: boolean;
  /** One line. */
  readonly story: string;
}

const DELAY_MS = 400;
/** Slow enough that the disturbance hits the middle. */
const SLOW_BYTES_PER_SEC = 10_000_000;
const DEADLINE_MS = 60_000;
const HUNG = 'HUNG';

/**
 * All classes, in an order of the seed, again and again: what a run misses is left to chance no more than it must be.
 */
function classOf(seed: number, number: number): Pick<Case, 'disturbance' | 'storage' | 'end' | 'shape'> {
  const classes = DISTURBANCES.flatMap((disturbance) =>
    STORAGES.flatMap((storage) => ENDS.flatMap((end) => SHAPES.map((shape) => ({ disturbance, storage, end, shape })))),
  );
  const dice = makeRandom((seed * 1009 + Math.floor(number / classes.length)) >>> 0);
  for (let at = classes.length - 1; at > 0; at--) {
    const other = Math.floor(dice() * (at + 1));
    [classes[at], classes[other]] = [classes[other]!, classes[at]!];
  }
  return classes[number % classes.length]!;
}

export function drawCase(seed: number, number: number): Case {
  const dice = makeRandom((seed * 1_000_003 + number) >>> 0);
  return {
    number,
    ...classOf(seed, number),
    fraction: 0.02 + 0.9 * dice(),
    delayMs: dice() < 0.3 ? 0 : Math.floor(dice() * DELAY_MS),
    dice,
  };
}

export function nameOf({ disturbance, storage, end, shape }: Case): string {
  return `${disturbance}, ${storage}, ${end}, ${shape}`;
}

export async function runCase(stage: Stage, drawn: Case): Promise<Outcome> {
  const scope = new Scope();
  try {
    return await new CaseRun(scope, stage, drawn).run();
  } finally {
    await scope.close();
  }
}

interface Ended {
  readonly code: number | null;
  /** Exit code or signal, and the last line of complaint. */
  readonly text: string;
  readonly complaint: string;
}

class CaseRun {
  readonly #scope: Scope;
  readonly #stage: Stage;
  readonly #case: Case;
  readonly #offer: Offer;
  #output = '';
  /** It said done before it was disturbed: what came after is not its fault. */
  #wasDone = false;

  constructor(scope: Scope, stage: Stage, drawn: Case) {
    this.#scope = scope;
    this.#stage = stage;
    this.#case = drawn;
    this.#offer = stage.offers[drawn.shape];
  }

  async run(): Promise<Outcome> {
    // The file system chooses the storage where the build has no option for it: tmpfs is mapped, ext4 on a new kernel
    // positional.
    const parent = this.#case.storage === 'mapped' && fs.existsSync('/dev/shm') ? '/dev/shm' : os.tmpdir();
    this.#output = path.join(await tempFolder(this.#scope, parent), 'out');
    const first = await this.#disturbed();
    const isLie = first.code === 0 && !this.#wasDone && !(await this.#isEqual());
    const isSigbus = first.text.includes('SIGBUS');
    const next = await this.#get([]);
    const told = `first: ${first.text}; next: ${next.text}`;
    if (first.text === HUNG) return { isSurvived: false, isSigbus, isLie, isRefused: false, story: told };
    if (next.code === 0) {
      const isSurvived = await this.#isEqual();
      return { isSurvived, isSigbus, isLie, isRefused: false, story: isSurvived ? told : `${told}: OTHER BYTES` };
    }
    if (!isClear(next)) return { isSurvived: false, isSigbus, isLie, isRefused: false, story: `${told}: NOT CLEAR` };
    const last = await this.#get(this.#whatIsAsked(next.complaint));
    const isSurvived = last.code === 0 && (await this.#isEqual());
    return { isSurvived, isSigbus, isLie, isRefused: isSurvived, story: `${told}; then: ${last.text}` };
  }

  async #disturbed(): Promise<Ended> {
    const { fraction, delayMs, disturbance, end, dice } = this.#case;
    const child = this.#start(['--download-limit', String(SLOW_BYTES_PER_SEC), '--progress-interval', '10']);
    try {
      await child.line('some is verified', DEADLINE_MS, (line) => verifiedBytes(line) >= fraction * LENGTH_BYTES);
    } catch {
      return this.#ended(child);
    }
    const root = path.join(this.#output, this.#offer.name);
    this.#wasDone = child.has((line) => line.includes('"type":"result"'));
    if (fs.existsSync(root)) disturb(disturbance, root, dice);
    if (end !== 'runs on') {
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      signal(child, end === 'Ctrl-C' ? 'SIGINT' : 'SIGKILL');
    }
    return this.#ended(child);
  }

  async #get(more: readonly string[]): Promise<Ended> {
    return this.#ended(this.#start(more));
  }

  #start(more: readonly string[]): Child {
    const { torrentFile, peer } = this.#offer;
    const args = ['get', torrentFile, '--output', this.#output, '--peer', peer, '--port', '0', '--json'];
    const storage = this.#stage.isOurs ? ['--storage', this.#case.storage] : [];
    return startChild(this.#scope, process.execPath, [this.#stage.haul, ...args, ...storage, ...more]);
  }

  async #ended(child: Child): Promise<Ended> {
    try {
      const { code, text } = await withDeadline(child.exited, 'it ends', DEADLINE_MS);
      const complaint =
        code === 0
          ? ''
          : (child
              .tail()
              .split('\n')
              .findLast((line) => line.startsWith('haul: ')) ?? '');
      return { code, text: complaint === '' ? text : `${text} (${complaint})`, complaint };
    } catch {
      signal(child, 'SIGKILL');
      await child.exited;
      return { code: null, text: HUNG, complaint: '' };
    }
  }

  /** What the message of a failed get says to do. */
  #whatIsAsked(complaint: string): string[] {
    if (complaint.includes('--force')) return ['--force'];
    const away = /^haul: (\/.*) is longer than .*move it away/.exec(complaint)?.[1];
    if (away !== undefined) fs.renameSync(away, `${away}.away`);
    return [];
  }

  async #isEqual(): Promise<boolean> {
    try {
      const here = await readTree(path.join(this.#output, this.#offer.name));
      const there = await readTree(this.#offer.path);
      const isBeside = (name: string): boolean => name.endsWith('.away');
      for (const name of [...here.keys()]) if (isBeside(name)) here.delete(name);
      return JSON.stringify([...here]) === JSON.stringify([...there]);
    } catch {
      return false;
    }
  }
}

/** A message of one line that is no crash. */
function isClear({ complaint }: Ended): boolean {
  return complaint !== '' && !/internal error|at .*\.js:\d/.test(complaint);
}

function signal(child: Child, name: NodeJS.Signals): void {
  try {
    process.kill(child.pid, name);
  } catch {
    // It has ended by itself.
  }
}

function verifiedBytes(line: string): number {
  const found = /"verifiedBytes":(\d+)/.exec(line)?.[1];
  return found === undefined ? 0 : Number(found);
}
