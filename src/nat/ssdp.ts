/** Looks for a gateway by SSDP, the search of UPnP. */
import { createSocket } from 'node:dgram';
import type { Address } from '../net/address.js';
import { locationOf, searchRequests } from './igd-messages.js';
import { type NatClock, natAborted, natError } from './port-mapper.js';

/** Datagrams are lost: the search is sent again after each pause, and given up after the last. */
const PAUSES_MS: readonly number[] = [500, 1000, 2000, 3000];

export interface SearchOptions {
  /** Where the search goes to: the group of SSDP. */
  readonly to: Address;
  /** The only one whose answers are believed; null: any of a private network. */
  readonly gateway: string | null;
  /** The address of ours that is searched from; default: whichever the system takes. */
  readonly from?: string | undefined;
  readonly clock: NatClock;
  /** Descriptions that were of no use. */
  readonly tried: ReadonlySet<string>;
}

/** Where the description of a gateway is. @throws HaulError nobody answers */
export function searchGateway(options: SearchOptions, signal: AbortSignal): Promise<URL> {
  const { to, gateway, from, clock, tried } = options;
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(natAborted('UPnP'));
      return;
    }
    const socket = createSocket('udp4');
    let cancel = (): void => {};
    let turn = 0;
    const end = (): void => {
      cancel();
      signal.removeEventListener('abort', onAbort);
      socket.removeAllListeners();
      socket.on('error', () => {});
      socket.close();
    };
    const fail = (error: Error): void => {
      end();
      reject(error);
    };
    const onAbort = (): void => fail(natAborted('UPnP'));
    const send = (): void => {
      const pause = PAUSES_MS[turn++];
      if (pause === undefined) {
        fail(natError('UPnP: no gateway answers', 'TIMEOUT'));
        return;
      }
      cancel = clock.later(pause, send);
      for (const request of searchRequests(`${to.host}:${to.port}`)) socket.send(request, to.port, to.host, () => {});
    };
    signal.addEventListener('abort', onAbort);
    socket.on('error', (error) => fail(natError(`UPnP: cannot search (${error.message})`, 'NETWORK', error)));
    socket.on('message', (bytes, { address }) => {
      const location = locationOf(bytes, address, gateway);
      if (location === null || tried.has(location.href)) return;
      end();
      resolve(location);
    });
    socket.bind({ address: from ?? '0.0.0.0', port: 0, exclusive: true }, () => {
      try {
        // Bound alone it would still go out by the default route.
        if (from !== undefined) socket.setMulticastInterface(from);
        send();
      } catch (error) {
        fail(natError(`UPnP: cannot search (${(error as Error).message})`, 'NETWORK', error));
      }
    });
  });
}

/** The address of ours from which that host is reached. @param from must be it @throws HaulError it is out of reach */
export function addressTowards({ host, port }: Address, from?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4');
    socket.once('error', (error) => {
      socket.close();
      reject(natError(`UPnP: cannot reach ${host} (${error.message})`, 'NETWORK', error));
    });
    // Nothing is sent: the kernel only chooses the way.
    const connect = (): void =>
      socket.connect(port, host, () => {
        const { address } = socket.address();
        socket.close();
        resolve(address);
      });
    if (from === undefined) connect();
    else socket.bind({ address: from, port: 0, exclusive: true }, connect);
  });
}
