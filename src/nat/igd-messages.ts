/** What is said to and by an Internet gateway device of UPnP: the search, its description, SOAP. Pure. */
import { isIpLiteral, isPrivateAddress } from '../net/private-address.js';
import { xmlLeaves, xmlText } from './xml.js';

/** Kinds of services that map ports, the best first. */
const SERVICES: readonly string[] = [
  'urn:schemas-upnp-org:service:WANIPConnection:2',
  'urn:schemas-upnp-org:service:WANIPConnection:1',
  'urn:schemas-upnp-org:service:WANPPPConnection:2',
  'urn:schemas-upnp-org:service:WANPPPConnection:1',
];

const TARGETS: readonly string[] = [
  'urn:schemas-upnp-org:device:InternetGatewayDevice:2',
  'urn:schemas-upnp-org:device:InternetGatewayDevice:1',
  ...SERVICES,
];

const SEARCH_REPLY_BYTES = 2048;
const URL_CHARS = 512;

/** One datagram for each kind of gateway. */
export function searchRequests(host: string): readonly Buffer[] {
  return TARGETS.slice(0, 3).map((target) =>
    Buffer.from(
      `M-SEARCH * HTTP/1.1\r\nHOST: ${host}\r\nMAN: "ssdp:discover"\r\nMX: 2\r\nST: ${target}\r\n\r\n`,
      'latin1',
    ),
  );
}

/**
 * Where the description of the gateway is that sent this reply; null: it is none that is believed. A host answers for
 * itself only: nobody can send us to another one.
 * @param sender the address it came from
 * @param gateway the only one that is believed; null: any of a private network
 */
export function locationOf(reply: Uint8Array, sender: string, gateway: string | null): URL | null {
  if (reply.length > SEARCH_REPLY_BYTES) return null;
  if (gateway === null ? !isPrivateAddress(sender) : sender !== gateway) return null;
  const [status = '', ...lines] = Buffer.from(reply).toString('latin1').split('\r\n');
  if (!/^HTTP\/1\.[01] 200\b/.test(status)) return null;
  const header = (name: string): string | undefined => {
    const line = lines.find((each) => each.slice(0, name.length + 1).toLowerCase() === `${name}:`);
    return line?.slice(name.length + 1).trim();
  };
  if (!TARGETS.includes(header('st') ?? '')) return null;
  return urlAt(header('location') ?? '', sender);
}

/** A plain http URL at that very address. Null: it is something else. */
function urlAt(text: string, host: string, base?: URL): URL | null {
  if (text === '' || text.length > URL_CHARS || !URL.canParse(text, base?.href)) return null;
  const url = new URL(text, base?.href);
  const isPlain = url.protocol === 'http:' && url.username === '' && url.password === '' && url.port !== '0';
  return isPlain && url.hostname === host && isIpLiteral(host) ? url : null;
}

export interface IgdService {
  readonly type: string;
  readonly control: URL;
}

/** The services that map ports, the best first. Null: it is no description. @param location of the description */
export function servicesOf(description: string, location: URL): readonly IgdService[] | null {
  const leaves = xmlLeaves(description);
  if (leaves === null || leaves[0]?.path[0] !== 'root') return null;
  const base = leaves.find(({ path }) => path.length === 2 && path[1] === 'URLBase')?.text ?? '';
  const baseUrl = urlAt(base, location.hostname, location) ?? location;
  const found: IgdService[] = [];
  const types = new Map<number, string>();
  const controls = new Map<number, string>();
  for (const { path, text, parent } of leaves) {
    if (path.at(-2) !== 'service') continue;
    if (path.at(-1) === 'serviceType') types.set(parent, text);
    if (path.at(-1) === 'controlURL') controls.set(parent, text);
  }
  for (const [parent, type] of types) {
    const control = urlAt(controls.get(parent) ?? '', location.hostname, baseUrl);
    if (SERVICES.includes(type) && control !== null) found.push({ type, control });
  }
  return found.sort((a, b) => SERVICES.indexOf(a.type) - SERVICES.indexOf(b.type));
}

/** The body of a call. @param values texts by name, in the order of the service's description */
export function soapRequest(type: string, action: string, values: Readonly<Record<string, string | number>>): string {
  const inside = Object.entries(values).map(([name, value]) => `<${name}>${xmlText(String(value))}</${name}>`);
  return (
    '<?xml version="1.0"?>\r\n<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" ' +
    's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>' +
    `<u:${action} xmlns:u="${type}">${inside.join('')}</u:${action}></s:Body></s:Envelope>\r\n`
  );
}

export type SoapReply =
  | { readonly kind: 'result'; readonly values: ReadonlyMap<string, string> }
  | { readonly kind: 'fault'; readonly code: number };

/** Null: it is no answer to that call. */
export function soapReply(text: string, action: string): SoapReply | null {
  const leaves = xmlLeaves(text);
  if (leaves === null) return null;
  const values = new Map<string, string>();
  for (const { path, text: value } of leaves) {
    if (path[0] !== 'Envelope' || path[1] !== 'Body') return null;
    if (path[2] === 'Fault') {
      if (path.at(-1) === 'errorCode' && /^\d{1,5}$/.test(value)) return { kind: 'fault', code: Number(value) };
    } else if (path[2] !== `${action}Response`) return null;
    else if (path.length === 4) values.set(path[3]!, value);
  }
  const isFault = leaves.some(({ path }) => path[2] === 'Fault');
  return isFault || leaves.length === 0 ? null : { kind: 'result', values };
}
