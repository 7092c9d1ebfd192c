/**
 * `npm run bench -- swarm [--leeches 20] [--size 128M] [--piece-length 256K] [--rate 2M] [--seed-rate 2M]
 *   [--leaving-seed-rate 6M] [--slots 4|unlimited] [--cap auto|namespace|engine|none] [--turns 3] [--only SCENARIO]...
 *   [--folder /dev/shm] [--profile FOLDER] [--out FILE] [--small]`
 * One seed and many leeches, a process each with a rate cap each, meeting through our tracker. Times are compared with
 * the bound that the caps set (support/swarm-ideal.ts), bytes served by the seed with the size of the image; every copy
 * is checked.
 *   together     all leeches start at once
 *   staggered    one leech after the other, the last one bound later
 *   seed-leaves  start together; the seed leaves in order as soon as the leeches have on average 50 % of the image
 *                verified and every piece is verified by one leech at least. With equal caps that is near the end, so
 *                the seed's uplink is wider here.
 * `rate` is up and down of a leech, in bytes a second; seed rates are uplinks.
 */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startChild } from '../lab/child.js';
import { Scope } from '../lab/scope.js';
import { sha256File } from '../lab/tree.js';
import { withDeadline } from '../lab/wait.js';
import { createTorrent } from '../src/content/create.js';
import { createWorkPool } from '../src/work/pool.js';
import { busyBetween, machineTimes } from './support/busy.js';
import { CAP_NAMES, type CapMethod, type CapName, openCaps, type Place } from './support/caps.js';
import { removeAtEnd } from './support/job.js';
import { makeFile } from './support/make-file.js';
import { count, length, makeFolder, oneOf } from './support/options.js';
import { Results } from './support/results.js';
import { type CappedSwarm, idealLastSec, idealLeechSec, quantile } from './support/swarm-ideal.js';
import { Member, type PeerFigures, Progress, type Said, START_DEADLINE_MS } from './support/swarm-members.js';

const SCENARIOS = ['together', 'staggered', 'seed-leaves'] as const;
type Scenario = (typeof SCENARIOS)[number];

const SWARM_PEER = fileURLToPath(new URL('./support/swarm-peer.js', import.meta.url));
const HAUL = fileURLToPath(new URL('../src/cli/haul.cjs', import.meta.url));
const IMAGE = 'image.bin';
/** Nothing measured here may take longer than this many times the bound, or the fixed part for small images. */
const DEADLINE_TIMES_IDEAL = 20;
const DEADLINE_FIXED_MS = 120_000;
const LEAVE_AT_PROGRESS = 0.5;
/**
 * Below this part of the bound a cap did not hold. Not 1: buckets are full at the start, which a small image notices.
 */
const CAP_HOLDS_ABOVE = 0.8;
const BUSY_SHARE_MAX = 0.85;

interface Plan {
  readonly leeches: number;
  readonly imageBytes: number;
  readonly pieceLengthBytes: number;
  readonly rateBytesPerSec: number;
  readonly seedRateBytesPerSec: number;
  readonly leavingSeedRateBytesPerSec: number;
  readonly slots: string;
  readonly cap: CapName;
  readonly turns: number;
  readonly scenarios: readonly Scenario[];
  readonly folder: string;
  /** Folder for a CPU profile of each process, or null. */
  readonly profile: string | null;
}

interface Image {
  readonly torrent: string;
  readonly folder: string;
  readonly workFolder: string;
  readonly sha256: string;
  readonly pieceCount: number;
}

interface Outcome {
  readonly cap: string;
  readonly figures: Record<string, number>;
}

/** One run of one scenario. */
class SwarmRun {
  readonly scenario: Scenario;
  readonly swarm: CappedSwarm;
  readonly #plan: Plan;
  readonly #image: Image;
  readonly #scope: Scope;
  readonly #progress: Progress;
  readonly #doneMs: number[];
  #leeches: Member[] = [];
  #seed: Member | null = null;
  #startMs = 0;
  #seedLeft: { readonly sec: number; readonly progress: number } | null = null;
  #finished!: { readonly resolve: () => void; readonly reject: (error: Error) => void };

  constructor(scope: Scope, scenario: Scenario, plan: Plan, image: Image) {
    this.scenario = scenario;
    this.#scope = scope;
    this.#plan = plan;
    this.#image = image;
    this.#progress = new Progress(plan.leeches, image.pieceCount);
    this.#doneMs = new Array<number>(plan.leeches).fill(Number.NaN);
    const together: CappedSwarm = {
      imageBytes: plan.imageBytes,
      seedUpBytesPerSec: scenario === 'seed-leaves' ? plan.leavingSeedRateBytesPerSec : plan.seedRateBytesPerSec,
      leechUpBytesPerSec: plan.rateBytesPerSec,
      leechDownBytesPerSec: plan.rateBytesPerSec,
      startsSec: new Array<number>(plan.leeches).fill(0),
    };
    const stepSec = scenario === 'staggered' ? idealLastSec(together) / plan.leeches : 0;
    this.swarm = { ...together, startsSec: together.startsSec.map((_, leech) => leech * stepSec) };
  }

  async run(): Promise<Outcome> {
    const caps = await openCaps(this.#scope, this.#plan.cap);
    await this.#startProcesses(caps, await this.#startTracker(caps.hub));
    const finished = new Promise<void>((resolve, reject) => {
      this.#finished = { resolve, reject };
    });
    const before = machineTimes();
    this.#startMs = performance.now();
    for (const [leech, startSec] of this.swarm.startsSec.entries()) {
      const timer = setTimeout(() => this.#leeches[leech]!.child.send('start'), startSec * 1000);
      this.#scope.defer(() => clearTimeout(timer));
    }
    const deadlineMs = DEADLINE_FIXED_MS + DEADLINE_TIMES_IDEAL * 1000 * idealLastSec(this.swarm);
    await withDeadline(finished, `${this.scenario}: every leech complete`, deadlineMs);
    const busyShare = busyBetween(before, machineTimes());
    const seed = await this.#seed!.leave();
    const leeches = await Promise.all(this.#leeches.map((leech) => leech.leave()));
    await Promise.all(this.#leeches.map((leech) => leech.child.exited));
    for (const leech of this.#leeches) {
      if ((await sha256File(path.join(leech.folder, IMAGE))) !== this.#image.sha256) {
        throw new Error(`${this.scenario}: the copy in ${leech.folder} differs from the original`);
      }
    }
    return { cap: caps.name, figures: this.#figures(caps, seed, leeches, busyShare) };
  }

  async #startTracker(place: Place): Promise<string> {
    const args = ['track', '--host', place.host, '--port', '0', '--json'];
    const child = startChild(this.#scope, process.execPath, [HAUL, ...args], { namespace: place.namespace });
    const line = await child.line('tracker listens', START_DEADLINE_MS, (text) => text.includes('"announceUrl"'));
    return (JSON.parse(line) as { announceUrl: string }).announceUrl;
  }

  async #startProcesses(caps: CapMethod, tracker: string): Promise<void> {
    const { leechUpBytesPerSec, leechDownBytesPerSec, seedUpBytesPerSec } = this.swarm;
    const seedPlace = await caps.open({ uploadBytesPerSec: seedUpBytesPerSec, downloadBytesPerSec: seedUpBytesPerSec });
    this.#seed = this.#member('seed', this.#image.folder, seedPlace, tracker, () => {});
    for (let leech = 0; leech < this.#plan.leeches; leech++) {
      const place = await caps.open({
        uploadBytesPerSec: leechUpBytesPerSec,
        downloadBytesPerSec: leechDownBytesPerSec,
      });
      const folder = await mkdtemp(path.join(this.#image.workFolder, 'leech-'));
      this.#scope.defer(() => rm(folder, { recursive: true, force: true }));
      this.#leeches.push(this.#member('leech', folder, place, tracker, (said) => this.#onSaid(leech, said)));
    }
    await Promise.all([this.#seed, ...this.#leeches].map((member) => member.ready));
  }

  #member(role: string, folder: string, place: Place, tracker: string, onSaid: (said: Said) => void): Member {
    const { uploadBytesPerSec, downloadBytesPerSec } = place.engine;
    const { profile } = this.#plan;
    const node = profile === null ? [] : ['--cpu-prof', '--cpu-prof-dir', profile];
    const args = [...node, SWARM_PEER, role, this.#image.torrent, folder, '--host', place.host, '--tracker', tracker];
    args.push('--slots', this.#plan.slots);
    if (uploadBytesPerSec !== undefined) args.push('--up', String(uploadBytesPerSec));
    if (downloadBytesPerSec !== undefined) args.push('--down', String(downloadBytesPerSec));
    const child = startChild(this.#scope, process.execPath, args, { namespace: place.namespace });
    return new Member(child, folder, onSaid);
  }

  #onSaid(leech: number, said: Said): void {
    if (said.event === 'error') this.#finished.reject(new Error(`leech ${leech}: ${said.message}`));
    if (said.event === 'verified') this.#progress.verified(leech, said.pieces ?? []);
    if (said.event === 'done') this.#doneMs[leech] = performance.now();
    if (this.scenario === 'seed-leaves') this.#maySeedLeave();
    if (!this.#doneMs.some(Number.isNaN)) this.#finished.resolve();
  }

  #maySeedLeave(): void {
    const { isOneCopyOut, mean } = this.#progress;
    if (this.#seedLeft !== null || !isOneCopyOut || mean < LEAVE_AT_PROGRESS) return;
    this.#seedLeft = { sec: (performance.now() - this.#startMs) / 1000, progress: mean };
    void this.#seed!.leave();
  }

  #figures(
    caps: CapMethod,
    seed: PeerFigures,
    leeches: readonly PeerFigures[],
    busyShare: number,
  ): Record<string, number> {
    const { imageBytes, startsSec } = this.swarm;
    const sum = (pick: (figures: PeerFigures) => number) => leeches.reduce((total, each) => total + pick(each), 0);
    const ends = this.#doneMs.map((ms) => (ms - this.#startMs) / 1000);
    const times = ends.map((end, leech) => end - startsSec[leech]!);
    const figures: Record<string, number> = {
      p50Sec: quantile(times, 0.5),
      p99Sec: quantile(times, 0.99),
      lastSec: Math.max(...ends),
      seedServedImages: seed.uploadedBytes / imageBytes,
      wastedShare: sum((each) => each.wastedBytes) / (imageBytes * leeches.length),
      cpuSecPerGb: (seed.cpuSec + sum((each) => each.cpuSec)) / ((imageBytes * leeches.length) / 1e9),
      machineBusyShare: busyShare,
      leechPeakMiB: Math.max(...leeches.map((each) => each.peakMiB)),
    };
    if (this.#seedLeft !== null) {
      figures.seedLeftSec = this.#seedLeft.sec;
      figures.seedLeftAtShare = this.#seedLeft.progress;
    }
    if (caps.name !== 'none') this.#compareWithIdeal(figures, times);
    return figures;
  }

  #compareWithIdeal(figures: Record<string, number>, times: readonly number[]): void {
    const ratios = times.map((time, leech) => time / idealLeechSec(this.swarm, leech));
    figures.idealLastSec = idealLastSec(this.swarm);
    figures.p50TimesIdeal = quantile(ratios, 0.5);
    figures.p99TimesIdeal = quantile(ratios, 0.99);
    figures.lastTimesIdeal = figures.lastSec! / figures.idealLastSec;
    if (figures.lastTimesIdeal < CAP_HOLDS_ABOVE) {
      const times = figures.lastTimesIdeal.toFixed(2);
      throw new Error(`${this.scenario}: the last copy took ${times} of the bound: the caps did not hold`);
    }
    if (figures.machineBusyShare! > BUSY_SHARE_MAX) {
      process.stderr.write(`${this.scenario}: the machine was busy, not only the links: lower --rate or --leeches\n`);
    }
  }
}

async function makeImage(scope: Scope, plan: Plan): Promise<Image> {
  await makeFolder(plan.folder);
  const workFolder = await mkdtemp(path.join(plan.folder, 'swarmhaul-swarm-'));
  removeAtEnd(scope, workFolder);
  const folder = path.join(workFolder, 'data');
  await mkdir(folder);
  const file = path.join(folder, IMAGE);
  await makeFile(file, plan.imageBytes, 1);
  const pool = createWorkPool({ threads: os.availableParallelism() });
  const torrent = path.join(workFolder, `${IMAGE}.torrent`);
  await writeFile(torrent, await createTorrent(file, { pieceLengthBytes: plan.pieceLengthBytes }, pool));
  await pool.close();
  const pieceCount = Math.ceil(plan.imageBytes / plan.pieceLengthBytes);
  return { torrent, folder, workFolder, sha256: await sha256File(file), pieceCount };
}

function readPlan(argv: readonly string[]): Plan {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      leeches: { type: 'string' },
      size: { type: 'string' },
      'piece-length': { type: 'string' },
      rate: { type: 'string' },
      'seed-rate': { type: 'string' },
      'leaving-seed-rate': { type: 'string' },
      slots: { type: 'string', default: '4' },
      cap: { type: 'string', default: 'auto' },
      turns: { type: 'string' },
      only: { type: 'string', multiple: true, default: [...SCENARIOS] },
      folder: { type: 'string', default: existsSync('/dev/shm') ? '/dev/shm' : os.tmpdir() },
      profile: { type: 'string' },
      out: { type: 'string' },
      small: { type: 'boolean', default: false },
    },
  });
  const pick = (given: string | undefined, full: string, small: string) => given ?? (values.small ? small : full);
  const rateBytesPerSec = length('rate', pick(values.rate, '2M', '8M'));
  return {
    leeches: count('leeches', pick(values.leeches, '20', '3')),
    imageBytes: length('size', pick(values.size, '128M', '4M')),
    pieceLengthBytes: length('piece-length', pick(values['piece-length'], '256K', '64K')),
    rateBytesPerSec,
    seedRateBytesPerSec: length('seed-rate', values['seed-rate'] ?? String(rateBytesPerSec)),
    leavingSeedRateBytesPerSec: length('leaving-seed-rate', values['leaving-seed-rate'] ?? String(3 * rateBytesPerSec)),
    slots: values.slots === 'unlimited' ? values.slots : String(count('slots', values.slots)),
    cap: oneOf('cap', values.cap, CAP_NAMES),
    turns: count('turns', pick(values.turns, '3', '1')),
    scenarios: values.only.map((name) => oneOf('only', name, SCENARIOS)),
    folder: values.folder,
    profile: values.profile ?? null,
  };
}

async function runOnce(scenario: Scenario, plan: Plan, image: Image): Promise<Outcome> {
  const scope = new Scope();
  try {
    return await new SwarmRun(scope, scenario, plan, image).run();
  } finally {
    await scope.close();
  }
}

export async function main(argv: readonly string[]): Promise<void> {
  const plan = readPlan(argv);
  const scope = new Scope();
  try {
    const image = await makeImage(scope, plan);
    const { folder: _folder, scenarios: _scenarios, cap: _cap, profile: _profile, ...parameters } = plan;
    const results = new Results('swarm', { argv, parameters });
    for (let turn = 0; turn < plan.turns; turn++) {
      for (const scenario of plan.scenarios) {
        const { cap, figures } = await runOnce(scenario, plan, image);
        results.add({ series: scenario, turn, parameters: { cap }, figures, checksum: image.sha256 });
        process.stdout.write(`${JSON.stringify({ scenario, turn, cap, ...figures })}\n`);
      }
    }
    process.stdout.write(
      `${plan.leeches} leeches, ${plan.imageBytes} bytes, sha256 of every copy ${image.sha256.slice(0, 16)}\n`,
    );
    await results.finish();
  } finally {
    await scope.close();
  }
}
