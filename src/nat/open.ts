/** What an engine loads when its ports are to be mapped. */
import { systemGateway } from './gateway.js';
import { Igd } from './igd.js';
import { NatPmp } from './pmp.js';
import type { NatClock, PortMapper } from './port-mapper.js';

export { Nat } from './nat.js';

/** @param given the address of the gateway; default: that of the default route, where the system tells it */
export async function systemMappers(
  given: string | undefined,
  clock: NatClock,
  random: () => number,
): Promise<readonly PortMapper[]> {
  const gateway = given ?? (await systemGateway());
  const igd = new Igd({ gateway, clock, random });
  return gateway === null ? [igd] : [new NatPmp({ gateway, clock }), igd];
}
