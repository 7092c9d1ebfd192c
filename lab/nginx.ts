/** Debian's nginx, for one folder: what most web seeds are. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { run, startChild } from './child.js';
import { accepts, freePort } from './ports.js';
import type { Scope } from './scope.js';
import { until } from './wait.js';

export const NGINX = '/usr/sbin/nginx';
const START_MS = 10_000;

export interface Nginx {
  /** Without a slash at its end. */
  readonly url: string;
}

/** A network namespace, and its address. */
export interface NginxPlace {
  readonly host: string;
  readonly namespace?: { readonly name: string } | undefined;
}

const HERE: NginxPlace = { host: '127.0.0.1' };

/**
 * Ends with the scope.
 * @param workFolder empty; for its configuration and log. @param more of the `server` block
 */
export async function startNginx(
  scope: Scope,
  folder: string,
  workFolder: string,
  more = '',
  { host, namespace }: NginxPlace = HERE,
): Promise<Nginx> {
  const port = await freePort('127.0.0.1');
  const temp = path.join(workFolder, 'body');
  await mkdir(temp);
  const configuration = path.join(workFolder, 'nginx.conf');
  await writeFile(
    configuration,
    `daemon off;
master_process off;
pid ${workFolder}/pid;
error_log stderr error;
events { worker_connections 256; }
http {
  access_log ${workFolder}/access.log;
  client_body_temp_path ${temp};
  sendfile on;
  server {
    listen ${host}:${port};
    root ${folder};
    ${more}
  }
}
`,
  );
  const child = startChild(scope, NGINX, ['-p', workFolder, '-e', 'stderr', '-c', configuration], { namespace });
  let hasEnded = false;
  const end = (): void => {
    hasEnded = true;
  };
  child.exited.then(end, end);
  await until('nginx listens', START_MS, async () => {
    if (hasEnded) throw new Error(`nginx has ended:\n${child.tail()}`);
    return (await isThere(scope, port, { host, namespace })) ? true : undefined;
  });
  return { url: `http://${host}:${port}` };
}

/** From inside its namespace, where it has one. */
function isThere(scope: Scope, port: number, { host, namespace }: NginxPlace): Promise<boolean> {
  if (namespace === undefined) return accepts(host, port);
  return run(scope, 'curl', ['-s', '-o', '/dev/null', `http://${host}:${port}/`], { namespace }).then(
    () => true,
    () => false,
  );
}
