/**
 * From how far an address can be reached, and so who may name it: a stranger of the Internet does not send us to an
 * address of our own network, nor a machine of the network to our own services. Pure.
 */
import { type Address, ipBytes, isDialable } from './address.js';
import { isPrivateAddress } from './private-address.js';
import { groupOf } from './remote-group.js';

export type Reach = 'host' | 'network' | 'public';

interface Place {
  readonly reach: Reach;
  readonly family: 4 | 6 | null;
  readonly group: string | null;
  readonly subnet: string | null;
}

const RANK: Readonly<Record<Reach, number>> = { host: 0, network: 1, public: 2 };
/** Each answer names eight addresses, most of them known; what is computed of one is kept for a while. */
const PLACES_KEPT = 8_192;
const places = new Map<string, Place>();

function placeOf(host: string): Place {
  const known = places.get(host);
  if (known !== undefined) return known;
  if (places.size >= PLACES_KEPT) places.clear();
  const bytes = ipBytes(host);
  const isHost = host.startsWith('127.') || host === '::1';
  const isPublic = bytes !== null && !isPrivateAddress(host);
  const place: Place = {
    reach: isHost ? 'host' : isPublic ? 'public' : 'network',
    family: bytes === null ? null : bytes.length === 4 ? 4 : 6,
    group: isPublic ? groupOf(host) : null,
    subnet: isPublic ? Buffer.from(bytes.subarray(0, bytes.length === 4 ? 3 : 6)).toString('hex') : null,
  };
  places.set(host, place);
  return place;
}

/** @param host an IP address */
export function reachOf(host: string): Reach {
  return placeOf(host).reach;
}

/** Whether who is at `source` may tell us of `host`, or may be told of it by us. */
export function mayName(source: string, host: string): boolean {
  return isAsFar(placeOf(source).reach, placeOf(host).reach);
}

/** The same of what is known of both. */
export function isAsFar(source: Reach, named: Reach): boolean {
  return RANK[named] >= RANK[source];
}

/** An IP address of that family, with a port, at which a node or a peer can be. */
export function isUsable(address: Address, family: 4 | 6): boolean {
  const place = placeOf(address.host);
  return place.family === family && (place.reach === 'public' ? isPort(address.port) : isDialable(address));
}

function isPort(port: number): boolean {
  return port >= 1 && port <= 65_535;
}

/** Whom an address of the Internet stands for (IPv6: a /64); null: every address of a private network is its own. */
export function shareGroup(host: string): string | null {
  return placeOf(host).group;
}

/** The network of an address of the Internet, /24 (IPv6: /48); null: a private network. */
export function subnetOf(host: string): string | null {
  return placeOf(host).subnet;
}
