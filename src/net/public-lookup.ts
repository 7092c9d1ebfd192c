/**
 * Name lookups that give public addresses only, asked when the connection is made: a name that was looked at before
 * might lead elsewhere by then.
 */
import { type LookupAddress, type LookupOptions, lookup } from 'node:dns';
import { isPrivateAddress } from './private-address.js';

type Callback = (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void;

/** `lookup` of `net.connect`. A name without a public address fails with the code EPRIVATE. */
export function publicLookup(host: string, options: LookupOptions, callback: Callback): void {
  lookup(host, { ...options, all: true }, (error, found) => {
    if (error !== null) {
      callback(error, []);
      return;
    }
    const allowed = found.filter(({ address }) => !isPrivateAddress(address));
    const [first] = allowed;
    if (first === undefined) {
      callback(Object.assign(new Error(`${host} is of a private network`), { code: 'EPRIVATE' }), []);
    } else if (options.all === true) callback(null, allowed);
    else callback(null, first.address, first.family);
  });
}
