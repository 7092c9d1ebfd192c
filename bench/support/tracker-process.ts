/**
 * Our tracker as a process of its own for the tracker bench: tracker-process PORT HASH...
 * Serves these info-hashes (hex) only, as its rival does. Prints "ready" when it listens; ends with SIGTERM, and writes
 * a profile then when Node was told so.
 */
import { startTracker } from '../../src/tracker/server.js';

const [port, ...hashes] = process.argv.slice(2);
const tracker = await startTracker({ port: Number(port), host: '127.0.0.1', registeredOnly: true });
for (const hash of hashes) tracker.register(Buffer.from(hash, 'hex'));
process.stdout.write('ready\n');
process.once('SIGTERM', () => void tracker.close().then(() => process.exit(0)));
