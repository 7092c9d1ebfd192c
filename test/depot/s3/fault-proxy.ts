/** Stands between a client and a server of S3, and does to answers what the test says. */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Scope } from '../../../lab/scope.js';

export type Fault =
  /** An answer in place of the server's. */
  | { readonly kind: 'answer'; readonly status: number; readonly code: string }
  /** The connection ends before there is one. */
  | { readonly kind: 'reset' }
  /** So many bytes of the body, then the connection ends, or nothing comes any more. */
  | { readonly kind: 'cut' | 'silent'; readonly afterBytes: number }
  /** Every byte of the body another one, or an ETag that is of other bytes. */
  | { readonly kind: 'lie' | 'etag' };

export interface FaultProxy {
  readonly endpoint: string;
  /** Null: nothing is done. Asked for each request. */
  fault: (method: string, url: string) => Fault | null;
  requests: number;
  /** Of bodies, to the client. */
  sentBytes: number;
}

export async function startFaultProxy(scope: Scope, target: string): Promise<FaultProxy> {
  const { hostname: host, port } = new URL(target);
  const agent = new http.Agent({ keepAlive: true });
  const server = http.createServer((request, response) => {
    proxy.requests++;
    const fault = proxy.fault(request.method ?? '', request.url ?? '');
    if (fault?.kind === 'answer') {
      request.resume();
      response.writeHead(fault.status, { 'content-type': 'application/xml' });
      response.end(`<?xml version="1.0"?><Error><Code>${fault.code}</Code><Message>secret-in-it</Message></Error>`);
      return;
    }
    if (fault?.kind === 'reset') {
      request.socket.destroy();
      return;
    }
    const { method, url: path, headers } = request;
    const onward = http.request({ host, port, method, path, headers, agent }, (answer) => {
      const etag = fault?.kind === 'etag' ? { etag: `"${'0'.repeat(32)}"` } : {};
      response.writeHead(answer.statusCode ?? 500, { ...answer.headers, ...etag });
      let sent = 0;
      answer.on('data', (chunk: Buffer) => {
        const isCut = (fault?.kind === 'cut' || fault?.kind === 'silent') && sent + chunk.length > fault.afterBytes;
        if (fault?.kind === 'lie') chunk = Buffer.from(chunk.map((byte) => byte ^ 1));
        sent += chunk.length;
        proxy.sentBytes += chunk.length;
        if (!isCut) response.write(chunk);
        else if (fault.kind === 'cut') response.destroy();
        else answer.pause();
      });
      answer.on('end', () => response.end());
    });
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  scope.defer(async () => {
    agent.destroy();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const proxy: FaultProxy = { endpoint, fault: () => null, requests: 0, sentBytes: 0 };
  return proxy;
}
