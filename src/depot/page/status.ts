/** Draws what `/status` says. */
import type { Status, StatusNext, StatusTorrent, StatusUpload } from '../status.js';
import { button, byId, type Child, make, refill } from './dom.js';
import { age, bytes, percent, rate, shown, span, until } from './format.js';

export function nameOf(name: string): HTMLElement {
  return make('bdi', { class: 'name', title: shown(name) }, shown(name));
}

/** @param onMap somebody wants to see who has what */
export function draw(status: Status, onMap: (torrent: StatusTorrent) => void): void {
  const nowMs = Date.parse(status.time);
  byId('kind').textContent = `Swarmhaul ${status.kind}`;
  byId('version').textContent = status.version;
  byId('depot-links').hidden = status.kind === 'agent';
  document.title = `Swarmhaul ${status.kind} · ${location.host}`;
  drawFigures(status);
  drawDisk(status);
  const does = status.kind === 'agent' ? 'Fetching' : 'Publishing';
  list(
    'uploads',
    status.uploads.map((upload) => uploadItem(upload, does)),
  );
  refill(
    byId('torrents'),
    status.torrents.map((torrent) => torrentRow(torrent, onMap)),
  );
  byId('torrents-box').hidden = status.torrents.length === 0;
  byId('moves-none').hidden = status.uploads.length + status.torrents.length > 0;
  list(
    'next',
    status.next.map((next) => nextItem(next, nowMs)),
    'next-none',
  );
  const problems = status.problems.map(({ time, count, text, status: code }) => {
    const times = count === 1 ? '' : `, ${count} times`;
    return make('li', {}, `${age(time, nowMs)} ago${times}: ${code === 0 ? '' : `${code} `}`, nameOf(text));
  });
  list('problems', problems, 'problems-none');
}

function list(id: string, items: readonly HTMLElement[], noneId?: string): void {
  refill(byId(id), items);
  byId(id).hidden = items.length === 0;
  if (noneId !== undefined) byId(noneId).hidden = items.length > 0;
}

function drawFigures(status: Status): void {
  const figures: readonly (readonly [string, string])[] = [
    ['Artifacts', status.stored.names.toLocaleString('en')],
    ['Bytes', bytes(status.stored.blobBytes)],
    ['To peers', rate(status.uploadBytesPerSec)],
    ['From peers', rate(status.downloadBytesPerSec)],
    ['Sent to peers', bytes(status.uploadedBytes)],
    ['Peers', `${status.connections} of ${Math.max(status.connections, status.peers)}`],
    ['Torrents awake', String(status.torrentCount)],
    ['Requests', String(status.requests)],
  ];
  refill(
    byId('figures'),
    figures.map(([term, value]) => make('div', {}, make('dt', {}, term), make('dd', {}, value))),
  );
}

function drawDisk({ disk }: Status): void {
  const { usedBytes, freeBytes, totalBytes, highBytes, lowBytes, highShare } = disk;
  const parts = [`Disk: ${bytes(usedBytes)} are ours`];
  if (freeBytes !== null && totalBytes !== null) parts.push(`${bytes(freeBytes)} of ${bytes(totalBytes)} are free`);
  if (highBytes !== null) parts.push(`above ${bytes(highBytes)} names go, down to ${bytes(lowBytes ?? highBytes)}`);
  if (highShare !== null) parts.push(`so they do when ${Math.round(highShare * 100)} % of the disk are used`);
  byId('disk-text').textContent = `${parts.join('; ')}.`;
  const whole = highBytes ?? (freeBytes === null ? 0 : usedBytes + freeBytes);
  byId('disk-own').style.width = `${percent(usedBytes, whole)}%`;
}

function uploadItem({ name, lengthBytes, receivedBytes, seconds }: StatusUpload, does: string): HTMLElement {
  const speed = seconds !== null && seconds > 0 ? `, ${rate(receivedBytes / seconds)}` : '';
  const of = lengthBytes === null ? '' : ` of ${bytes(lengthBytes)}, ${percent(receivedBytes, lengthBytes)} %`;
  const bar: Child[] = [];
  if (lengthBytes !== null && lengthBytes > 0) {
    const label = `${does} ${shown(name)}`;
    bar.push(make('progress', { max: '100', value: String(percent(receivedBytes, lengthBytes)), 'aria-label': label }));
  }
  return make(
    'li',
    {},
    `${does} `,
    nameOf(name),
    ` ${bytes(receivedBytes)}${of}${speed}${seconds === null ? '' : `, ${span(seconds)}`} `,
    ...bar,
  );
}

function torrentRow(torrent: StatusTorrent, onMap: (torrent: StatusTorrent) => void): HTMLElement {
  const { name, infoHash, peers, lengthBytes, verifiedBytes, downloadBytesPerSec, uploadBytesPerSec } = torrent;
  const cell = (text: string): HTMLElement => make('td', {}, text);
  const show = button('Show', `Show who has what of ${shown(name)}`, `map ${infoHash}`, () => onMap(torrent));
  return make(
    'tr',
    {},
    make('th', { scope: 'row', class: 'name' }, nameOf(name)),
    cell(String(peers)),
    cell(`${percent(verifiedBytes, lengthBytes)} % of ${bytes(lengthBytes)}`),
    cell(rate(downloadBytesPerSec)),
    cell(rate(uploadBytesPerSec)),
    make('td', {}, show),
  );
}

const REASONS = { age: 'its time is over', idle: 'nobody fetches it', watermark: 'there is no more room' } as const;

function nextItem({ name, lengthBytes, reason, at, obstacle }: StatusNext, nowMs: number): HTMLElement {
  const when = at === null ? 'when room is needed' : `${until(at, nowMs)}: ${REASONS[reason]}`;
  const held = obstacle === null ? '' : ` (held: ${obstacle})`;
  return make('li', {}, nameOf(name), ` ${bytes(lengthBytes)}, ${when}${held}`);
}
