/** In which order the trackers of several depots are asked. Pure. */
import type { Tiers } from './depot-port.js';

/** @param depots in the order in which they are asked themselves; a tracker belongs to the one below whose URL it is */
export function trackersInOrder(
  tiers: Tiers,
  depots: readonly { readonly url: string; readonly isAway: boolean }[],
): Tiers {
  const rank = (tracker: string): number => {
    const at = depots.findIndex(({ url }) => tracker.startsWith(`${url}/`));
    // Of one under a name that we do not know nobody knows whether it is there.
    if (at < 0) return depots.length;
    return depots[at]!.isAway ? depots.length + 1 : at;
  };
  const best = (tier: readonly string[]): number => Math.min(...tier.map(rank));
  return [...tiers].sort((a, b) => best(a) - best(b));
}
