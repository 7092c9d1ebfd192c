/**
 * One case: a mapped download or seed of which a file is cut off at a moment drawn from a seed, beside another torrent
 * of its engine.
 *
 *   both run -> the victim's file is cut -> it fails with BAD_DATA and names the file -> the other one is done
 *   -> the engine closes, exit 0
 *   -> of a download: what is left is taken up by another engine, and ends with equal bytes
 */
import * as fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Child, startChild } from '../../lab/child.js';
import { Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { until, withDeadline } from '../../lab/wait.js';
import type { Torrent } from '../../src/api.js';
import { makeRandom } from '../../src/random.js';
import { type DataSet, startEngine } from '../support/engines.js';
import type { CutOrder, CutReport } from './cut-engine.js';
import type { Dice } from './disturbances.js';

export interface CutStage {
  readonly victims: readonly DataSet[];
  readonly bystander: DataSet;
  /** Of a seed in this process, which has all of them. */
  readonly port: number;
  /** False: the engines run without the native library. */
  readonly isGuarded: boolean;
}

export interface CutCase {
  readonly number: number;
  readonly isSeed: boolean;
  readonly victim: number;
  /** Of the victim's pieces, gone over the line when it is cut. */
  readonly fraction: number;
  readonly delayMs: number;
  readonly limit: number;
  /** It is made as long as before again at once. */
  readonly isMended: boolean;
  readonly dice: Dice;
}

export interface CutOutcome {
  /** Null: all is as it should be. */
  readonly trouble: string | null;
  /** Pages that would have ended the process. */
  readonly faults: number;
  /** Of a seed: bytes that its leech threw away. */
  readonly corruptBytes: number;
  readonly story: string;
}

const ENGINE = fileURLToPath(new URL('./cut-engine.js', import.meta.url));
const DEADLINE_MS = 30_000;
const LIMITS = [0, 100_000_000, 40_000_000, 40_000_000];
const MOST_DELAY_MS = 15;
const MENDED_SHARE = 0.15;

export function drawCut(seed: number, number: number, victims: number): CutCase {
  const dice = makeRandom((seed * 1_000_003 + number) >>> 0);
  return {
    number,
    isSeed: number % 3 === 2,
    victim: Math.floor(number / 3) % victims,
    fraction: 0.02 + 0.9 * dice(),
    delayMs: dice() < 0.3 ? 0 : Math.floor(dice() * MOST_DELAY_MS),
    limit: LIMITS[Math.floor(dice() * LIMITS.length)]!,
    isMended: dice() < MENDED_SHARE,
    dice,
  };
}

export function nameOf({ isSeed, victim, fraction, delayMs, limit, isMended }: CutCase): string {
  const speed = limit === 0 ? 'unlimited' : `${limit / 1e6} MB/s`;
  const what = `${isSeed ? 'seed' : 'download'} of ${victim === 0 ? 'a file' : 'a tree'}, ${speed}`;
  return `${what}, cut${isMended ? ' and mended' : ''} ${delayMs} ms after ${Math.round(fraction * 100)} %`;
}

export async function runCut(stage: CutStage, drawn: CutCase): Promise<CutOutcome> {
  const scope = new Scope();
  try {
    return await new CutRun(scope, stage, drawn).run();
  } finally {
    await scope.close();
  }
}

class CutRun {
  readonly #scope: Scope;
  readonly #stage: CutStage;
  readonly #case: CutCase;
  readonly #victim: DataSet;
  #leech: Torrent | null = null;
  #corruptBytes = 0;

  constructor(scope: Scope, stage: CutStage, drawn: CutCase) {
    this.#scope = scope;
    this.#stage = stage;
    this.#case = drawn;
    this.#victim = stage.victims[drawn.victim]!;
  }

  async run(): Promise<CutOutcome> {
    const { isSeed, isMended } = this.#case;
    const folder = await tempFolder(this.#scope, fs.existsSync('/dev/shm') ? '/dev/shm' : undefined);
    const output = path.join(folder, 'victim');
    if (isSeed) fs.cpSync(this.#victim.folder, output, { recursive: true });
    const child = await this.#start(folder, output);
    const cut = await this.#cutInTime(child, output);
    const { told, text } = await this.#ending(child, isMended);
    const faults = told.find((report) => report.type === 'closed')?.faults ?? 0;
    const failure = told.find((report) => report.type === 'failed' && report.who === 'victim');
    const message = failure?.type === 'failed' ? `${failure.code}: ${failure.message}` : 'it did not fail';
    const trouble =
      (text !== 'exited with 0' && `the engine ${text}`) ||
      (!told.some((report) => report.type === 'done' && report.who === 'bystander') && 'the bystander is not done') ||
      // What is there again may be noticed, hashed and fetched anew.
      (!(isMended && failure === undefined) && !this.#names(message, cut) && `the victim: ${message}`) ||
      (!this.#isEqual(this.#stage.bystander, path.join(folder, 'bystander')) && 'the bystander has other bytes') ||
      (isSeed ? null : await this.#takenUp(output));
    return { trouble: trouble || null, faults, corruptBytes: this.#corruptBytes, story: `${text}; ${message}` };
  }

  async #start(folder: string, output: string): Promise<Child> {
    const { bystander, port, isGuarded } = this.#stage;
    const { isSeed, limit } = this.#case;
    const job = (set: DataSet, name: string): CutOrder['victim'] => {
      fs.writeFileSync(path.join(folder, `${name}.torrent`), set.torrent);
      return { torrentFile: path.join(folder, `${name}.torrent`), output: path.join(folder, name) };
    };
    const jobs = { victim: job(this.#victim, 'victim'), bystander: job(bystander, 'bystander') };
    const env = { SWARMHAUL_NATIVE: isGuarded ? '' : 'off' };
    const order: CutOrder = { ...jobs, isSeed, port, limit };
    const child = startChild(this.#scope, process.execPath, [ENGINE, JSON.stringify(order)], { env });
    const line = await child.line('it listens', DEADLINE_MS, (text) => text.includes('"listening"'));
    if (isSeed) {
      const leech = await startEngine(this.#scope, { storage: 'positional' });
      const { port: seedPort } = JSON.parse(line) as { port: number };
      const peers = [{ host: '127.0.0.1', port: seedPort }];
      this.#leech = leech.add(this.#victim.metainfo, { output: `${output}-leech`, trackers: [], peers });
    }
    return child;
  }

  /** @returns the file that was cut */
  async #cutInTime(child: Child, output: string): Promise<string> {
    const { fraction, delayMs, isMended, dice } = this.#case;
    const { geometry } = this.#victim.metainfo;
    const wanted = Math.max(1, Math.floor(fraction * geometry.pieceCount));
    if (this.#leech === null) await child.line('some is verified', DEADLINE_MS, (line) => verified(line) >= wanted);
    else {
      const leech = this.#leech;
      await new Promise<void>((resolve) => {
        let count = 0;
        leech.on('verified', () => ++count >= wanted && resolve());
      });
    }
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
    const files = this.#victim.metainfo.files.filter(({ lengthBytes }) => lengthBytes > 0);
    const file = files[Math.floor(dice() * files.length)]!;
    const target = path.join(output, ...file.path);
    fs.truncateSync(target, Math.floor(dice() * file.lengthBytes));
    if (isMended) fs.truncateSync(target, file.lengthBytes);
    return target;
  }

  /** Waits until both torrents have ended in some way, then lets the engine close. */
  async #ending(child: Child, isMended: boolean): Promise<{ told: CutReport[]; text: string }> {
    const isOver = (who: string) => (line: string) => {
      const report = JSON.parse(line) as CutReport;
      const isFailure = report.type === 'failed' || (report.type === 'done' && (isMended || who === 'bystander'));
      return isFailure && 'who' in report && report.who === who;
    };
    try {
      await child.line('the bystander ends', DEADLINE_MS, isOver('bystander'));
      const isQuiet = isMended && this.#leech !== null;
      if (!isQuiet) await child.line('the victim ends', DEADLINE_MS, isOver('victim'));
    } catch {
      // The reports say which.
    }
    this.#corruptBytes = this.#leech?.stats().corruptBytes ?? 0;
    await this.#leech?.stop();
    child.send('end');
    const { text } = await withDeadline(child.exited, 'the engine closes', DEADLINE_MS);
    const told: CutReport[] = [];
    child.has((line) => told.push(JSON.parse(line) as CutReport) === 0);
    return { told, text };
  }

  #names(message: string, file: string): boolean {
    return message.startsWith('BAD_DATA: ') && message.includes(`${file} `);
  }

  #isEqual({ metainfo, folder }: DataSet, output: string): boolean {
    return metainfo.files.every(({ path: name }) =>
      fs.readFileSync(path.join(output, ...name)).equals(fs.readFileSync(path.join(folder, ...name))),
    );
  }

  /** Nothing that was never in the file is believed by the next run. */
  async #takenUp(output: string): Promise<string | null> {
    const engine = await startEngine(this.#scope);
    const peers = [{ host: '127.0.0.1', port: this.#stage.port }];
    const torrent = engine.add(this.#victim.metainfo, { output, trackers: [], peers });
    await until('the next run ends', DEADLINE_MS, () => torrent.state === 'seeding' || torrent.state === 'failed');
    const failure = torrent.state === 'failed' ? await torrent.done.catch((error: Error) => error.message) : null;
    await engine.close();
    if (failure !== null) return `the next run: ${String(failure)}`;
    return this.#isEqual(this.#victim, output) ? null : 'the next run says done over other bytes';
  }
}

function verified(line: string): number {
  const report = JSON.parse(line) as CutReport;
  return report.type === 'verified' ? report.count : 0;
}
