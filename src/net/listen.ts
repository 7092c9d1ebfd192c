/** The door for incoming peers: one TCP server, on the first free port of a range or on the port asked for. */
import net from 'node:net';
import { fromSystemError, HaulError } from '../errors.js';
import { urlHost } from './address.js';
import { bindTo } from './bind.js';

export interface Listener {
  readonly port: number;
  /** Refuses further peers; resolves when all accepted sockets are closed too. */
  close(): Promise<void>;
}

export interface ListenOptions {
  /** Ports to try in order; [0] for any free one. */
  readonly ports: readonly number[];
  /** One address, or several with the same port. Default, and where there is none: all, IPv6 and IPv4. */
  readonly host?: string | readonly string[] | undefined;
  /** Receives paused sockets. */
  readonly onSocket: (socket: net.Socket) => void;
  readonly onError: (error: Error) => void;
}

/** @throws HaulError PORT_IN_USE, NO_PERMISSION or IO. */
export async function listen(options: ListenOptions): Promise<Listener> {
  let failure: HaulError | null = null;
  for (const port of options.ports) {
    try {
      return await listenAt(port, options);
    } catch (error) {
      failure = error as HaulError;
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

/** How often another port is taken where the one that was free at the first address is in use at the second. */
const ANY_PORT_TRIES = 5;

async function listenAt(port: number, options: ListenOptions): Promise<Listener> {
  const hosts = typeof options.host === 'string' ? [options.host] : (options.host ?? []);
  if (hosts.length < 2) return bindTo(hosts[0], (host) => tryListen(host, port, options));
  for (let tries = 1; ; tries++) {
    const open: Listener[] = [];
    const close = async (): Promise<void> => void (await Promise.all(open.map((each) => each.close())));
    try {
      for (const host of hosts) open.push(await tryListen(host, open[0]?.port ?? port, options));
      return { port: open[0]!.port, close };
    } catch (error) {
      await close();
      const isTaken = error instanceof HaulError && error.code === 'PORT_IN_USE';
      if (port !== 0 || !isTaken || tries === ANY_PORT_TRIES) throw error;
    }
  }
}

function tryListen(host: string, port: number, options: ListenOptions): Promise<Listener> {
  return new Promise((resolve, reject) => {
    const server = net.createServer({ pauseOnConnect: true, noDelay: true }, options.onSocket);
    const failed = (error: Error) => {
      reject(fromSystemError(error, 'listen for peers on', `${urlHost(host)}:${port}`));
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
