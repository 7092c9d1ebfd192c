/** The path of a request for logs and the page, without what gives access to whoever reads it. Pure. */

/** `http://user:word@host:port` before the path (RFC 9112, absolute form). */
const ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/[^/]*/i;
const PASSKEY = /^\/+[^/]+\/+(announce|scrape)[^\w/]*\/*$/;
const TICKET = /^\/+actions-cache\/+(upload|download)\/+/;

/**
 * No query, no user of an absolute target, no passkey, no ticket of the Actions cache, however they are spelled.
 * Everything else as it came.
 * @param target as in the first line of the request
 */
export function shownPath(target: string): string {
  const path = target.split(/[?#]/, 1)[0]!.replace(ORIGIN, '');
  const plain = decoded(path);
  const passkey = PASSKEY.exec(plain);
  if (passkey !== null) return `/…/${passkey[1]}`;
  const ticket = TICKET.exec(plain);
  return ticket === null ? path : `/actions-cache/${ticket[1]}/…`;
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    // Its escapes are read one by one: what is no UTF-8 is no part of what is looked for.
    return path.replace(/%([0-7][0-9a-f])/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  }
}
