/** The line of the bar: what of a sample fits into a terminal of so many columns. Pure. */
import { cellsOf, count, fitCells, formatBytes, formatRate, formatSeconds, percent, printable } from './format.js';
import type { Sample } from './sample.js';

/** The last column stays empty: a line that fills it wraps in some terminals. */
const MARGIN = 1;
const GAP = 2;
const NAME_LEAST = 7;
const NAME_MOST = 40;
const BAR_LEAST = 8;
const BAR_MOST = 24;
/** Widths that the figures usually have; kept free for them, so that the line does not jump. */
const RATE_CELLS = 10;
const LEFT_CELLS = 16;
const PEERS_CELLS = 9;
const BYTES_CELLS = 8;

interface Field {
  readonly text: string;
  /** Room that is kept for it. */
  readonly cells: number;
}

interface Layout {
  readonly name: number;
  readonly bar: number;
  /** By its place in the list of those that may be left out. */
  readonly has: readonly boolean[];
}

/** At most `columns - 1` cells wide. Phase, name, share and rate come first; the others where there is room. */
export function barLine(sample: Sample, columns: number): string {
  const name = sample.name === undefined ? '' : printable(sample.name);
  const room = Math.max(0, columns - MARGIN);
  return fitCells(sample.totalBytes > 0 ? lineWithEnd(sample, name, room) : lineWithoutEnd(sample, name, room), room);
}

function lineWithEnd(sample: Sample, name: string, room: number): string {
  const { doneBytes, totalBytes, secondsLeft } = sample;
  const share = `${percent(doneBytes, totalBytes).toFixed(1).padStart(5)}%`.padStart(6);
  const rate = formatRate(sample.bytesPerSec).padStart(RATE_CELLS);
  const total = formatBytes(totalBytes);
  const isDone = doneBytes >= totalBytes;
  const left = { text: isDone ? '' : `${formatSeconds(secondsLeft)} left`, cells: LEFT_CELLS };
  const done = {
    text: `${formatBytes(doneBytes).padStart(BYTES_CELLS)}/${total}`,
    cells: BYTES_CELLS + 1 + total.length,
  };
  const always = [sample.phase, share, rate];
  const { name: nameCells, bar, has } = layOut(always, name, [left, BAR, done, peersOf(sample)], room);
  return joined([
    `${sample.phase}${nameText(name, nameCells)}`,
    has[1] === true ? drawBar(doneBytes / totalBytes, bar) : '',
    share,
    has[2] === true ? done.text : '',
    rate,
    has[3] === true ? peersOf(sample).text.padEnd(PEERS_CELLS) : '',
    has[0] === true ? left.text : '',
  ]);
}

function lineWithoutEnd(sample: Sample, name: string, room: number): string {
  const rate = `${formatRate(sample.bytesPerSec).padStart(RATE_CELLS)} up`;
  const sent = { text: `${formatBytes(sample.torrent?.uploadedBytes ?? 0)} sent`, cells: BYTES_CELLS + 5 };
  const { name: nameCells, has } = layOut([sample.phase, rate], name, [sent, peersOf(sample)], room);
  return joined([
    `${sample.phase}${nameText(name, nameCells)}`,
    rate,
    has[0] === true ? sent.text : '',
    has[1] === true ? peersOf(sample).text : '',
  ]);
}

/** Stands for the bar among the fields. */
const BAR: Field = { text: '#', cells: BAR_LEAST };

function peersOf({ torrent }: Sample): Field {
  return torrent === undefined ? { text: '', cells: 0 } : { text: count(torrent.peers, 'peer'), cells: PEERS_CELLS };
}

/** What remains goes to the name first, then to the bar. */
function layOut(always: readonly string[], name: string, fields: readonly Field[], room: number): Layout {
  const wanted = Math.min(cellsOf(name), NAME_MOST);
  let used = 1 + always.reduce((sum, text) => sum + text.length, 0) + GAP * (always.length - 1);
  let nameCells = name === '' ? 0 : Math.min(wanted, NAME_LEAST);
  if (nameCells > 0) used += 1 + nameCells;
  const has = fields.map(({ text, cells }) => {
    if (cells === 0 || text === '' || used + GAP + cells > room) return false;
    used += GAP + cells;
    return true;
  });
  const more = Math.max(0, Math.min(wanted - nameCells, room - used));
  nameCells += more;
  const bar = Math.min(BAR_MOST, BAR_LEAST + Math.max(0, room - used - more));
  return { name: nameCells, bar, has };
}

function nameText(name: string, cells: number): string {
  if (cells === 0) return '';
  const all = cellsOf(name);
  if (all <= cells) return ` ${name}`;
  // Versions and extensions stand at the end.
  const tailCells = Math.floor((cells - 1) / 2);
  const characters = [...name];
  let tail = '';
  while (characters.length > 0 && cellsOf(characters.at(-1)! + tail) <= tailCells) tail = characters.pop()! + tail;
  const head = fitCells(characters.join(''), cells - 1 - cellsOf(tail));
  const cut = `${head}…${tail}`;
  return ` ${cut}${' '.repeat(cells - cellsOf(cut))}`;
}

function drawBar(share: number, cells: number): string {
  const full = Math.floor(Math.min(1, share) * cells);
  return '\u2588'.repeat(full) + '\u2591'.repeat(cells - full);
}

function joined(parts: readonly string[]): string {
  return ` ${parts.filter((part) => part !== '').join(' '.repeat(GAP))}`;
}
