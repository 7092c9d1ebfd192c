/**
 * Several machines in a box: network namespaces joined by a switch (a bridge in a namespace of its own), out of reach
 * of the real network and of each other's loopback. Needs what `namespace.ts` needs, and leaves as little behind.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { newNamespace } from '../../lab/namespace.js';
import type { Scope } from '../../lab/scope.js';
import { until } from '../../lab/wait.js';

const exec = promisify(execFile);

export type Family = 'ipv4' | 'ipv6';

export interface Host {
  /** Of its namespace. */
  readonly name: string;
  readonly address: string;
}

async function ip(...args: string[]): Promise<string> {
  const { stdout } = await exec('ip', args);
  return stdout;
}

/** `count` machines on one switch, with addresses of one family only; all gone when the scope closes. */
export async function openHosts(scope: Scope, count: number, family: Family): Promise<Host[]> {
  const hub = await newNamespace(scope);
  await ip('-n', hub, 'link', 'add', 'switch', 'type', 'bridge');
  await ip('-n', hub, 'link', 'set', 'switch', 'up');
  const hosts: Host[] = [];
  for (let index = 1; index <= count; index++) {
    const name = await newNamespace(scope);
    const [address, length] = family === 'ipv4' ? [`10.78.0.${index}`, 24] : [`fd78::${index}`, 64];
    await ip('-n', hub, 'link', 'add', `port${index}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
    await ip('-n', hub, 'link', 'set', `port${index}`, 'master', 'switch', 'up');
    // Nobody else has the address: IPv6 need not wait to find out.
    const options = family === 'ipv6' ? ['nodad'] : [];
    await ip('-n', name, 'addr', 'add', `${address}/${length}`, 'dev', 'eth0', ...options);
    await ip('-n', name, 'link', 'set', 'eth0', 'up');
    await until(`eth0 of ${name} up`, 5_000, async () =>
      (await ip('-n', name, 'link', 'show', 'dev', 'eth0')).includes('LOWER_UP'),
    );
    hosts.push({ name, address });
  }
  return hosts;
}
