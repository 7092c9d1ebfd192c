/** `haul inspect MAGNET`: what the link says. Nothing is fetched. */
import { type FileRange, type Magnet, parseMagnet } from '../magnet/link.js';
import { formatAddress } from '../net/address.js';
import { shownUrl } from '../net/url.js';
import { printable } from './format.js';

/** The fields of the line of --json, and the text. @throws HaulError */
export function describeMagnet(link: string): { readonly fields: Record<string, unknown>; readonly text: string } {
  const magnet = parseMagnet(link);
  const { displayName, infoHashHex, trackers, webSeeds, peers, selectOnly, warnings } = magnet;
  const wanted = selectOnly === null ? null : selectOnly.map(rangeText).join(',');
  const fields = {
    outcome: 'done',
    name: displayName,
    infoHash: infoHashHex,
    trackers: trackers.map((url) => [url]),
    webSeeds,
    peers: peers.map(formatAddress),
    selectOnly: wanted,
    warnings,
  };
  return { fields, text: textOf(magnet, wanted) };
}

function textOf({ displayName, infoHashHex, trackers, webSeeds, peers, warnings }: Magnet, wanted: string | null) {
  const lines = [
    ...rows('name', displayName === null ? [] : [`${displayName} (a hint: the torrent says its name itself)`]),
    ...rows('info-hash', [infoHashHex]),
    ...rows('trackers', trackers.map(shownUrl)),
    ...rows('web seeds', webSeeds.map(shownUrl)),
    ...rows('peers', peers.map(formatAddress)),
    ...rows('files', wanted === null ? [] : [`${wanted} (places in the torrent, from 0)`]),
    ...warnings.map((warning) => row('warning', warning)),
    '',
    'a magnet link: what is in the torrent is known when its peers were asked, with haul get',
  ];
  return lines.join('\n');
}

function rows(title: string, values: readonly string[]): string[] {
  return values.map((value, index) => row(index === 0 ? title : '', value));
}

function row(title: string, value: string): string {
  return `${title.padEnd(10)} ${printable(value)}`;
}

function rangeText({ first, last }: FileRange): string {
  return first === last ? String(first) : `${first}-${last}`;
}
