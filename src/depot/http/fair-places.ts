/**
 * Places that are shared by all addresses: one may take as long as it has less than twice what is free, so that some
 * are free for others, however many it asks for. Alone an address gets two thirds of all, two get two fifths each.
 * Pure.
 */

/** @param own places of who asks. @param taken places of all, own ones among them */
export function mayTake(own: number, taken: number, places: number): boolean {
  return own < 2 * (places - taken);
}

/** How many of these belong to the group. */
export function ownOf(holders: Iterable<{ readonly group: string }>, group: string): number {
  let own = 0;
  for (const holder of holders) if (holder.group === group) own++;
  return own;
}
