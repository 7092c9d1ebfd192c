/**
 * A tracker that knows one peer, for programs that cannot be given peers: tracker HOST PORT. Runs in the namespace of
 * whoever asks. Prints its own port; ends when it is stopped.
 */

import { Scope } from '../../../lab/scope.js';
import { startTestTracker } from '../../../lab/tracker.js';

const [host = '', port = ''] = process.argv.slice(2);
const tracker = await startTestTracker(new Scope());
tracker.pinned.push({ host, port: Number(port) });
process.stdout.write(`${tracker.port}\n`);
