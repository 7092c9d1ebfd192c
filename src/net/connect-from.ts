/**
 * Connections of HTTP that come from certain addresses of ours. A name is looked up here, and what is connected to is
 * one of its addresses, the first that can be reached so: whatever the system would try otherwise might go another way.
 */
import { type LookupAddress, lookup } from 'node:dns';
import { isIP } from 'node:net';
import type { buildConnector } from 'undici';
import { NO_OWN_ADDRESS, type OwnHost } from './own-host.js';

export type ConnectOptions = buildConnector.BuildOptions & { readonly lookup?: typeof lookup };

/** @param options of the connection; its `lookup` decides which addresses may be */
export function connectFrom(
  own: OwnHost,
  options: ConnectOptions | undefined,
  build: typeof buildConnector,
): buildConnector.connector {
  const connect = build(options ?? {});
  const lookUp = options?.lookup ?? lookup;
  return (target, callback) => {
    const host = target.hostname.replace(/^\[|\]$/g, '');
    const connectTo = (address: string | undefined): void => {
      const from = address === undefined ? null : own.from(address);
      if (address === undefined || from === null) {
        callback(Object.assign(new Error(NO_OWN_ADDRESS), { code: 'EADDRNOTAVAIL' }), null);
        return;
      }
      connect({ ...target, hostname: address, localAddress: from ?? null }, callback);
    };
    if (isIP(host) !== 0) {
      connectTo(host);
      return;
    }
    const onFound = (error: NodeJS.ErrnoException | null, found: LookupAddress[]): void => {
      if (error !== null) callback(error, null);
      else connectTo(found.find(({ address }) => own.from(address) !== null)?.address);
    };
    lookUp(host, { all: true }, onFound);
  };
}
