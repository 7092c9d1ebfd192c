/** Which URLs of a torrent this program can use. Nothing is fetched here. */

/** Longer ones exist only to annoy. */
const URL_CHARACTERS = 2048;
const TRACKER_SCHEMES = new Set(['http:', 'https:', 'udp:', 'ws:', 'wss:']);
const WEB_SEED_SCHEMES = new Set(['http:', 'https:']);

function hasScheme(url: string, schemes: ReadonlySet<string>): boolean {
  // URL() forgives control characters and spaces; a log or a request line must not see them.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
  if (url.length > URL_CHARACTERS || /[\x00-\x20\x7f-\x9f]/.test(url) || !URL.canParse(url)) return false;
  const { protocol, hostname } = new URL(url);
  return schemes.has(protocol) && hostname !== '';
}

/** BEP 3 and 15, and the web socket trackers that other clients use. */
export function isTrackerUrl(url: string): boolean {
  return hasScheme(url, TRACKER_SCHEMES);
}

/** BEP 19; FTP is not supported. */
export function isWebSeedUrl(url: string): boolean {
  return hasScheme(url, WEB_SEED_SCHEMES);
}
