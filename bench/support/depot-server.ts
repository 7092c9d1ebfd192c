/**
 * A depot for the bench, by itself: `node dist/bench/support/depot-server.js FOLDER`. Says its port in a line of JSON,
 * and ends with its standard input.
 */
import { join } from 'node:path';
import { openLevelCatalogue } from '../../src/depot/catalogue/level.js';
import { openDoor } from '../../src/depot/http/door.js';
import { Listeners } from '../../src/depot/http/listeners.js';
import { TokenTable } from '../../src/depot/http/tokens.js';
import { Depot } from '../../src/depot/publish.js';
import { openFolderStore } from '../../src/depot/store/folders.js';
import { HttpConnections } from '../../src/tracker/http-connections.js';

const folder = process.argv[2];
if (folder === undefined) throw new Error('a folder is needed');

const beginMs = performance.now();
const store = await openFolderStore({ folder });
const catalogue = await openLevelCatalogue(join(folder, 'catalogue'));
const depository = new Depot({ store, catalogue });
await depository.sweep();
const table = new TokenTable([]);
const listeners = new Listeners();
const server = await openDoor(
  {
    depository,
    catalogue,
    upcoming: async () => [],
    tracker: null,
    passkeyOf: () => null,
    listeners,
    readiness: async () => [],
    metrics: async () => ({ type: 'text/plain', text: '' }),
    artifactBytesMax: 2 ** 40,
    version: '0.0.0',
  },
  {
    host: '127.0.0.1',
    port: 0,
    allowHosts: [],
    corsOrigins: [],
    publicUrl: null,
    tokens: () => table,
    anonymous: 'all',
    certificate: null,
    connections: new HttpConnections(),
    onRequest: () => {},
    onTrouble: (error) => process.stderr.write(`${String(error)}\n`),
    wallClockMs: Date.now,
    now: () => performance.now(),
  },
);
process.stdout.write(`${JSON.stringify({ type: 'ready', port: server.port, startMs: performance.now() - beginMs })}\n`);
process.stdin.resume().once('end', async () => {
  listeners.close();
  await server.close(0);
  await depository.close();
  await store.close();
  await catalogue.close();
});
