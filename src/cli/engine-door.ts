/** The engine as the commands open it: logs, warnings and port trouble turned into lines for people. */
import type { DhtOptions, Engine, EngineOptions, PeerFilterOptions, Torrent } from '../api.js';
import { HaulError } from '../errors.js';
import { boundHeaps } from '../native/malloc.js';
import { openFilesLimit } from '../native/open-files.js';
import type { WorkPool } from '../work/port.js';
import { readCertificates } from './certificates.js';
import type { EngineCliOptions } from './options.js';
import type { Output } from './output.js';
import { dhtStateFile } from './state-file.js';

/**
 * The pool of the engine that will be opened, its threads started: a thread takes as long to begin as the rest of the
 * command. Whoever calls closes it, after the engine.
 */
export async function startPool(output: Output, cliOptions: EngineCliOptions): Promise<WorkPool> {
  const { makeEnginePool } = await import('../engine/pool.js');
  const pool = makeEnginePool(engineOptions(output, cliOptions));
  pool.warmUp?.();
  return pool;
}

/**
 * @param started from `startPool`; without it threads start with the first torrent that needs them
 * @throws HaulError PORT_IN_USE that names the option to use
 */
export async function openEngine(output: Output, cliOptions: EngineCliOptions, started?: WorkPool): Promise<Engine> {
  const options = engineOptions(output, cliOptions);
  const { makeEnginePool } = await import('../engine/pool.js');
  const pool = started ?? makeEnginePool(options);
  boundHeaps();
  try {
    const { startEngine } = await loadEngine();
    return await withPortHint('--port', () => startEngine(options, { pool }));
  } catch (error) {
    await pool.close();
    throw error;
  }
}

/** The options of the command line as the library takes them. */
export function engineOptions(output: Output, options: EngineCliOptions): EngineOptions {
  const log: typeof output.log = (level, message, facts) => {
    // A --peer whose name nobody knows, say: without a word the command would wait for it in silence.
    const isTold = level === 'warn' && (output.isJson || !output.isVerbose);
    if (isTold) output.warn(message, { code: facts?.code ?? 'WARNING', facts: facts ?? {} });
    else output.log(level, message, facts);
  };
  const { allowPeers, denyPeers } = options;
  const { port, host, downloadLimit, uploadLimit, zone, storage, memory, maxPerAddress, announceAs, ca } = options;
  return {
    log,
    ...(port === undefined ? {} : { port }),
    ...(host === undefined ? {} : { host }),
    ...(downloadLimit === undefined ? {} : { downloadBytesPerSec: downloadLimit }),
    ...(uploadLimit === undefined ? {} : { uploadBytesPerSec: uploadLimit }),
    ...(maxPerAddress === undefined ? {} : { maxConnectionsPerAddress: maxPerAddress }),
    ...(zone === undefined ? {} : { zone }),
    ...(ca === undefined ? {} : { ca: [readCertificates(ca)] }),
    ...(announceAs === undefined ? {} : { announceAs }),
    ...(storage === undefined ? {} : { storage }),
    ...(memory === undefined ? {} : { memoryBytes: memory }),
    ...(options.dht === true || options.dhtNode !== undefined ? { dht: dhtOptions(options) } : {}),
    ...(options.nat === true ? { nat: {} } : {}),
    ...(allowPeers === undefined && denyPeers === undefined ? {} : { peerFilter: peerFilterOf(allowPeers, denyPeers) }),
    ...(options.lsd === true ? { lsd: true } : {}),
    ...(options.pex === false ? { pex: false } : {}),
  };
}

type Lists = EngineCliOptions['allowPeers'];

function peerFilterOf(allow: Lists, deny: Lists): PeerFilterOptions {
  return {
    ...(allow === undefined ? {} : { allow: allow.flat() }),
    ...(deny === undefined ? {} : { deny: deny.flat() }),
  };
}

function dhtOptions({ dhtNode = [] }: EngineCliOptions): DhtOptions {
  const stateFile = dhtStateFile();
  return { nodes: dhtNode, ...(stateFile === null ? {} : { stateFile }) };
}

/** With fewer files to be had at once than this the engine is loaded part by part. */
const FEW_OPEN_FILES = 128;

/** Node opens all modules at once that are not loaded yet, some dozens: too many for a small `ulimit -n`. */
export async function loadEngine(): Promise<typeof import('../engine/engine.js')> {
  if (openFilesLimit() < FEW_OPEN_FILES) {
    await import('../scheduler/scheduler.js');
    await import('../storage/open.js');
    await import('../discovery/announcer.js');
    await import('../swarm/exchange.js');
    await import('../torrent/torrent.js');
  }
  return import('../engine/engine.js');
}

/**
 * A busy or forbidden port is the commonest trouble of all: say which option chooses another.
 * @param name the option, or which one by the error
 */
export async function withPortHint<T>(
  name: string | ((error: HaulError) => string),
  open: () => Promise<T>,
): Promise<T> {
  try {
    return await open();
  } catch (error) {
    if (!(error instanceof HaulError)) throw error;
    // Permission may be wanted for a file, too.
    const isPort = error.code === 'NO_PERMISSION' && /\blisten\b/.test(String(error.facts.operation));
    if (error.code !== 'PORT_IN_USE' && !isPort) throw error;
    const option = typeof name === 'string' ? name : name(error);
    if (error.message.includes(option)) throw error;
    throw new HaulError(error.code, `${error.message} (${option} N; 0 takes any free port)`, error.facts, error);
  }
}

/** Shows what a torrent meets on its way. Failure itself comes through `done`. */
export function watchTorrent(output: Output, torrent: Torrent): void {
  torrent.on('warning', (error) => output.warn(error.message, { code: error.code, facts: error.facts }));
  torrent.on('tracker', (url, outcome, message) => {
    // Errors name their tracker themselves.
    const line = message.startsWith(`tracker ${url}`) ? message : `tracker ${url}: ${message}`;
    if (outcome === 'ok') output.log('info', line);
    else output.warn(line, { code: 'TRACKER', url, facts: { outcome } });
  });
  torrent.on('peer', (address, change, reason) => output.log('info', `peer ${address} ${change}`, { reason }));
}
