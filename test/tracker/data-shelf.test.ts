/** The data of a share over HTTP: who goes away holds nothing. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { truncate, writeFile } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { withDeadline } from '../../lab/wait.js';
import { deferred } from '../../src/torrent/endings.js';
import { DataShelf } from '../../src/tracker/data-shelf.js';

const HOST = '127.0.0.1';
const DEADLINE_MS = 10_000;
const LENGTH_BYTES = 100_000;

/** A shelf with one file behind a server of its own. @param look is called before the file is found unchanged */
async function startShelf(
  scope: Scope,
  look: (response: ServerResponse, location: string) => Promise<void>,
): Promise<{ port: number; served: Promise<void> }> {
  const location = path.join(await tempFolder(scope), 'file');
  await writeFile(location, Buffer.alloc(LENGTH_BYTES, 1));
  const shelf = new DataShelf(() => 0);
  const { promise: served, resolve } = deferred();
  const server = createServer((request, response) => {
    const isSame = async (): Promise<boolean> => {
      await look(response, location);
      return true;
    };
    shelf.put([{ path: ['file'], location, lengthBytes: LENGTH_BYTES, etag: '"1"', isSame }]);
    void shelf.serve('file', request, response).then(resolve);
  });
  server.listen(0, HOST);
  await once(server, 'listening');
  scope.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, served };
}

test('a client that goes away while its file is opened holds neither a place nor a descriptor', async (t) => {
  const scope = openScope(t);
  const { port, served } = await startShelf(scope, async (response) => {
    const closed = once(response, 'close');
    client.destroy();
    await closed;
  });
  const client = connect(port, HOST, () => client.write('GET /file HTTP/1.1\r\nHost: x\r\n\r\n'));
  await withDeadline(served, 'the answer has ended', DEADLINE_MS);
});

test('of a file that is cut off meanwhile the connection ends, and nobody waits for the rest', async (t) => {
  const scope = openScope(t);
  const { port, served } = await startShelf(scope, (_response, location) => truncate(location, 10));
  const reply = await fetch(`http://${HOST}:${port}/file`);
  await assert.rejects(withDeadline(reply.arrayBuffer(), 'the body has ended', DEADLINE_MS), { name: 'TypeError' });
  await withDeadline(served, 'the answer has ended', DEADLINE_MS);
});
