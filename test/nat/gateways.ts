/** Stand-ins for gateways on loopback, and a clock that tests turn by hand. */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { NatClock } from '../../src/nat/port-mapper.js';

export class HandClock implements NatClock {
  #nowMs = 0;
  #next = 0;
  readonly #calls = new Map<number, { readonly atMs: number; readonly call: () => void }>();

  now(): number {
    return this.#nowMs;
  }

  later(ms: number, call: () => void): () => void {
    const id = this.#next++;
    this.#calls.set(id, { atMs: this.#nowMs + ms, call });
    return () => this.#calls.delete(id);
  }

  /** Pauses that are waited for, sorted. */
  get pauses(): readonly number[] {
    return [...this.#calls.values()].map(({ atMs }) => atMs - this.#nowMs).sort((a, b) => a - b);
  }

  pass(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      const due = [...this.#calls].filter(([, { atMs }]) => atMs <= untilMs).sort(([, a], [, b]) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      this.#calls.delete(due[0]);
      this.#nowMs = due[1].atMs;
      due[1].call();
    }
    this.#nowMs = untilMs;
  }
}

export interface UdpGateway {
  readonly port: number;
  readonly socket: Socket;
  readonly heard: Buffer[];
  close(): void;
}

/** Answers each datagram with what `answer` gives. */
export async function udpGateway(answer: (bytes: Buffer, from: RemoteInfo) => Buffer | null): Promise<UdpGateway> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const heard: Buffer[] = [];
  socket.on('message', (bytes, from) => {
    heard.push(bytes);
    const reply = answer(bytes, from);
    if (reply !== null) socket.send(reply, from.port, from.address);
  });
  return { port: socket.address().port, socket, heard, close: () => socket.close() };
}

/** A reply of NAT-PMP to that request. */
export function pmpReply(
  request: Buffer,
  { result = 0, epoch = 1000, host = [9, 8, 7, 6], port, lifetime }: PmpAnswer = {},
): Buffer {
  const isMapping = request[1] !== 0;
  const bytes = Buffer.alloc(isMapping ? 16 : 12);
  bytes[1] = 128 + request[1]!;
  bytes.writeUInt16BE(result, 2);
  bytes.writeUInt32BE(epoch, 4);
  if (!isMapping) bytes.set(host, 8);
  else {
    request.copy(bytes, 8, 4, 6);
    bytes.writeUInt16BE(port ?? request.readUInt16BE(6), 10);
    bytes.writeUInt32BE(lifetime ?? request.readUInt32BE(8), 12);
  }
  return bytes;
}

export interface PmpAnswer {
  readonly result?: number;
  readonly epoch?: number;
  readonly host?: readonly number[];
  readonly port?: number;
  readonly lifetime?: number;
}

export const WAN_IP = 'urn:schemas-upnp-org:service:WANIPConnection:1';

export function description(services: string, before = ''): string {
  return `<?xml version="1.0"?>${before}<root xmlns="urn:schemas-upnp-org:device-1-0"><device><deviceList><device>
    <serviceList>${services}</serviceList></device></deviceList></device></root>`;
}

export function service(type = WAN_IP, control = '/ctl'): string {
  return `<service><serviceType>${type}</serviceType><controlURL>${control}</controlURL></service>`;
}

export function envelope(inside: string): string {
  return `<s:Envelope xmlns:s="x"><s:Body>${inside}</s:Body></s:Envelope>`;
}

export function fault(code: number): string {
  const detail = `<detail><UPnPError><errorCode>${code}</errorCode></UPnPError></detail>`;
  return envelope(`<s:Fault><faultcode>s:Client</faultcode>${detail}</s:Fault>`);
}

/** An Internet gateway device: SSDP and HTTP. Fields may be set anew at any time. */
export class FakeIgd {
  description = description(service());
  externalHost = '9.8.7.6';
  /** "TCP 6881" to the arguments of AddPortMapping. */
  readonly mappings = new Map<string, Readonly<Record<string, string>>>();
  readonly calls: string[] = [];
  /** An error code, or null to map. */
  refuse: (values: Readonly<Record<string, string>>) => number | null = () => null;
  /** Null: nothing is said. */
  location: () => string | null = () => `http://127.0.0.1:${this.httpPort}/desc.xml`;
  isSilent = false;
  readonly #server: Server;
  readonly #udp: UdpGateway;

  private constructor(server: Server, udp: UdpGateway) {
    this.#server = server;
    this.#udp = udp;
  }

  static async open(): Promise<FakeIgd> {
    const late: { igd?: FakeIgd } = {};
    const server = createServer((request, reply) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const igd = late.igd!;
        if (igd.isSilent) return;
        const action = /#(\w+)"/.exec(String(request.headers.soapaction))?.[1];
        const [status, body] =
          action === undefined ? [200, igd.description] : igd.#act(action, Buffer.concat(chunks).toString());
        reply.writeHead(status, { 'content-type': 'text/xml' }).end(body);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const udp = await udpGateway((bytes) => {
      const location = late.igd!.location();
      const target = /\nST: (\S+)/.exec(bytes.toString())?.[1];
      return location === null
        ? null
        : Buffer.from(`HTTP/1.1 200 OK\r\nLocation: ${location}\r\nST: ${target}\r\n\r\n`);
    });
    late.igd = new FakeIgd(server, udp);
    return late.igd;
  }

  get httpPort(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get searchAt(): { host: string; port: number } {
    return { host: '127.0.0.1', port: this.#udp.port };
  }

  #act(action: string, body: string): [number, string] {
    this.calls.push(action);
    const values = Object.fromEntries(
      [...body.matchAll(/<(New\w+)>([^<]*)</g)].map(([, name, value]) => [name, value]),
    );
    const key = `${values.NewProtocol} ${values.NewExternalPort}`;
    const done: [number, string] = [200, envelope(`<u:${action}Response xmlns:u="y"/>`)];
    if (action === 'GetExternalIPAddress') {
      const address = `<NewExternalIPAddress>${this.externalHost}</NewExternalIPAddress>`;
      return [200, envelope(`<u:${action}Response xmlns:u="y">${address}</u:${action}Response>`)];
    }
    if (action === 'AddPortMapping') {
      const code = this.refuse(values);
      if (code !== null) return [500, fault(code)];
      this.mappings.set(key, values);
      return done;
    }
    if (!this.mappings.has(key)) return [500, fault(714)];
    if (action === 'DeletePortMapping') this.mappings.delete(key);
    return done;
  }

  async close(): Promise<void> {
    this.#udp.close();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
