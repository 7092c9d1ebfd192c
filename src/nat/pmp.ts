/** Port mappings by NAT-PMP (RFC 6886): one request at a time, repeated with growing pauses. */
import { createSocket, type Socket } from 'node:dgram';
import { urlHost } from '../net/address.js';
import { decodeReply, encodeAddressRequest, encodeMappingRequest, isReplyTo, type PmpReply } from './pmp-messages.js';
import {
  type Mapping,
  type MappingRequest,
  type NatClock,
  natAborted,
  natError,
  type PortMapper,
} from './port-mapper.js';

const PMP_PORT = 5351;
/** As RFC 6886 has it: the first pause, doubled with each of the tries, and the whole is two minutes. */
const FIRST_PAUSE_MS = 250;
const TRIES = 9;

export interface PmpOptions {
  /** An IPv4 address. */
  readonly gateway: string;
  /** The address of ours that it is asked from; default: whichever the system takes. */
  readonly from?: string | undefined;
  /** Default: 5351. */
  readonly port?: number | undefined;
  readonly clock: NatClock;
}

export class NatPmp implements PortMapper {
  readonly name = 'NAT-PMP';
  readonly #options: PmpOptions;
  readonly #where: string;
  #socket: Promise<Socket> | null = null;
  /** Ends when the requests before have ended. */
  #line: Promise<unknown> = Promise.resolve();
  #epoch: { readonly seconds: number; readonly atMs: number } | null = null;
  #isRestarted = false;

  constructor(options: PmpOptions) {
    this.#options = options;
    this.#where = `NAT-PMP gateway ${urlHost(options.gateway)}`;
  }

  async find(signal: AbortSignal): Promise<void> {
    await this.#exchange(encodeAddressRequest(), signal);
  }

  async map(request: MappingRequest, signal: AbortSignal): Promise<Mapping> {
    const reply = await this.#exchange(encodeMappingRequest(request), signal);
    if (reply.kind !== 'mapping' || reply.externalPort === 0) throw natError(`${this.#where}: gave no port`);
    this.#isRestarted = false;
    return { externalPort: reply.externalPort, lifetimeSeconds: reply.lifetimeSeconds };
  }

  async unmap(request: MappingRequest, signal: AbortSignal): Promise<void> {
    await this.#exchange(encodeMappingRequest({ ...request, externalPort: 0, lifetimeSeconds: 0 }), signal);
  }

  async check(signal: AbortSignal): Promise<{ externalHost: string | null; isRestarted: boolean }> {
    const reply = await this.#exchange(encodeAddressRequest(), signal);
    const isKnown = reply.kind === 'address' && reply.host !== '0.0.0.0';
    return { externalHost: isKnown ? reply.host : null, isRestarted: this.#isRestarted };
  }

  async close(): Promise<void> {
    const socket = await this.#socket?.catch(() => null);
    this.#socket = null;
    socket?.close();
  }

  /** @throws HaulError also for a refusal */
  #exchange(request: Buffer, signal: AbortSignal): Promise<PmpReply> {
    const turn = this.#line.then(async () => {
      if (signal.aborted) throw natAborted(this.#where);
      this.#socket ??= this.#open();
      const opened = this.#socket;
      try {
        const reply = await this.#converse(await opened, request, signal);
        this.#heed(reply);
        if (reply.kind === 'refusal') throw natError(`${this.#where}: ${reply.reason}`);
        return reply;
      } catch (error) {
        // Another network may have another way to the gateway.
        if (this.#socket === opened && !signal.aborted) await this.close();
        throw error;
      }
    });
    this.#line = turn.catch(() => {});
    return turn;
  }

  /** A connected socket: the kernel drops what comes from elsewhere, and tells when nobody listens there. */
  #open(): Promise<Socket> {
    const { gateway, from, port = PMP_PORT } = this.#options;
    return new Promise((resolve, reject) => {
      const socket = createSocket('udp4');
      const onError = (error: Error): void => {
        socket.close();
        reject(natError(`${this.#where}: cannot be asked (${error.message})`, 'NETWORK', error));
      };
      socket.once('error', onError);
      const connect = (): void =>
        socket.connect(port, gateway, () => {
          socket.off('error', onError);
          socket.on('error', () => {});
          resolve(socket);
        });
      if (from === undefined) connect();
      else socket.bind({ address: from, port: 0, exclusive: true }, connect);
    });
  }

  #converse(socket: Socket, request: Buffer, signal: AbortSignal): Promise<PmpReply> {
    const { clock } = this.#options;
    return new Promise((resolve, reject) => {
      let tries = 0;
      let cancel = (): void => {};
      const end = (): void => {
        cancel();
        socket.off('message', onMessage).off('error', onError);
        signal.removeEventListener('abort', onAbort);
      };
      const fail = (error: Error): void => {
        end();
        reject(error);
      };
      const onMessage = (bytes: Buffer): void => {
        const reply = decodeReply(bytes);
        if (reply === null || !isReplyTo(request, reply)) return;
        end();
        resolve(reply);
      };
      const onError = (error: Error): void => fail(natError(`${this.#where}: does not speak it`, 'NETWORK', error));
      const onAbort = (): void => fail(natAborted(this.#where));
      const send = (): void => {
        if (tries === TRIES) {
          fail(natError(`${this.#where}: does not answer`, 'TIMEOUT'));
          return;
        }
        cancel = clock.later(FIRST_PAUSE_MS * 2 ** tries, send);
        tries++;
        socket.send(request, (error) => error && onError(error));
      };
      socket.on('message', onMessage).on('error', onError);
      signal.addEventListener('abort', onAbort);
      send();
    });
  }

  /** Its clock runs on while it keeps its mappings (RFC 6886, 3.6). */
  #heed({ epochSeconds }: PmpReply): void {
    const nowMs = this.#options.clock.now();
    if (this.#epoch !== null) {
      const least = this.#epoch.seconds + ((nowMs - this.#epoch.atMs) / 1000) * (7 / 8) - 2;
      if (epochSeconds < least) this.#isRestarted = true;
    }
    this.#epoch = { seconds: epochSeconds, atMs: nowMs };
  }
}
