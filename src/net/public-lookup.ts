/**
 * Name lookups that give some addresses only, asked when the connection is made: a name that was looked at before might
 * lead elsewhere by then.
 */
import { type LookupAddress, type LookupOptions, lookup } from 'node:dns';

type Callback = (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void;
type Lookup = (host: string, options: LookupOptions, callback: Callback) => void;

export interface FilteredLookupOptions {
  /** Default: all. */
  readonly permits?: (address: string) => boolean;
  /** Hears what was found and is permitted; not called where that is nothing. */
  readonly note?: (host: string, addresses: readonly string[]) => void;
  /** Default that of the system. */
  readonly lookUp?: typeof lookup;
}

/** A `lookup` for `net.connect`. A name without a permitted address fails with the code EPRIVATE. */
export function filteredLookup({ permits = () => true, note, lookUp = lookup }: FilteredLookupOptions): Lookup {
  return (host, options, callback) => {
    lookUp(host, { ...options, all: true }, (error, found) => {
      if (error !== null) {
        callback(error, []);
        return;
      }
      const allowed = found.filter(({ address }) => permits(address));
      const [first] = allowed;
      if (first === undefined) {
        callback(Object.assign(new Error(`${host} is of a private network`), { code: 'EPRIVATE' }), []);
        return;
      }
      note?.(
        host,
        allowed.map(({ address }) => address),
      );
      if (options.all === true) callback(null, allowed);
      else callback(null, first.address, first.family);
    });
  };
}
