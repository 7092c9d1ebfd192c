/** The door for incoming peers: one TCP server, on the first free port of a range or on the port asked for. */
import net from 'node:net';
import { fromSystemError, HaulError } from '../errors.js';

export interface Listener {
  readonly port: number;
  /** Refuses further peers; resolves when all accepted sockets are closed too. */
  close(): Promise<void>;
}

export interface ListenOptions {
  /** Ports to try in order; [0] for any free one. */
  readonly ports: readonly number[];
  /** Default: all addresses, IPv6 and IPv4. */
  readonly host?: string | undefined;
  /** Receives paused sockets. */
  readonly onSocket: (socket: net.Socket) => void;
  readonly onError: (error: Error) => void;
}

/** @throws HaulError PORT_IN_USE, NO_PERMISSION or IO. */
export async function listen(options: ListenOptions): Promise<Listener> {
  const hosts = options.host === undefined ? ['::', '0.0.0.0'] : [options.host];
  let failure: HaulError | null = null;
  for (const port of options.ports) {
    for (const host of hosts) {
      const outcome = await tryListen(host, port, options);
      if (!(outcome instanceof HaulError)) return outcome;
      failure = outcome;
      // Another host will not help when the port is taken; without IPv6 the IPv4 wildcard may.
      if (outcome.code === 'PORT_IN_USE') break;
    }
  }
  if (failure?.code === 'PORT_IN_USE' && options.ports.length > 1) {
    const range = `${options.ports[0]}-${options.ports.at(-1)}`;
    throw new HaulError('PORT_IN_USE', `listen for peers: all ports ${range} are in use; choose one with --port`, {
      range,
    });
  }
  throw failure ?? new HaulError('BAD_ARGUMENT', 'listen for peers: no port given');
}

function tryListen(host: string, port: number, options: ListenOptions): Promise<Listener | HaulError> {
  return new Promise((resolve) => {
    const server = net.createServer({ pauseOnConnect: true, noDelay: true }, options.onSocket);
    const failed = (error: Error) => {
      resolve(fromSystemError(error, 'listen for peers on', `${host.includes(':') ? `[${host}]` : host}:${port}`));
    };
    server.once('error', failed);
    server.listen({ host, port, backlog: 511 }, () => {
      server.off('error', failed);
      server.on('error', options.onError);
      const address = server.address() as net.AddressInfo;
      resolve({
        port: address.port,
        close: () => new Promise<void>((closed) => server.close(() => closed())),
      });
    });
  });
}
