/** Ports at which no tracker is: what a stranger may not have us ask. Pure. */

/** Above 1023: what browsers do not ask either (WHATWG fetch), and databases and caches that answer anybody. */
const OTHERS: ReadonlySet<number> = new Set([
  ...[1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697],
  ...[1433, 1521, 2375, 2376, 2379, 3306, 3389, 5432, 5672, 5900, 6379, 9042, 9200, 10_080, 10_250, 11_211, 27_017],
]);

/** Those of HTTP, and of nobody in particular. */
export function isTrackerPort(port: number): boolean {
  return port === 80 || port === 443 || (port >= 1024 && port <= 65_535 && !OTHERS.has(port));
}

/** Of an HTTP or HTTPS URL. */
export function portOf({ port, protocol }: Pick<URL, 'port' | 'protocol'>): number {
  return port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);
}
