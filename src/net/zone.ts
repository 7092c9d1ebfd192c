/**
 * Zones: an optional name for the place of a host (rack, room, region) by which our tracker lets neighbours find each
 * other first. Parts go from the large to the small, with `/` between them: "eu-1/rack7". No BEP knows them. Pure.
 */

/** Longer names only make longer requests. */
export const ZONE_CHARS_MAX = 64;
/** Region, room, row, rack. The tracker looks at each part of the asker's zone, so their number is bounded. */
export const ZONE_PARTS_MAX = 4;

/** Completes "zone …". */
export const ZONE_RULE =
  `must be 1 to ${ZONE_CHARS_MAX} letters, digits, dots, dashes and underscores, ` +
  `in up to ${ZONE_PARTS_MAX} parts with / between them`;

const PARTS = /^[A-Za-z0-9._-]+(?:\/[A-Za-z0-9._-]+)*$/;

/** Whether this is the name of a zone. Such a name is itself when it stands in a URL query. */
export function isZone(text: string): boolean {
  return (
    text.length <= ZONE_CHARS_MAX && PARTS.test(text) && text.split('/', ZONE_PARTS_MAX + 1).length <= ZONE_PARTS_MAX
  );
}
