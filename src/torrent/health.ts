/**
 * What is wrong with a torrent, told from plain facts: why nothing comes, or what will go wrong next. Pure.
 * Asked for when somebody looks (once a second or so), never per block. The most telling problem comes first.
 */
import type { AddressFailure, BannedPeer, HealthCode, HealthProblem, TrackerReport, WebSeedReport } from '../api.js';
import type { ErrorFacts } from '../errors.js';

export interface HealthFacts {
  /**
   * What the torrent is about. 'saving': everything is verified and not yet on the device. 'nothing': it checks,
   * prepares or has stopped.
   */
  readonly goal: 'download' | 'saving' | 'seed' | 'nothing';
  readonly trackers: readonly TrackerReport[];
  /** They were given in place of the torrent's own: a seed without any is then as it should be. */
  readonly areTrackersGiven: boolean;
  /** Nodes of the DHT that we know; null: it is not on, or not for this torrent. */
  readonly dhtNodes: number | null;
  readonly peers: number;
  /** `peers` counts those in use too. */
  readonly webSeeds: readonly WebSeedReport[];
  /** Connected peers that have something we miss, and those of them that let us download. */
  readonly holders: number;
  readonly servers: number;
  /** Addresses that may be dialled. */
  readonly known: number;
  /** Why the known addresses are no peers: the last outcome of each, the commonest first. */
  readonly failures: readonly AddressFailure[];
  readonly banned: number;
  readonly lastBan: BannedPeer | null;
  /** For how long it has been so; 0: it is not so. */
  readonly withoutPeersMs: number;
  readonly nothingCameMs: number;
  readonly diskBehindMs: number;
  readonly syncingMs: number;
  readonly memoryShortMs: number;
  /** Why work rests until the disk is usable again. */
  readonly paused: string | null;
  /** Why peers that dial us could not be let in lately. */
  readonly doorTrouble: string | null;
  /** Why no gateway lets peers in although one was asked. */
  readonly mappingTrouble: string | null;
  /** Pieces of ours that were good and are bad on disk now. */
  readonly badPieces: number;
}

/** A start, or a peer that comes back at once, is no problem yet. */
export const WITHOUT_PEERS_MS = 3_000;
/**
 * Longer than the pause between two blocks of a slow peer; short enough that a waiting command says so within ten
 * seconds.
 */
export const NOTHING_CAME_MS = 6_000;
/** The write-back of a healthy disk catches up several times a second. */
export const DISK_BEHIND_MS = 4_000;
/** A sync of a few hundred MB takes a second or two. */
export const SYNC_SLOW_MS = 15_000;
/** Busy torrents share memory by turns; who stands behind them for so long is told. */
export const MEMORY_SHORT_MS = 4_000;
/** Named one by one; a torrent may list a hundred. */
const TRACKERS_NAMED = 5;
const WEB_SEEDS_NAMED = 5;

export function healthOf(facts: HealthFacts): readonly HealthProblem[] {
  if (facts.goal === 'nothing') return facts.paused === null ? [] : diskProblems(facts);
  const found: HealthProblem[] = [...diskProblems(facts)];
  if (facts.goal === 'download') {
    const alone = facts.peers === 0 && facts.withoutPeersMs >= WITHOUT_PEERS_MS;
    const isShort = facts.peers > 0 && facts.memoryShortMs >= MEMORY_SHORT_MS;
    const idle = facts.peers > 0 && facts.nothingCameMs >= NOTHING_CAME_MS;
    if (alone) found.push(loneliness(facts));
    else if (isShort) found.push(memoryShortage(facts));
    else if (idle && found.length === 0) found.push(idleness(facts));
    found.push(...badPieceProblems(facts));
    if (alone)
      found.push(
        ...facts.webSeeds
          .filter(({ message }) => message !== '')
          .slice(0, WEB_SEEDS_NAMED)
          .map(webSeedFailing),
      );
    // While data comes the trackers may be as they are.
    if (alone || facts.trackers.some(isAsked)) found.push(...trackerProblems(facts, alone));
    if (alone && facts.dhtNodes === 0) found.push(dhtProblem());
  }
  if (facts.goal !== 'download') found.push(...badPieceProblems(facts));
  if (facts.doorTrouble !== null) found.push(doorProblem(facts.doorTrouble));
  if (facts.mappingTrouble !== null) found.push(mappingProblem(facts.mappingTrouble));
  const needsTrackers = facts.trackers.length > 0 || !facts.areTrackersGiven;
  if (facts.goal === 'seed' && needsTrackers) found.push(...trackerProblems(facts, false));
  return found;
}

/** One line about what a download waits for, or null while data comes. */
export function waitingFor(health: readonly HealthProblem[]): string | null {
  if (!health.some(({ isBlocking }) => isBlocking)) return null;
  const messages = health.map(({ message }) => message);
  const more = messages.length - WAITING_NAMED;
  return messages.slice(0, WAITING_NAMED).join('; ') + (more > 0 ? `; and ${more} more` : '');
}

const WAITING_NAMED = 3;

function problem(code: HealthCode, isBlocking: boolean, message: string, facts: ErrorFacts = {}): HealthProblem {
  return { code, isBlocking, message, facts };
}

function diskProblems({ paused, diskBehindMs, syncingMs, goal }: HealthFacts): HealthProblem[] {
  if (paused !== null) return [problem('paused', true, `paused: ${paused}`)];
  const behindMs = Math.max(
    diskBehindMs >= DISK_BEHIND_MS ? diskBehindMs : 0,
    syncingMs >= SYNC_SLOW_MS ? syncingMs : 0,
  );
  if (behindMs === 0) return [];
  const isBlocking = diskBehindMs >= DISK_BEHIND_MS || goal === 'saving';
  const text = `the disk is slow: it has been behind for ${seconds(behindMs)}`;
  return [problem('disk-slow', isBlocking, text, { behindMs: Math.round(behindMs), isSyncing: syncingMs > 0 })];
}

/** Told also while a little comes: else nobody knows why it is so little. */
function memoryShortage({ memoryShortMs, nothingCameMs }: HealthFacts): HealthProblem {
  const text = `other torrents hold the memory for open pieces, for ${seconds(memoryShortMs)} now`;
  const facts = { memoryShortMs: Math.round(memoryShortMs) };
  return problem('memory-short', nothingCameMs >= NOTHING_CAME_MS, text, facts);
}

function doorProblem(trouble: string): HealthProblem {
  return problem('not-accepting', false, `peers that dial us cannot be let in: ${trouble}`);
}

function mappingProblem(trouble: string): HealthProblem {
  return problem('port-not-mapped', false, `peers outside may not reach us: ${trouble}`);
}

export const NO_DHT_NODE = 'no node of the DHT is known; name one that is up with --dht-node (DhtOptions.nodes)';

function dhtProblem(): HealthProblem {
  return problem('dht-alone', false, NO_DHT_NODE);
}

function badPieceProblems({ badPieces }: HealthFacts): HealthProblem[] {
  if (badPieces === 0) return [];
  const what = badPieces === 1 ? 'one piece has' : `${badPieces} pieces have`;
  const text = `${what} gone bad on disk and cannot be served; \`haul verify\` names the files`;
  return [problem('bad-pieces', false, text, { badPieces })];
}

/** A download without peers. */
function loneliness({ known, banned, lastBan, failures, trackers }: HealthFacts): HealthProblem {
  if (known === 0 && banned > 0) {
    const last = lastBan === null ? '' : ` (${lastBan.address}: ${lastBan.reason})`;
    return problem('all-banned', true, `every known peer is banned${last}`, { banned });
  }
  const failed = failures.reduce((sum, { addresses }) => sum + addresses, 0);
  const worst = failures[0];
  if (known > 0 && worst !== undefined) {
    const who = known === 1 ? 'the one known peer' : `${Math.min(failed, known)} of ${known} known peers`;
    const text = `${who} cannot be reached (${worst.example}: ${worst.reason})`;
    return problem('unreachable-peers', true, text, { known, failed, reason: worst.reason, address: worst.example });
  }
  if (known > 0) return problem('no-peers', true, `no peer has answered yet, ${known} known`, { known });
  const hasAnswer = trackers.some(({ outcome }) => outcome === 'ok');
  const text = hasAnswer ? 'no peers: the trackers know none' : 'no peers: none is known';
  return problem('no-peers', true, text, { known });
}

/** A download with peers that give nothing. */
function idleness({ peers, holders, servers, nothingCameMs }: HealthFacts): HealthProblem {
  if (holders === 0) {
    const who = peers === 1 ? 'the one connected peer has' : `${peers} connected peers have`;
    return problem('no-seed', true, `${who} nothing that is missing here`, { peers });
  }
  const who = holders === 1 ? 'one peer has' : `${holders} peers have`;
  const since = { peers, holders, nothingCameMs: Math.round(nothingCameMs) };
  if (servers === 0) return problem('choked', true, `${who} what is missing here, none serves us yet`, since);
  const text = `${who} what is missing here, nothing has come for ${seconds(nothingCameMs)}`;
  return problem('no-progress', true, text, since);
}

function isAsked({ outcome }: TrackerReport): boolean {
  return outcome !== 'unsupported';
}

/** @param isAlone no peer is here: then a tracker that has not answered is a problem too */
function trackerProblems({ trackers, goal, areTrackersGiven }: HealthFacts, isAlone: boolean): HealthProblem[] {
  const whoWaits = goal === 'seed' && !areTrackersGiven ? ': nobody is told that this seed is here' : '';
  if (trackers.length === 0) return [problem('no-trackers', false, `the torrent names no tracker${whoWaits}`)];
  const asked = trackers.filter(isAsked);
  if (asked.length === 0) {
    const text = `the torrent names only trackers that cannot be contacted${whoWaits}`;
    return [problem('unusable-trackers', false, text, { trackers: trackers.length })];
  }
  const failing = asked.filter(({ outcome }) => outcome === 'failure').slice(0, TRACKERS_NAMED);
  if (failing.length > 0) return failing.map(trackerFailing);
  const isSilent = isAlone && asked.every(({ outcome }) => outcome === 'waiting');
  if (!isSilent) return [];
  const { url } = asked[0]!;
  return [problem('tracker-silent', false, `tracker ${url} has not answered yet`, { url })];
}

function trackerFailing({ url, message, failures }: TrackerReport): HealthProblem {
  // Errors name their tracker themselves.
  const line = message.startsWith(`tracker ${url}`) ? message : `tracker ${url}: ${message}`;
  const times = failures > 1 ? ` (${failures} times)` : '';
  return problem('tracker-failing', false, `${line}${times}`, { url, failures });
}

function webSeedFailing({ url, message, state }: WebSeedReport): HealthProblem {
  const then = state === 'banned' ? ', and is not used any more' : '';
  return problem('web-seed-failing', true, `web seed ${url}: ${message}${then}`, { url });
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`;
}
