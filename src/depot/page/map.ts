/** The picture of who has what of a torrent: a line for us, one for each peer; and the same in words. */
import { byId, make, refill } from './dom.js';
import { percent, rate, shown } from './format.js';
import { json, Refused } from './http.js';

interface PieceMap {
  readonly name: string;
  readonly infoHash: string;
  readonly pieceCount: number;
  readonly own: readonly number[];
  readonly peers: readonly {
    readonly address: string;
    readonly client: string;
    readonly isSeed: boolean;
    readonly downloadBytesPerSec: number;
    readonly uploadBytesPerSec: number;
    readonly shares: readonly number[];
  }[];
  readonly peerCount: number;
}

const LINE = 12;
const GAP = 3;
/** Pixels of the canvas; CSS makes it as wide as there is room. */
const WIDTH = 1024;

let shownHash: string | null = null;

export function openMap(infoHash: string): void {
  shownHash = infoHash;
  const box = byId('map');
  box.hidden = false;
  void refreshMap().then(() => byId('map-close').focus());
}

export function watchMap(): void {
  byId('map-close').addEventListener('click', closeMap);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => void refreshMap());
}

function closeMap(): void {
  const key = `map ${shownHash}`;
  shownHash = null;
  byId('map').hidden = true;
  const buttons = [...byId('torrents').querySelectorAll<HTMLElement>('[data-key]')];
  (buttons.find(({ dataset }) => dataset.key === key) ?? byId('stored')).focus();
}

export async function refreshMap(): Promise<void> {
  const infoHash = shownHash;
  if (infoHash === null) return;
  try {
    const map = await json<PieceMap>(`/status/${infoHash}`);
    if (shownHash === infoHash) drawMap(map);
  } catch (error) {
    if (!(error instanceof Refused) || error.status !== 404 || shownHash !== infoHash) return;
    byId('map-title').textContent = 'It sleeps: nobody wants it now';
    refill(byId('map-text'), []);
  }
}

const average = (shares: readonly number[]): number =>
  shares.length === 0 ? 0 : Math.floor(shares.reduce((sum, share) => sum + share, 0) / shares.length);

function drawMap({ name, pieceCount, own, peers, peerCount }: PieceMap): void {
  byId('map-title').textContent = `Who has what of ${shown(name)}: ${pieceCount} pieces`;
  const lines = peers.map(({ address, client, shares, downloadBytesPerSec, uploadBytesPerSec }) => {
    const moves = `to it ${rate(uploadBytesPerSec)}, from it ${rate(downloadBytesPerSec)}`;
    return `${shown(address)} (${shown(client) || 'unknown'}) has ${average(shares)} %, ${moves}`;
  });
  if (peerCount > peers.length) lines.push(`and ${peerCount - peers.length} more`);
  refill(
    byId('map-text'),
    [`Here: ${average(own)} %`, ...lines].map((line) => make('li', {}, make('bdi', {}, line))),
  );
  paint([own, ...peers.map(({ shares }) => shares)]);
}

function paint(rows: readonly (readonly number[])[]): void {
  const canvas = byId<HTMLCanvasElement>('map-canvas');
  canvas.width = WIDTH;
  canvas.height = rows.length * (LINE + GAP) - GAP;
  const context = canvas.getContext('2d');
  if (context === null) return;
  const style = getComputedStyle(document.documentElement);
  const color = (name: string): string => style.getPropertyValue(name).trim();
  const colors = { none: color('--line'), some: color('--some'), all: color('--mark') };
  for (const [row, shares] of rows.entries()) {
    for (const [column, share] of shares.entries()) {
      const begin = Math.floor((column * WIDTH) / shares.length);
      const end = Math.floor(((column + 1) * WIDTH) / shares.length);
      context.fillStyle = share >= 100 ? colors.all : share > 0 ? colors.some : colors.none;
      const height = share > 0 && share < 100 ? Math.max(2, Math.round((LINE * percent(share, 100)) / 100)) : LINE;
      const top = row * (LINE + GAP);
      context.fillRect(begin, top + LINE - height, Math.max(1, end - begin - 1), height);
    }
  }
}
