/** The rules of `EngineOptions` and `AddOptions`. Pure. */
import type {
  AddOptions,
  ContentSource,
  DhtOptions,
  EngineOptions,
  MagnetOptions,
  MoveDataOptions,
  PeerFilterOptions,
  RateLimits,
  RecheckOptions,
  RemoveOptions,
} from '../api.js';
import { DHT_LIMITS } from '../dht/limits.js';
import { HaulError } from '../errors.js';
import { checkInfoHash } from '../metainfo/info-hash.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import { parseInfoHash, parseSha256 } from '../metainfo/pinned-hash.js';
import { type FilePriorities, onlyFile, Selection } from '../metainfo/selection.js';
import { isWebSeedUrl } from '../metainfo/urls.js';
import { ipBytes } from '../net/address.js';
import { parseAdvertised } from '../net/advertised.js';
import { isZone, ZONE_RULE } from '../net/zone.js';
import {
  address,
  bytesPerSec,
  callable,
  checkOptions,
  checkValue,
  either,
  flag,
  listOf,
  memory,
  oneOf,
  port,
  type Rule,
  type Rules,
  signal,
  threads,
  tiers,
  wholeNumber,
  words,
} from './check-options.js';

const connections = wholeNumber(1, 65_535);

const announceAs: Rule = (value) => {
  const { host, port: told, ...others } = Object(value) as { host?: unknown; port?: unknown };
  const parsed = typeof host === 'string' ? parseAdvertised(host) : null;
  const isHost = host === undefined || (parsed !== null && parsed.port === null && parsed.url === null);
  const isPort = told === undefined || (Number.isInteger(told) && Number(told) >= 1 && Number(told) <= 65_535);
  const isObject = typeof value === 'object' && value !== null;
  return isObject && isHost && isPort && Object.keys(others).length === 0
    ? null
    : 'must be an object of a host (a name or an address) and a port from 1 to 65535, or one of them';
};

const DHT_RULES: Rules<DhtOptions> = {
  port,
  nodes: listOf(address, 'a host and a port from 1 to 65535 each'),
  stateFile: words,
  readOnly: flag,
};

const dht: Rule = (value) => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'must be an object of DhtOptions';
  for (const [name, given] of Object.entries(value)) {
    const rule = Object.hasOwn(DHT_RULES, name) ? DHT_RULES[name as keyof DhtOptions] : undefined;
    const fault = rule === undefined ? 'is no option' : given === undefined ? null : rule(given);
    if (fault !== null) return `is of DhtOptions, of which ${name} ${fault}`;
  }
  const { nodes = [] } = value as DhtOptions;
  return nodes.length <= DHT_LIMITS.bootstrapNodes ? null : `has ${DHT_LIMITS.bootstrapNodes} nodes at most`;
};

const nat: Rule = (value) => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'must be an object of NatOptions';
  const { gateway, ...others } = value as { gateway?: unknown };
  const isAddress =
    gateway === undefined || (typeof gateway === 'string' && ipBytes(gateway)?.length === 4 && !gateway.includes(':'));
  return isAddress && Object.keys(others).length === 0 ? null : 'is of NatOptions: gateway, an IPv4 address';
};

const PEER_FILTER_RULES: Rules<PeerFilterOptions> = {
  // Each entry is read when they are set, and a bad one named with its place.
  allow: (value) => (Array.isArray(value) ? null : 'must be a list'),
  deny: (value) => (Array.isArray(value) ? null : 'must be a list'),
};

/** @throws HaulError BAD_ARGUMENT */
export function checkPeerFilter(filter: PeerFilterOptions): void {
  checkOptions('peerFilter', filter, PEER_FILTER_RULES);
}

const ENGINE_RULES: Rules<EngineOptions> = {
  port: either(port, false),
  host: words,
  threads,
  uploadSlots: either(wholeNumber(1, 10_000), 'unlimited'),
  storage: oneOf('auto', 'mapped', 'positional'),
  memoryBytes: memory,
  downloadBytesPerSec: bytesPerSec,
  uploadBytesPerSec: bytesPerSec,
  maxConnections: connections,
  maxConnectionsPerTorrent: connections,
  maxConnectionsPerAddress: connections,
  maxAwakeTorrents: wholeNumber(1, 1_000_000),
  ca: listOf(words, 'certificates in PEM'),
  zone: (value) => (typeof value === 'string' && isZone(value) ? null : ZONE_RULE),
  announceAs,
  dht,
  nat,
  peerFilter: (value) => (typeof value === 'object' && value !== null ? null : 'must be an object of allow and deny'),
  lsd: flag,
  pex: flag,
  log: callable,
  seed: wholeNumber(0, 2 ** 32 - 1),
};

/** @throws HaulError BAD_ARGUMENT naming the option */
export function checkEngineOptions(options: EngineOptions): void {
  checkOptions('createEngine', options, ENGINE_RULES);
  if (options.peerFilter !== undefined) checkPeerFilter(options.peerFilter);
}

const listOrFunction: Rule = (value) =>
  Array.isArray(value) || typeof value === 'function' ? null : 'must be a list or a function';
const stamps: Rule = listOf((value) => (typeof value === 'object' && value !== null ? null : ''), 'stamps of files');

/** 20 or 32 bytes, or as text; in lower-case hexadecimal. Null: it is none. */
function infoHashHex(value: unknown): string | null {
  if (typeof value === 'string') return parseInfoHash(value);
  return value instanceof Uint8Array ? parseInfoHash(Buffer.from(value).toString('hex')) : null;
}
const infoHash: Rule = (value) =>
  infoHashHex(value) === null ? 'must be 40 or 64 hexadecimal digits, 32 of base32, or 20 or 32 bytes' : null;
const sha256: Rule = (value) =>
  typeof value === 'string' && parseSha256(value) !== null ? null : 'must be 64 hexadecimal digits';

const webSeeds: Rule = listOf(
  (value) => (typeof value === 'string' && isWebSeedUrl(value) ? null : ''),
  'http or https URLs',
);

const ADD_RULES: Rules<AddOptions> = {
  output: words,
  peers: listOf(address, 'a host and a port from 1 to 65535 each'),
  trackers: tiers,
  webSeeds,
  mode: oneOf('download', 'seed'),
  trustData: flag,
  hashed: stamps,
  source: (value) => (typeof value === 'object' && value !== null ? null : 'must be an object'),
  superSeeding: flag,
  priorities: listOrFunction,
  sequential: flag,
  forward: flag,
  downloadBytesPerSec: bytesPerSec,
  uploadBytesPerSec: bytesPerSec,
  overwrite: flag,
  infoHash,
  sha256,
  signal,
};

const MAGNET_RULES: Rules<MagnetOptions> = { ...ADD_RULES, choose: callable };

/** What can be known before it is known what the torrent is. @throws HaulError BAD_ARGUMENT naming the option */
export function checkMagnetOptions(options: MagnetOptions): void {
  checkOptions('add', options, MAGNET_RULES);
  checkOutput(options);
}

function checkOutput({ output }: AddOptions): void {
  if (output === undefined)
    throw new HaulError('BAD_ARGUMENT', 'output must be the folder that receives the data', { option: 'output' });
}

const LIMIT_RULES: Rules<RateLimits> = {
  downloadBytesPerSec: either(bytesPerSec, null),
  uploadBytesPerSec: either(bytesPerSec, null),
};

export function checkWebSeeds(urls: readonly string[]): void {
  checkValue('setWebSeeds', 'webSeeds', urls, webSeeds);
}

export function checkLimits(limits: RateLimits): void {
  checkOptions('setLimits', limits, LIMIT_RULES);
}

const REMOVE_RULES: Rules<RemoveOptions> = { deleteData: flag };

export function checkRemoveOptions(options: RemoveOptions): void {
  checkOptions('remove', options, REMOVE_RULES);
}

const LONG_RULES: Rules<MoveDataOptions & RecheckOptions> = { onProgress: callable, signal };

export function checkMoveOptions(dir: string, options: MoveDataOptions): void {
  checkValue('moveData', 'dir', dir, words);
  checkOptions('moveData', options, LONG_RULES);
}

export function checkRecheckOptions(options: RecheckOptions): void {
  checkOptions('recheck', options, LONG_RULES);
}

export function checkPeer(call: string, host: string, port: number): void {
  checkValue(call, 'host', host, words);
  checkValue(call, 'port', port, wholeNumber(1, 65_535));
}

export function checkSequential(isSequential: boolean): void {
  checkValue('setSequential', 'isSequential', isSequential, flag);
}

export function checkTrackers(trackers: readonly (readonly string[])[]): void {
  checkValue('setTrackers', 'trackers', trackers, tiers);
}

/** @throws HaulError BAD_ARGUMENT naming the option; MISMATCH: it is another torrent */
export function checkAddOptions(metainfo: Metainfo, options: AddOptions): void {
  checkOptions('add', options, ADD_RULES);
  const { hashed, priorities, mode } = options;
  checkOutput(options);
  if (hashed !== undefined && hashed.length !== metainfo.files.length)
    throw new HaulError('BAD_ARGUMENT', 'hashed has one stamp for each file', { option: 'hashed' });
  if (options.source !== undefined) checkSource(options, options.source);
  if (priorities !== undefined) checkPriorities(metainfo, priorities, mode === 'seed');
  if (options.sha256 !== undefined) checkPinned(metainfo, options);
  if (options.infoHash !== undefined) checkInfoHash(metainfo, infoHashHex(options.infoHash)!);
}

/** @throws HaulError BAD_ARGUMENT */
function checkSource({ mode, trustData, hashed }: AddOptions, { read }: ContentSource): void {
  const option = { option: 'source' };
  if (typeof read !== 'function') throw new HaulError('BAD_ARGUMENT', 'source has a function read', option);
  if (mode !== 'seed' || trustData !== true || hashed !== undefined)
    throw new HaulError('BAD_ARGUMENT', 'source is for seeds whose data is trusted and has no files', option);
}

/** @throws HaulError BAD_ARGUMENT: a SHA-256 is of one file */
function checkPinned(metainfo: Metainfo, { priorities, mode }: AddOptions): void {
  const option = { option: 'sha256' };
  if (mode === 'seed') throw new HaulError('BAD_ARGUMENT', 'sha256 is for downloads: a seed gets no file', option);
  const selection = priorities === undefined ? null : Selection.of(metainfo, priorities);
  if (onlyFile(metainfo, selection) >= 0) return;
  const what = `${metainfo.name} has several files to download; choose one`;
  throw new HaulError('BAD_ARGUMENT', `sha256 is that of a single file: ${what}`, option);
}

/** @throws HaulError BAD_ARGUMENT */
export function checkPriorities(metainfo: Metainfo, priorities: FilePriorities, isSeed: boolean): void {
  checkValue('setPriorities', 'priorities', priorities, listOrFunction);
  if (isSeed)
    throw new HaulError('BAD_ARGUMENT', 'priorities are for downloads: a seed has all files', { option: 'priorities' });
  Selection.of(metainfo, priorities);
}
