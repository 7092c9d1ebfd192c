/**
 * How the processes of a bench get a rate cap each, behind one door:
 *   namespace  a network namespace per process, all on one bridge; `tc tbf` on both ends of its cable. Holds for any
 *              client. Counts bytes on the wire: with frames of 9,000 bytes TCP/IP and Ethernet headers take 0.7 % of
 *              the cap.
 *   engine     the engine's own limits, on loopback. Counts what the engine counts.
 *   none       loopback as fast as it goes.
 * The bridge is in a namespace of its own: nothing appears on the host, and nothing of the host gets in.
 *
 *   [peer: eth0] --tbf up--> [hub: port] -- bridge 10.78.0.254/24 (tracker) -- [hub: port] --tbf down--> [peer: eth0]
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { namespacesMissing } from '../../lab/namespace.js';
import type { Scope } from '../../lab/scope.js';
import { ValueError } from '../../src/cli/values.js';

const exec = promisify(execFile);

export const CAP_NAMES = ['auto', 'namespace', 'engine', 'none'] as const;
export type CapName = (typeof CAP_NAMES)[number];

export interface Caps {
  readonly uploadBytesPerSec: number;
  readonly downloadBytesPerSec: number;
}

export interface Place {
  /** Where the process listens and where the others reach it. */
  readonly host: string;
  /** For `ChildOptions`. */
  readonly namespace?: { readonly name: string };
  /** Further options of its engine. */
  readonly engine: Partial<Caps>;
}

export interface CapMethod {
  readonly name: Exclude<CapName, 'auto'>;
  /** A place without a cap, that all others reach: for the tracker. */
  readonly hub: Place;
  /** A place for one process. */
  open(caps: Caps): Promise<Place>;
}

/** Names like those of lab/namespace.ts, which removes what a crashed run left; its own numbers start at 0. */
const FIRST_NUMBER = 5000;
const PLACES_MAX = 250;
/**
 * A bucket below one GSO packet would make the kernel cut every packet up; above, 10 ms worth: the least a 100 Hz timer
 * can pace.
 */
const BURST_BYTES_MIN = 128 * 1024;
const BURST_SECONDS = 0.01;
/** Depth of the queue before a cap: a home router's, in spirit. */
const QUEUE_LATENCY = '100ms';

/** Jumbo frames: a sixth of the packets, so that the kernel's share of a small machine does not become the limit. */
const MTU_BYTES = 9000;

let made = FIRST_NUMBER;

/** Null when namespaces and `tc` work here, else why not. */
async function namespaceCapsMissing(): Promise<string | null> {
  const missing = await namespacesMissing();
  if (missing !== null) return missing;
  return exec('tc', ['-V']).then(
    () => null,
    () => 'tc (iproute2) is not installed',
  );
}

async function addNamespace(scope: Scope): Promise<string> {
  const name = `swarmhaul-${process.pid}-${made++}`;
  await exec('ip', ['netns', 'add', name]);
  scope.defer(async () => {
    await exec('ip', ['netns', 'del', name]);
  });
  await exec('ip', ['-n', name, 'link', 'set', 'lo', 'up']);
  return name;
}

/** Everything that leaves `device` in `namespace` is paced. */
async function pace(namespace: string, device: string, bytesPerSec: number): Promise<void> {
  const burst = Math.max(BURST_BYTES_MIN, Math.round(bytesPerSec * BURST_SECONDS));
  const shape = ['tbf', 'rate', `${Math.round(bytesPerSec * 8)}bit`, 'burst', String(burst), 'latency', QUEUE_LATENCY];
  await exec('tc', ['-n', namespace, 'qdisc', 'add', 'dev', device, 'root', ...shape]);
}

class NamespaceCaps implements CapMethod {
  readonly name = 'namespace';
  readonly hub: Place;
  readonly #scope: Scope;
  readonly #hubName: string;
  #count = 0;

  constructor(scope: Scope, hubName: string) {
    this.#scope = scope;
    this.#hubName = hubName;
    this.hub = { host: '10.78.0.254', namespace: { name: hubName }, engine: {} };
  }

  async open(caps: Caps): Promise<Place> {
    const number = ++this.#count;
    if (number > PLACES_MAX) throw new Error(`at most ${PLACES_MAX} places`);
    const hub = this.#hubName;
    const name = await addNamespace(this.#scope);
    const port = `port${number}`;
    const host = `10.78.0.${number}`;
    await exec('ip', ['-n', hub, 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name]);
    await exec('ip', ['-n', hub, 'link', 'set', port, 'mtu', String(MTU_BYTES), 'master', 'bridge0', 'up']);
    await exec('ip', ['-n', name, 'addr', 'add', `${host}/24`, 'dev', 'eth0']);
    await exec('ip', ['-n', name, 'link', 'set', 'eth0', 'mtu', String(MTU_BYTES), 'up']);
    await pace(name, 'eth0', caps.uploadBytesPerSec);
    await pace(hub, port, caps.downloadBytesPerSec);
    return { host, namespace: { name }, engine: {} };
  }
}

async function openNamespaceCaps(scope: Scope): Promise<CapMethod> {
  const hub = await addNamespace(scope);
  await exec('ip', ['-n', hub, 'link', 'add', 'bridge0', 'type', 'bridge', 'forward_delay', '0']);
  const caps = new NamespaceCaps(scope, hub);
  await exec('ip', ['-n', hub, 'addr', 'add', `${caps.hub.host}/24`, 'dev', 'bridge0']);
  await exec('ip', ['-n', hub, 'link', 'set', 'bridge0', 'up']);
  return caps;
}

function loopbackCaps(name: 'engine' | 'none'): CapMethod {
  const place = (engine: Partial<Caps>): Place => ({ host: '127.0.0.1', engine });
  return { name, hub: place({}), open: async (caps) => place(name === 'engine' ? caps : {}) };
}

/** 'auto' takes namespaces where they can be made, else the engine's limits. Everything made goes with the scope. */
export async function openCaps(scope: Scope, name: CapName): Promise<CapMethod> {
  if (name === 'engine' || name === 'none') return loopbackCaps(name);
  const missing = await namespaceCapsMissing();
  if (missing === null) return openNamespaceCaps(scope);
  if (name === 'namespace') throw new ValueError(`--cap namespace: ${missing}`);
  process.stderr.write(`caps by the engine, not by namespaces: ${missing}\n`);
  return loopbackCaps('engine');
}

/** Nothing gets to a place in a namespace, or from it, any more. */
export async function cutLink({ namespace }: Place): Promise<void> {
  await exec('ip', ['-n', namespace!.name, 'link', 'set', 'eth0', 'down']);
}

/** What left the link of a place in a namespace so far, headers included. */
export async function sentBytes({ namespace }: Place): Promise<number> {
  const { stdout } = await exec('ip', ['-n', namespace!.name, '-s', '-j', 'link', 'show', 'eth0']);
  const [link] = JSON.parse(stdout) as { stats64: { tx: { bytes: number } } }[];
  return link!.stats64.tx.bytes;
}

const CAPPED = 'bfifo';

/** What leaves a place in a namespace is capped anew, but for what goes to these hosts. Headers count. */
export async function freeTowards({ namespace }: Place, hosts: readonly string[], bytesPerSec: number): Promise<void> {
  const tc = (...words: string[]) => exec('tc', ['-n', namespace!.name, ...words.join(' ').split(' ')]);
  const burst = `burst ${BURST_BYTES_MIN} cburst ${BURST_BYTES_MIN} quantum 60000`;
  const rate = `rate ${Math.round(bytesPerSec * 8)}bit ${burst}`;
  await tc('qdisc replace dev eth0 root handle 1: htb default 10');
  await tc('class add dev eth0 parent 1: classid 1:10 htb', rate);
  await tc('class add dev eth0 parent 1: classid 1:20 htb rate 10gbit quantum 60000');
  // As deep as QUEUE_LATENCY.
  await tc(`qdisc add dev eth0 parent 1:10 handle 10: ${CAPPED} limit`, String(Math.round(bytesPerSec / 10)));
  for (const host of hosts) {
    await tc(`filter add dev eth0 parent 1: protocol ip prio 1 u32 match ip dst ${host}/32 flowid 1:20`);
  }
}

/** Of such a place: what left it under the cap, headers included. */
export async function cappedBytes({ namespace }: Place): Promise<number> {
  const { stdout } = await exec('tc', ['-n', namespace!.name, '-s', '-j', 'qdisc', 'show', 'dev', 'eth0']);
  const all = JSON.parse(stdout) as { kind: string; bytes: number }[];
  return all.find(({ kind }) => kind === CAPPED)!.bytes;
}
