/** Which addresses a server binds to: the ones asked for, else all of IPv6 and IPv4, else all of IPv4. */

const WITHOUT_IPV6: ReadonlySet<unknown> = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL']);

/**
 * @param host default: all addresses
 * @param bind called with an address to bind to; a second time where the machine has no IPv6
 * @throws what `bind` throws
 */
export async function bindTo<T>(host: string | undefined, bind: (host: string) => Promise<T>): Promise<T> {
  if (host !== undefined) return bind(host);
  try {
    return await bind('::');
  } catch (error) {
    const { code, facts } = error as { code?: unknown; facts?: { errno?: unknown } };
    if (!WITHOUT_IPV6.has(code) && !WITHOUT_IPV6.has(facts?.errno)) throw error;
  }
  return bind('0.0.0.0');
}
