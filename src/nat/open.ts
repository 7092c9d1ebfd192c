/** What an engine loads when its ports are to be mapped. */
import type { OwnHost } from '../net/own-host.js';
import { systemGateway } from './gateway.js';
import { Igd } from './igd.js';
import { NatPmp } from './pmp.js';
import type { NatClock, PortMapper } from './port-mapper.js';

export { Nat } from './nat.js';

/** Both protocols are of IPv4. */
const ANY_IPV4 = '192.0.2.1';

/**
 * @param given the address of the gateway; default: that of the default route, where the system tells it
 * @param own by which of our addresses it is asked. None where that is one of IPv6 only
 */
export async function systemMappers(
  given: string | undefined,
  clock: NatClock,
  random: () => number,
  own: OwnHost,
): Promise<readonly PortMapper[]> {
  const from = own.from(ANY_IPV4);
  if (from === null) return [];
  const gateway = given ?? (await systemGateway(from));
  const igd = new Igd({ gateway, own, clock, random });
  return gateway === null ? [igd] : [new NatPmp({ gateway, from, clock }), igd];
}
