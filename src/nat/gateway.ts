/** The router of this machine, as Linux tells it. */
import { readFile } from 'node:fs/promises';
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import { ipText } from '../net/address.js';

const ROUTES_FILE = '/proc/net/route';
const IS_UP = 1;
const IS_GATEWAY = 2;

/**
 * The IPv4 default gateway; null: there is none, or the system does not tell. @param from our address that asks it
 */
export async function systemGateway(from?: string): Promise<string | null> {
  try {
    const has = ([, own]: [string, NetworkInterfaceInfo[] | undefined]) => own?.some(({ address }) => address === from);
    const device = Object.entries(networkInterfaces()).find(has)?.[0] ?? null;
    return defaultGateway(await readFile(ROUTES_FILE, 'utf8'), device);
  } catch {
    return null;
  }
}

/**
 * The gateway of the default route with the lowest metric in the text of /proc/net/route. Pure.
 * @param only routes by this interface count; null: by any
 */
export function defaultGateway(routes: string, only: string | null = null): string | null {
  let best: { readonly host: string; readonly metric: number } | null = null;
  for (const line of routes.split('\n').slice(1)) {
    const [device, destination, gateway, flagsText, , , metricText, mask] = line.trim().split(/\s+/);
    if (only !== null && device !== only) continue;
    if (destination !== '00000000' || mask !== '00000000' || !/^[0-9A-F]{8}$/i.test(gateway ?? '')) continue;
    const flags = Number.parseInt(flagsText!, 16);
    const metric = Number(metricText);
    if ((flags & IS_UP) === 0 || (flags & IS_GATEWAY) === 0 || !Number.isInteger(metric)) continue;
    // As the processor has it: little-endian on all that Node 20 runs on but s390x.
    const bytes = Buffer.from(gateway!, 'hex').reverse();
    if (best === null || metric < best.metric) best = { host: ipText(bytes, 0, 4), metric };
  }
  return best?.host ?? null;
}
