/**
 * A second machine in a box: a network namespace with one cable (veth pair) to ours.
 * Names carry the pid that made them, so that what a crashed run left behind is found and removed by the next one.
 * Needs Linux, root and iproute2.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Scope } from './scope.js';
import { until } from './wait.js';

const exec = promisify(execFile);
const NAMESPACE_NAME = /^swarmhaul-(\d+)-\d+$/;
/** Interface names have at most 15 characters: the pid is written in base 36. */
const CABLE_NAME = /^shv([0-9a-z]+)x\d+$/;
/** /30 networks in 10.77.0.0/16. */
const NETWORK_COUNT = 16_384;

export interface Namespace {
  readonly name: string;
  /** Our end of the cable: where programs inside reach us. */
  readonly hostAddress: string;
  /** Their end: where we reach programs inside. */
  readonly address: string;
}

let made = 0;

async function ip(...args: string[]): Promise<string> {
  const { stdout } = await exec('ip', args);
  return stdout;
}

/** Null when namespaces can be made here, else why not. */
export async function namespacesMissing(): Promise<string | null> {
  if (process.platform !== 'linux') return 'network namespaces need Linux';
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  try {
    await ip('netns', 'list');
    return await tryOne();
  } catch (error) {
    return `ip netns: ${(error as Error).message}`;
  }
}

/** A container may be root and still not be allowed. */
async function tryOne(): Promise<string | null> {
  const name = `swarmhaul-${process.pid}-${made++}`;
  try {
    await ip('netns', 'add', name);
    return null;
  } catch (error) {
    return `cannot make a network namespace: ${(error as Error).message.split('\n')[0]}`;
  } finally {
    await ip('netns', 'del', name).catch(() => {});
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Removes namespaces and cables whose maker is gone. */
async function removeStale(): Promise<void> {
  for (const line of (await ip('netns', 'list')).split('\n')) {
    const name = line.split(' ')[0]!;
    const match = NAMESPACE_NAME.exec(name);
    if (match !== null && !isAlive(Number(match[1]))) await ip('netns', 'del', name).catch(() => {});
  }
  for (const line of (await ip('-o', 'link', 'show', 'type', 'veth')).split('\n')) {
    const name = /^\d+: ([^@:]+)/.exec(line)?.[1] ?? '';
    const match = CABLE_NAME.exec(name);
    if (match !== null && !isAlive(Number.parseInt(match[1]!, 36))) await ip('link', 'del', name).catch(() => {});
  }
}

/** The first free /30, searched from a place of this process's own so that parallel test files do not race. */
async function freeNetwork(): Promise<{ hostAddress: string; address: string }> {
  const taken = await ip('-o', '-4', 'addr', 'show');
  for (let step = 0; step < NETWORK_COUNT; step++) {
    const index = (process.pid * 16 + made + step) % NETWORK_COUNT;
    const [high, low] = [index >> 6, (index & 63) * 4];
    const hostAddress = `10.77.${high}.${low + 1}`;
    if (!taken.includes(` ${hostAddress}/`)) return { hostAddress, address: `10.77.${high}.${low + 2}` };
  }
  throw new Error('no free network below 10.77.0.0/16');
}

/** An empty namespace with loopback up; gone when the scope closes. */
export async function newNamespace(scope: Scope): Promise<string> {
  await removeStale();
  const name = `swarmhaul-${process.pid}-${made++}`;
  await ip('netns', 'add', name);
  scope.defer(() => ip('netns', 'del', name).then(() => {}));
  await ip('-n', name, 'link', 'set', 'lo', 'up');
  return name;
}

/** Addresses of IPv6 for both ends of the cable, made of those of IPv4. */
export async function addIpv6({ name, hostAddress }: Namespace): Promise<Omit<Namespace, 'name'>> {
  const [, , high, low] = hostAddress.split('.').map(Number) as [number, number, number, number];
  const [ours, theirs] = [low, low + 1].map((last) => `fd77::${high}:${last}`) as [string, string];
  const cable = await cableOf(hostAddress);
  // Nobody else has the address: it need not wait to find out.
  await ip('addr', 'add', `${ours}/64`, 'dev', cable, 'nodad', 'noprefixroute');
  await ip('-6', 'route', 'add', `${theirs}/128`, 'dev', cable);
  await ip('-n', name, 'addr', 'add', `${theirs}/64`, 'dev', 'eth0', 'nodad');
  return { hostAddress: ours, address: theirs };
}

/** Another address of ours, for clients that have one peer of an address at most. */
export async function addSecondAddress({ name, hostAddress }: Namespace): Promise<string> {
  const address = hostAddress.replace(/^10\.77\./, '10.79.');
  await ip('addr', 'add', `${address}/32`, 'dev', await cableOf(hostAddress));
  await ip('-n', name, 'route', 'add', `${address}/32`, 'dev', 'eth0');
  return address;
}

async function cableOf(hostAddress: string): Promise<string> {
  return (await ip('-o', '-4', 'addr', 'show', 'to', hostAddress)).split(/\s+/)[1]!;
}

/** A namespace with loopback and a cable up; gone when the scope closes. */
export async function openNamespace(scope: Scope): Promise<Namespace> {
  await removeStale();
  const { hostAddress, address } = await freeNetwork();
  const id = made++;
  const name = `swarmhaul-${process.pid}-${id}`;
  const cable = `shv${process.pid.toString(36)}x${id}`;
  await ip('netns', 'add', name);
  scope.defer(async () => {
    // A namespace lives on while a process is in it; the cable must not.
    await ip('link', 'del', cable).catch(() => {});
    await ip('netns', 'del', name);
  });
  await ip('link', 'add', cable, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
  await ip('addr', 'add', `${hostAddress}/30`, 'dev', cable);
  await ip('link', 'set', cable, 'up');
  await ip('-n', name, 'addr', 'add', `${address}/30`, 'dev', 'eth0');
  await ip('-n', name, 'link', 'set', 'lo', 'up');
  await ip('-n', name, 'link', 'set', 'eth0', 'up');
  // Without any route to it nobody inside can speak to a multicast group.
  await ip('-n', name, 'route', 'add', '224.0.0.0/4', 'dev', 'eth0');
  await until(`${cable} up`, 5_000, async () => (await ip('link', 'show', 'dev', cable)).includes('LOWER_UP'));
  return { name, hostAddress, address };
}
