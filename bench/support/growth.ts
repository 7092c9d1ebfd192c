/** How a figure grows: the exponent k of y = a n^k, by least squares on logarithms. */
export interface GrowthPoint {
  readonly n: number;
  readonly y: number;
}

/** Fewer points make no trend. */
const POINTS_MIN = 3;

/**
 * Points below `resolution` are noise and left out: what is measured above an idle engine is near zero for small n.
 * Null when fewer than three points, or points of one n only, remain.
 */
export function growthExponent(points: readonly GrowthPoint[], resolution: number): number | null {
  const logs = points
    .filter(({ n, y }) => n > 0 && y >= resolution)
    .map(({ n, y }) => ({ x: Math.log(n), y: Math.log(y) }));
  if (logs.length < POINTS_MIN) return null;
  const meanX = logs.reduce((sum, { x }) => sum + x, 0) / logs.length;
  const meanY = logs.reduce((sum, { y }) => sum + y, 0) / logs.length;
  const across = logs.reduce((sum, { x, y }) => sum + (x - meanX) * (y - meanY), 0);
  const spread = logs.reduce((sum, { x }) => sum + (x - meanX) ** 2, 0);
  return spread === 0 ? null : across / spread;
}
