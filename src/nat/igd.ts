/** Port mappings by UPnP: an Internet gateway device with a WANIPConnection or WANPPPConnection service. */
import { canonicalHost } from '../net/address.js';
import { boundedBody } from '../net/bounded-body.js';
import { HttpClient, type Requests } from '../net/http-client.js';
import type { OwnHost } from '../net/own-host.js';
import { type IgdService, type SoapReply, servicesOf, soapReply, soapRequest } from './igd-messages.js';
import {
  type Mapping,
  type MappingRequest,
  type NatClock,
  natAborted,
  natError,
  type PortMapper,
} from './port-mapper.js';
import { addressTowards, searchGateway } from './ssdp.js';

const SSDP_GROUP = { host: '239.255.255.250', port: 1900 };
const ANSWER_MS = 5000;
const BODY_BYTES_MAX = 64 * 1024;
/** More than a few gateways on one network are somebody's joke. */
const DESCRIPTIONS_TRIED = 8;
const PORTS_TRIED = 4;

/** Error codes of AddPortMapping (WANIPConnection, 2.4.16). */
const NO_SUCH_ENTRY = 714;
const CONFLICT = 718;
const SAME_PORTS_ONLY = 724;
const PERMANENT_ONLY = 725;

const FAULTS: Readonly<Record<number, string>> = {
  401: 'it does not know the action',
  402: 'it does not like the arguments',
  501: 'it failed',
  606: 'it does not allow that',
  [CONFLICT]: 'the port is taken',
  [SAME_PORTS_ONLY]: 'it maps equal ports only',
  728: 'it has no room for another mapping',
};

export interface IgdOptions {
  /** The only address that is believed; null: any of a private network. */
  readonly gateway: string | null;
  /** By which of our addresses it is asked; default: whichever the system takes. */
  readonly own?: OwnHost | undefined;
  /** Where the search goes to. Default: the group of SSDP. */
  readonly searchAt?: { readonly host: string; readonly port: number } | undefined;
  readonly clock: NatClock;
  /** A generator of [0, 1). */
  readonly random: () => number;
}

export class Igd implements PortMapper {
  readonly name = 'UPnP';
  readonly #options: IgdOptions;
  readonly #client: HttpClient;
  readonly #from: string | undefined;
  #service: (IgdService & { readonly ownHost: string }) | null = null;
  /** Outer ports by "tcp 6881": a renewal asks for what it has. */
  readonly #mapped = new Map<string, number>();
  #isPermanentOnly = false;

  constructor(options: IgdOptions) {
    this.#options = options;
    const { own } = options;
    this.#client = new HttpClient({}, own && (() => own));
    this.#from = own?.from(SSDP_GROUP.host) ?? undefined;
  }

  async find(signal: AbortSignal): Promise<void> {
    const tried = new Set<string>();
    const { searchAt: to = SSDP_GROUP, gateway, clock } = this.#options;
    this.#service = null;
    let fault: unknown = null;
    while (tried.size < DESCRIPTIONS_TRIED) {
      const location = await searchGateway({ to, gateway, from: this.#from, clock, tried }, signal).catch(
        (error: unknown) => {
          throw fault ?? error;
        },
      );
      tried.add(location.href);
      try {
        const service = await this.#describe(location, signal);
        const port = Number(service.control.port || 80);
        const ownHost = await addressTowards({ host: service.control.hostname, port }, this.#from);
        this.#service = { ...service, ownHost };
        return;
      } catch (error) {
        if (signal.aborted) throw error;
        fault = error;
      }
    }
    throw fault;
  }

  async #describe(location: URL, signal: AbortSignal): Promise<IgdService> {
    const { status, text } = await this.#ask(location, { method: 'GET' }, signal);
    const services = status === 200 ? servicesOf(text, location) : null;
    if (services === null) throw natError(`UPnP gateway ${location.host}: has no description that can be read`);
    for (const service of services) {
      if (services.length === 1) return service;
      // Routers list the services of all their lines; the one in use has an address.
      const reply = await this.#call(service, 'GetExternalIPAddress', {}, signal).catch(() => null);
      if (signal.aborted) throw natAborted('UPnP');
      if (reply?.kind === 'result' && outerHost(reply) !== null) return service;
    }
    throw natError(`UPnP gateway ${location.host}: maps no ports`);
  }

  async map(request: MappingRequest, signal: AbortSignal): Promise<Mapping> {
    const key = keyOf(request);
    let externalPort = this.#mapped.get(key) ?? request.externalPort;
    let code = 0;
    for (let tries = 0; tries < PORTS_TRIED; tries++) {
      const lifetimeSeconds = this.#isPermanentOnly ? 0 : request.lifetimeSeconds;
      code = await this.#add(request, externalPort, lifetimeSeconds, signal);
      if (code === 0) {
        this.#mapped.set(key, externalPort);
        return { externalPort, lifetimeSeconds: lifetimeSeconds === 0 ? Number.POSITIVE_INFINITY : lifetimeSeconds };
      }
      if (code === PERMANENT_ONLY && !this.#isPermanentOnly) this.#isPermanentOnly = true;
      else if (code === SAME_PORTS_ONLY && externalPort !== request.internalPort) externalPort = request.internalPort;
      else if (code === CONFLICT) externalPort = 49_152 + Math.floor(this.#options.random() * 16_384);
      else break;
    }
    // What is there now is another's.
    this.#mapped.delete(key);
    throw natError(`${this.#where}: ${FAULTS[code] ?? `it answers error ${code}`}`);
  }

  /** 0, or an error code. */
  async #add(
    { protocol, internalPort }: MappingRequest,
    externalPort: number,
    lifetimeSeconds: number,
    signal: AbortSignal,
  ): Promise<number> {
    const values = {
      NewRemoteHost: '',
      NewExternalPort: externalPort,
      NewProtocol: protocol.toUpperCase(),
      NewInternalPort: internalPort,
      NewInternalClient: this.#found.ownHost,
      NewEnabled: 1,
      NewPortMappingDescription: 'swarmhaul',
      NewLeaseDuration: lifetimeSeconds,
    };
    const reply = await this.#call(this.#found, 'AddPortMapping', values, signal);
    return reply.kind === 'fault' ? reply.code : 0;
  }

  async unmap(request: MappingRequest, signal: AbortSignal): Promise<void> {
    const key = keyOf(request);
    const externalPort = this.#mapped.get(key);
    // One that we did not get is another's.
    if (externalPort === undefined) return;
    this.#mapped.delete(key);
    const values = { NewRemoteHost: '', NewExternalPort: externalPort, NewProtocol: request.protocol.toUpperCase() };
    await this.#call(this.#found, 'DeletePortMapping', values, signal);
  }

  async check(signal: AbortSignal): Promise<{ externalHost: string | null; isRestarted: boolean }> {
    const reply = await this.#call(this.#found, 'GetExternalIPAddress', {}, signal);
    return { externalHost: outerHost(reply), isRestarted: await this.#hasForgotten(signal) };
  }

  /** It says so itself; one that cannot tell has its mappings renewed in time anyway. */
  async #hasForgotten(signal: AbortSignal): Promise<boolean> {
    for (const [key, externalPort] of this.#mapped) {
      const [protocol] = key.split(' ');
      const values = { NewRemoteHost: '', NewExternalPort: externalPort, NewProtocol: protocol!.toUpperCase() };
      const reply = await this.#call(this.#found, 'GetSpecificPortMappingEntry', values, signal).catch(() => null);
      if (reply?.kind === 'fault' && reply.code === NO_SUCH_ENTRY) return true;
    }
    return false;
  }

  close(): Promise<void> {
    return this.#client.destroy();
  }

  get #found(): IgdService & { readonly ownHost: string } {
    if (this.#service === null) throw natError('UPnP: no gateway was found');
    return this.#service;
  }

  get #where(): string {
    return `UPnP gateway ${this.#service?.control.host ?? ''}`;
  }

  async #call(
    { type, control }: IgdService,
    action: string,
    values: Readonly<Record<string, string | number>>,
    signal: AbortSignal,
  ): Promise<SoapReply> {
    const headers = { 'content-type': 'text/xml; charset="utf-8"', soapaction: `"${type}#${action}"` };
    const body = soapRequest(type, action, values);
    const { status, text } = await this.#ask(control, { method: 'POST', headers, body }, signal);
    const reply = status === 200 || status === 500 ? soapReply(text, action) : null;
    if (reply === null) throw natError(`UPnP gateway ${control.host}: answers nonsense (HTTP status ${status})`);
    return reply;
  }

  /** One HTTP exchange without redirects, within bounds of time and size. */
  async #ask(
    url: URL,
    what: Pick<Parameters<Requests['request']>[0], 'method' | 'headers' | 'body'>,
    signal: AbortSignal,
  ): Promise<{ readonly status: number; readonly text: string }> {
    const where = `UPnP gateway ${url.host}`;
    if (signal.aborted) throw natAborted(where);
    const stop = new AbortController();
    const onAbort = (): void => stop.abort();
    signal.addEventListener('abort', onAbort);
    const cancel = this.#options.clock.later(ANSWER_MS, onAbort);
    try {
      const path = url.pathname + url.search;
      const reply = await this.#client.request({ origin: url.origin, path, ...what, signal: stop.signal });
      const tooLong = (): Error => natError(`${where}: answers more than ${BODY_BYTES_MAX} bytes`);
      const body = await boundedBody(reply.body, BODY_BYTES_MAX, tooLong);
      return { status: reply.statusCode, text: body.toString('utf8') };
    } catch (error) {
      if (signal.aborted) throw natAborted(where);
      if (stop.signal.aborted) throw natError(`${where}: does not answer`, 'TIMEOUT', error);
      if (error instanceof Error && error.name === 'HaulError') throw error;
      throw natError(`${where}: cannot be asked`, 'NETWORK', error);
    } finally {
      cancel();
      signal.removeEventListener('abort', onAbort);
    }
  }
}

function keyOf({ protocol, internalPort }: MappingRequest): string {
  return `${protocol} ${internalPort}`;
}

/** Null: it has none now. */
function outerHost(reply: SoapReply): string | null {
  if (reply.kind !== 'result') return null;
  const host = canonicalHost(reply.values.get('NewExternalIPAddress') ?? '');
  return host === null || !/^[\d.]+$/.test(host) || host === '0.0.0.0' ? null : host;
}
