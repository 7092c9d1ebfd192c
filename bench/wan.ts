/**
 * `npm run bench -- wan [options]`: one seed, one leech of the same client, and a long, slow or bad link between them:
 * which client makes the most of it, in turns, in one run.
 *
 *   --only NAME,…   --rows NAME,…   --size 40M   --turns 3   --piece-length 1M   --folder DIR   --small   --out FILE
 *   --seeds NAME,…     for each client of --only another seed instead of its own
 *   --congestion NAME  of both ends: cubic, bbr … (default: the kernel's; the result names it)
 *   --first-turn N     other dice
 *
 * A row is RTTms-MBITm, and behind it what is bad: `50ms-100m-1%` loses 1 % of the packets each way, `50ms-100m-20late`
 * delays 20 % of them by 5 ms, so that others overtake. A time is that of the whole round trip. The router in front of
 * the link holds what fits into the link (at least 64 KiB) and drops what comes then. The n-th packet of a way has the
 * same fate for every client of a turn. The clock is the whole process of the leech, from its start to its end
 * (libtorrent: to its word that all is there). `onLinkSec` is the part of it from its first packet on: without the
 * start of the program.
 * `ratio` is the time of the quickest other client through ours: above 1 ours is the quicker one.
 *
 * Two namespaces and a small program between them (support/wan/link.c): Linux, root, iproute2, cc and /dev/net/tun, or
 * it is skipped.
 */
import { parseArgs } from 'node:util';
import { Scope } from '../lab/scope.js';
import { checkCopy, defaultFolder, type Job, makeJobs, outputFolder } from './support/job.js';
import { count, length, lengths, list, oneOf } from './support/options.js';
import { median, Results, shortNumber, spreadOf, spreadText } from './support/results.js';
import { WAN_CLIENTS, type WanClient } from './support/wan/clients.js';
import { compileLink, congestionOf, linkMissing, openLink } from './support/wan/link.js';
import { DEFAULT_ROWS, type Row, rowNamed } from './support/wan/rows.js';

const OURS = 'swarmhaul';
const TABLES = { 'whole leech, s': 'seconds', 'from its first packet on, s': 'onLinkSec' } as const;

interface Meeting {
  readonly leech: WanClient;
  readonly seed: WanClient;
}

interface Course {
  readonly job: Job;
  readonly program: string;
  readonly congestion: string | undefined;
}

function clientNamed(option: string, name: string): WanClient {
  const known = WAN_CLIENTS.map((client) => client.name);
  const wanted = oneOf(option, name === 'ours' ? OURS : name, known);
  return WAN_CLIENTS.find((client) => client.name === wanted)!;
}

function parseOptions(argv: readonly string[]) {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      only: { type: 'string', default: WAN_CLIENTS.map(({ name }) => name).join(',') },
      seeds: { type: 'string' },
      rows: { type: 'string', default: DEFAULT_ROWS.join(',') },
      size: { type: 'string', default: '40M' },
      'piece-length': { type: 'string', default: '1M' },
      congestion: { type: 'string' },
      'first-turn': { type: 'string', default: '1' },
      folder: { type: 'string', default: defaultFolder() },
      turns: { type: 'string', default: '3' },
      small: { type: 'boolean', default: false },
      out: { type: 'string' },
    },
  });
  if (!values.small) return values;
  return {
    ...values,
    only: OURS,
    seeds: undefined,
    rows: '10ms-100m-1%',
    size: '2M',
    'piece-length': '256K',
    turns: '1',
  };
}

/** One transfer. Returns its figures and the checksum of the copy. */
async function meet(row: Row, { leech, seed }: Meeting, dice: number, { job, program, congestion }: Course) {
  const scope = new Scope();
  try {
    const output = await outputFolder(job);
    scope.defer(output.remove);
    const clients = new Scope();
    scope.defer(() => clients.close());
    const link = await openLink(scope, program, row, { seed: dice, congestion });
    const [near, far] = link.ends;
    await seed.seed(clients, { end: near, torrent: job.torrent, folder: job.dataFolder });
    const seat = { end: far, torrent: job.torrent, folder: output.folder };
    const seconds = await leech.leech(clients, seat, near.address);
    const endMs = Number(process.hrtime.bigint()) / 1e6;
    const checksum = await checkCopy(leech.name, output.copy, job);
    await clients.close();
    const { cpuSec, firstMs, ways } = await link.report();
    const [down] = ways;
    const figures = {
      seconds,
      onLinkSec: (endMs - firstMs) / 1000,
      toDataMs: down.dataFirstMs - firstMs,
      dataMs: down.dataLastMs - down.dataFirstMs,
      dataGapMs: down.dataGapMs,
      afterDataMs: endMs - down.dataLastMs,
      mbPerSec: job.lengthBytes / 1e6 / seconds,
      linkCpuPercent: (100 * cpuSec) / seconds,
      linkWorstMs: down.worstMs,
      droppedPackets: down.dropped,
      sentPackets: down.passed + down.lost + down.dropped,
    };
    return { figures, checksum };
  } finally {
    await scope.close();
  }
}

/** A row for each link, a column for each client: seconds, and the best other through ours. */
function comparison(results: Results, rows: readonly Row[], names: readonly string[], figure: string): string {
  const { runs } = results.contents();
  const lines = [['', ...names, 'ratio']];
  for (const row of rows) {
    const secondsOf = (name: string): number[] =>
      runs
        .filter(({ series, parameters }) => series === name && parameters?.link === row.name)
        .map(({ figures }) => figures[figure]!);
    const cells = names.map((name) => (secondsOf(name).length === 0 ? '–' : spreadText(spreadOf(secondsOf(name)))));
    const others = names.filter((name) => !name.startsWith(OURS) && secondsOf(name).length > 0);
    const best = Math.min(...others.map((name) => median(secondsOf(name))));
    const hasBoth = secondsOf(OURS).length > 0 && Number.isFinite(best);
    lines.push([row.name, ...cells, hasBoth ? shortNumber(best / median(secondsOf(OURS))) : '–']);
  }
  return lines.map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}

async function runTurns(
  rows: readonly Row[],
  meetings: readonly Meeting[],
  turns: readonly number[],
  course: Course,
  results: Results,
): Promise<void> {
  const broken = new Set<string>();
  for (const row of rows) {
    for (const turn of turns) {
      for (const meeting of meetings) {
        const series = seriesOf(meeting);
        const key = `${series}, ${row.name}`;
        if (broken.has(key)) continue;
        try {
          const run = { series, turn, parameters: { link: row.name }, ...(await meet(row, meeting, turn, course)) };
          results.add(run);
          process.stdout.write(`${JSON.stringify(run)}\n`);
        } catch (error) {
          // Ours must work; of the others what they do not do is told.
          if (series === OURS) throw error;
          broken.add(key);
          results.skip(key, `turn ${turn}: ${(error as Error).message}`);
        }
      }
    }
  }
}

const seriesOf = ({ leech, seed }: Meeting): string =>
  leech === seed ? leech.name : `${leech.name} from ${seed.name}`;

/** Those that are here; the others are named and left out. */
async function presentMeetings(values: { only: string; seeds: string | undefined }, results: Results) {
  const seeds = values.seeds === undefined ? [] : list(values.seeds).map((name) => clientNamed('seeds', name));
  const wanted = list(values.only).map((name, index) => {
    const leech = clientNamed('only', name);
    return { leech, seed: seeds[index] ?? leech };
  });
  const absent = new Set<WanClient>();
  for (const client of new Set(wanted.flatMap(({ leech, seed }) => [leech, seed]))) {
    const reason = await client.missing();
    if (reason === null) results.version(client.name, await client.version());
    else {
      results.skip(client.name, reason);
      absent.add(client);
    }
  }
  return wanted.filter(({ leech, seed }) => !absent.has(leech) && !absent.has(seed));
}

/** What both ends use when they are not told. */
async function kernelCongestion(program: string, congestion: string | undefined): Promise<string> {
  const scope = new Scope();
  try {
    const link = await openLink(scope, program, rowNamed('1ms-100m'), { seed: 1, congestion });
    return await congestionOf(link.ends[0]);
  } finally {
    await scope.close();
  }
}

export async function main(argv: readonly string[]): Promise<void> {
  const values = parseOptions(argv);
  const rows = list(values.rows).map(rowNamed);
  const first = count('first-turn', values['first-turn']);
  const turns = Array.from({ length: count('turns', values.turns) }, (_, index) => first + index);
  const lengthBytes = length('size', values.size);
  const pieceLengths = lengths('piece-length', values['piece-length']);
  const reason = await linkMissing();
  if (reason !== null) {
    const results = new Results('wan', { argv });
    results.skip('all', reason);
    await results.finish();
    return;
  }
  const scope = new Scope();
  try {
    const [job] = await makeJobs(scope, { folder: values.folder, lengthBytes, pieceLengths });
    const program = await compileLink(job!.workFolder);
    const congestion = await kernelCongestion(program, values.congestion);
    const { fileSystem, pieceLengthBytes } = job!;
    const parameters = { lengthBytes, pieceLengthBytes, fileSystem, turns: turns.length, congestion };
    const results = new Results('wan', { argv, parameters });
    const meetings = await presentMeetings({ only: values.only, seeds: values.seeds }, results);
    await runTurns(rows, meetings, turns, { job: job!, program, congestion: values.congestion }, results);
    await results.finish();
    const names = meetings.map(seriesOf);
    for (const [title, figure] of Object.entries(TABLES))
      process.stdout.write(`\n${title}, ${congestion}\n${comparison(results, rows, names, figure)}`);
  } finally {
    await scope.close();
  }
}
