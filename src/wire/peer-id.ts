/** Peer ids (BEP 20): ours, and the client that a foreign one names. */

/** Azureus style: two letters and four digits of the version, 0.1.0. */
const OUR_PREFIX = '-SH0100-';
const OUR_CLIENT = '-SH';
const URL_SAFE = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** @param random uniform in [0, 1) @returns 20 bytes: `-SH0100-` and 12 url-safe characters (72 random bits) */
export function makePeerId(random: () => number): Buffer {
  let text = OUR_PREFIX;
  while (text.length < 20) text += URL_SAFE[Math.floor(random() * URL_SAFE.length)]!;
  return Buffer.from(text, 'latin1');
}

/**
 * True: the peer says that it is Swarmhaul, of any version. Anyone can claim so: only for courtesies that cost nothing.
 * @param peerId 20 bytes, hostile
 */
export function isOurClient(peerId: Uint8Array): boolean {
  for (let i = 0; i < OUR_CLIENT.length; i++) if (peerId[i] !== OUR_CLIENT.charCodeAt(i)) return false;
  return true;
}

/** True: the peer says that it is libTorrent of rakshasa, which is rTorrent's, and not the one of that name. */
export function isRakshasa(peerId: Uint8Array): boolean {
  return peerId[0] === 0x2d && peerId[1] === 0x6c && peerId[2] === 0x74;
}

const AZUREUS_CLIENTS: ReadonlyMap<string, string> = new Map([
  ['A2', 'aria2'],
  ['AZ', 'Vuze'],
  ['BC', 'BitComet'],
  ['BI', 'BiglyBT'],
  ['BT', 'BitTorrent'],
  ['DE', 'Deluge'],
  ['FD', 'Free Download Manager'],
  ['FL', 'Flud'],
  ['GT', 'anacrolix/torrent'],
  ['KT', 'KTorrent'],
  ['LT', 'libtorrent'],
  ['lt', 'rTorrent/libTorrent'],
  ['PI', 'PicoTorrent'],
  ['qB', 'qBittorrent'],
  ['rQ', 'rqbit'],
  ['SH', 'Swarmhaul'],
  ['TR', 'Transmission'],
  ['TX', 'Tixati'],
  ['UM', 'µTorrent Mac'],
  ['UT', 'µTorrent'],
  ['WD', 'WebTorrent Desktop'],
  ['WW', 'WebTorrent'],
  ['XL', 'Xunlei'],
]);

const SHADOW_CLIENTS: ReadonlyMap<string, string> = new Map([
  ['A', 'ABC'],
  ['O', 'Osprey Permaseed'],
  ['Q', 'BTQueue'],
  ['R', 'Tribler'],
  ['S', 'Shadow'],
  ['T', 'BitTornado'],
  ['U', 'UPnP NAT'],
]);

/**
 * The client a peer id names, as 'libtorrent 2.0.8'; 40 hex digits when it names none.
 * Only for people to read: anyone can claim any id. @param peerId 20 bytes, hostile
 */
export function clientName(peerId: Uint8Array): string {
  const bytes = Buffer.from(peerId.buffer, peerId.byteOffset, peerId.byteLength);
  const text = bytes.toString('latin1');
  return azureus(text) ?? dashed(text) ?? shadow(text) ?? bytes.toString('hex');
}

/** `-LT2080-`: the patterns admit letters and digits only, so nothing unprintable comes through. */
function azureus(text: string): string | null {
  const match = /^-([A-Za-z]{2}|[A-Za-z]\d)([0-9A-Za-z])([0-9A-Za-z])([0-9A-Za-z])([0-9A-Za-z])-/.exec(text);
  if (match === null) return null;
  const code = match[1]!;
  const [a, b, c, d] = [digit(match[2]!), digit(match[3]!), digit(match[4]!), digit(match[5]!)];
  return `${AZUREUS_CLIENTS.get(code) ?? code} ${azureusVersion(code, a, b, c, d)}`;
}

function azureusVersion(code: string, a: number, b: number, c: number, d: number): string {
  // Transmission before 4.0 had a two-digit minor; WebTorrent has two digits for each part.
  if (code === 'TR') return a < 4 ? `${a}.${b}${c}` : `${a}.${b}.${c}`;
  if (code === 'WW' || code === 'WD') return `${a * 10 + b}.${c * 10 + d}`;
  // A letter in the last place marks a build kind (beta, nightly) with many clients: not a number worth showing.
  return d > 0 && d < 10 ? `${a}.${b}.${c}.${d}` : `${a}.${b}.${c}`;
}

/** `A2-1-36-0-` (aria2) and `M7-10-5--` (the first BitTorrent client). */
function dashed(text: string): string | null {
  const match = /^(A2-|M)(\d{1,3})-(\d{1,3})-(\d{1,3})-/.exec(text);
  if (match === null) return null;
  return `${match[1] === 'M' ? 'BitTorrent' : 'aria2'} ${match[2]}.${match[3]}.${match[4]}`;
}

/** `S587-----`: a letter, up to five version digits, at least three dashes before the random part. */
function shadow(text: string): string | null {
  const match = /^([A-Z])([0-9A-Za-z]{1,5})-{3}/.exec(text);
  const client = match === null ? undefined : SHADOW_CLIENTS.get(match[1]!);
  if (match === null || client === undefined) return null;
  return `${client} ${Array.from(match[2]!, digit).join('.')}`;
}

/** 0–9, then A–Z and a–z count on from 10. */
function digit(char: string): number {
  const code = char.charCodeAt(0);
  if (code <= 0x39) return code - 0x30;
  return code <= 0x5a ? code - 0x41 + 10 : code - 0x61 + 36;
}
