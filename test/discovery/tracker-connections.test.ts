/** Where a redirect of a tracker may lead: 127.0.0.2 stands for a public address, 127.0.0.1 for one of ours. */
import assert from 'node:assert/strict';
import type { LookupAddress, lookup as systemLookup } from 'node:dns';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { AnnounceRequest } from '../../src/discovery/announce.js';
import { announceHttp } from '../../src/discovery/http-tracker.js';
import { TrackerConnections } from '../../src/discovery/tracker-connections.js';
import { isTrackerPort } from '../../src/net/tracker-port.js';

const request: AnnounceRequest = {
  infoHash: Buffer.alloc(20, 1),
  peerId: Buffer.alloc(20, 2),
  port: 6881,
  uploadedBytes: 0,
  downloadedBytes: 0,
  leftBytes: 3,
  numwant: 50,
};

async function serve(context: TestContext, host: string, handler: RequestListener): Promise<number> {
  const server = createServer(handler).listen(0, host);
  await once(server, 'listening');
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** A public tracker that redirects to where `lead` says, and a private server behind it that must not be asked. */
async function scene(context: TestContext, names: Record<string, string[]> = {}) {
  let location = '';
  let asked = 0;
  const redirect: RequestListener = (_request, response) => void response.writeHead(302, { location }).end();
  const publicPort = await serve(context, '127.0.0.2', redirect);
  const privatePort = await serve(context, '127.0.0.1', (_request, response) => {
    asked++;
    response.end('d8:intervali60e5:peers0:e');
  });
  const lookUp = ((host: string, _options: object, callback: (error: null, found: LookupAddress[]) => void) => {
    // One entry is one lookup; the last one stays.
    const found = names[host]!;
    const address = found.length > 1 ? found.shift()! : found[0]!;
    callback(null, [{ address, family: 4 }]);
  }) as unknown as typeof systemLookup;
  const connections = new TrackerConnections({ isPrivate: (address) => address !== '127.0.0.2', lookUp });
  context.after(() => connections.close());
  const announce = (url: string) => announceHttp(url, request, { connections });
  const lead = (to: string): void => {
    location = to;
  };
  return { announce, lead, publicPort, privatePort, asked: () => asked };
}

test('a public tracker does not lead to a private address, by number or by name', async (context) => {
  const names = { 'pub.example': ['127.0.0.2'], 'inside.example': ['127.0.0.1'] };
  const { announce, lead, publicPort, privatePort, asked } = await scene(context, names);
  for (const from of ['127.0.0.2', 'pub.example']) {
    lead(`http://127.0.0.1:${privatePort}/announce`);
    await assert.rejects(announce(`http://${from}:${publicPort}/announce`), /address is of a private network/);
    lead(`http://inside.example:${privatePort}/announce`);
    await assert.rejects(announce(`http://${from}:${publicPort}/announce`), /of a private network/);
  }
  lead(`http://[::ffff:127.0.0.1]:${privatePort}/announce`);
  await assert.rejects(announce(`http://127.0.0.2:${publicPort}/announce`), /of a private network/);
  assert.equal(asked(), 0);
});

test('a name that was public once stays public, whatever it leads to later', async (context) => {
  const names = { 'turn.example': ['127.0.0.2', '127.0.0.1'] };
  const { announce, lead, publicPort, privatePort, asked } = await scene(context, names);
  lead(`http://turn.example:${privatePort}/announce`);
  await assert.rejects(announce(`http://turn.example:${publicPort}/announce`), /of a private network/);
  assert.equal(asked(), 0);
});

test('a private tracker may lead to another one', async (context) => {
  const names = { 'inside.example': ['127.0.0.1'] };
  const { announce, privatePort, asked } = await scene(context, names);
  const from = await serve(context, '127.0.0.1', (_request, response) => {
    response.writeHead(302, { location: `http://127.0.0.1:${privatePort}/announce` }).end();
  });
  assert.equal((await announce(`http://inside.example:${from}/announce`)).intervalMs, 60_000);
  assert.equal((await announce(`http://127.0.0.1:${from}/announce`)).intervalMs, 60_000);
  assert.equal(asked(), 2);
});

test('a public tracker does not lead to ports at which no tracker is', async (context) => {
  const { announce, lead, publicPort } = await scene(context);
  for (const port of [22, 25, 6379, 5432]) {
    lead(`http://127.0.0.2:${port}/announce`);
    await assert.rejects(announce(`http://127.0.0.2:${publicPort}/announce`), /that port is no tracker/);
  }
  assert.deepEqual([0, 21, 80, 443, 1024, 6969, 11_211, 65_535].filter(isTrackerPort), [80, 443, 1024, 6969, 65_535]);
});
