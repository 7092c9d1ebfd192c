/** Debian's opentracker for one torrent, over HTTP and UDP. */
import { chmod, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { startChild } from '../../lab/child.js';
import { accepts, freePort } from '../../lab/ports.js';
import type { Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { until } from '../../lab/wait.js';

export const OPENTRACKER = 'opentracker';
const START_MS = 20_000;

/** Ends with the scope. @returns "127.0.0.1:port" */
export async function startOpentracker(scope: Scope, infoHashHex: string, host = '127.0.0.1'): Promise<string> {
  const folder = await tempFolder(scope);
  // As root it changes root to its folder and user to nobody, who must be able to read the list.
  await chmod(folder, 0o755);
  await writeFile(path.join(folder, 'whitelist'), `${infoHashHex}\n`);
  const port = await freePort(host);
  const args = ['-i', host, '-p', String(port), '-P', String(port), '-d', folder, '-w', 'whitelist'];
  const child = startChild(scope, OPENTRACKER, args, { cwd: folder });
  const ended = child.exited.then(({ text }) => Promise.reject(new Error(`opentracker ${text}\n${child.tail()}`)));
  ended.catch(() => {}); // Looked at only while it is waited for.
  await Promise.race([until('opentracker listens', START_MS, () => accepts(host, port)), ended]);
  return `${host}:${port}`;
}
