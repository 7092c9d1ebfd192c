/** Servers of S3 that exist: versitygw over a folder, and moto, which keeps all in memory. */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { type Child, startChild } from './child.js';
import { missingTool } from './clients/client.js';
import { accepts, freePort } from './ports.js';
import type { Scope } from './scope.js';
import { tempFolder } from './temp.js';
import { until } from './wait.js';

const START_MS = 30_000;
const GO = path.join(homedir(), 'go/bin/versitygw');

/** As the variables say, else as they are on the PATH, else where `go install` puts it. */
export const VERSITYGW: string = process.env.VERSITYGW ?? (existsSync(GO) ? GO : 'versitygw');
export const MOTO: string = process.env.MOTO_SERVER ?? 'moto_server';

export const S3_KEYS = {
  AWS_ACCESS_KEY_ID: 'haul-test-key',
  AWS_SECRET_ACCESS_KEY: 'haul-test-secret-6fd1',
  AWS_REGION: 'us-east-1',
  AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
} as const;

export interface S3Server {
  /** Without a slash at its end. */
  readonly endpoint: string;
  readonly bucket: string;
  /** Wrong keys are refused. */
  readonly checksKeys: boolean;
  /** Of the store of a depot. */
  url(prefix: string): string;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
}

function server(endpoint: string, checksKeys: boolean, child: Child): S3Server {
  const bucket = 'artifacts';
  const kill = async (): Promise<void> => {
    process.kill(child.pid, 'SIGKILL');
    await child.exited;
  };
  return { endpoint, bucket, checksKeys, kill, url: (prefix) => `s3://${bucket}/${prefix}?endpoint=${endpoint}` };
}

/** Versitygw where it is installed, else moto; null: neither is. */
export async function startAnyS3(scope: Scope): Promise<S3Server | null> {
  if ((await missingTool([VERSITYGW])) === null) return startVersitygw(scope);
  return (await missingTool([MOTO])) === null ? startMoto(scope) : null;
}

/** With one bucket. Ends with the scope. @param tls files of PEM; else it is plain */
export async function startVersitygw(
  scope: Scope,
  port?: number,
  root?: string,
  tls?: { readonly cert: string; readonly key: string },
): Promise<S3Server> {
  const folder = root ?? (await tempFolder(scope, existsSync('/dev/shm') ? '/dev/shm' : undefined));
  await mkdir(path.join(folder, 'artifacts'), { recursive: true });
  // One that speaks TLS is reached under a name that its certificate does not have, too.
  const [host, scheme] = tls === undefined ? ['127.0.0.1', 'http'] : ['', 'https'];
  const bound = port ?? (await freePort('127.0.0.1'));
  const { AWS_ACCESS_KEY_ID: access, AWS_SECRET_ACCESS_KEY: secret } = S3_KEYS;
  const env = { ROOT_ACCESS_KEY: access, ROOT_SECRET_KEY: secret };
  const words = ['--port', `${host}:${bound}`, '--quiet', '--keep-alive'];
  if (tls !== undefined) words.push('--cert', tls.cert, '--key', tls.key);
  const child = startChild(scope, VERSITYGW, [...words, 'posix', folder], { env });
  const endpoint = `${scheme}://127.0.0.1:${bound}`;
  if (tls === undefined) await untilUp(`${endpoint}/`, () => child.tail());
  else await until(`a server of S3 listens\n${child.tail()}`, START_MS, () => accepts('127.0.0.1', bound));
  return server(endpoint, true, child);
}

/** Of any keys. With one bucket; ends with the scope. */
export async function startMoto(scope: Scope): Promise<S3Server> {
  const port = await freePort('127.0.0.1');
  const child = startChild(scope, MOTO, ['-H', '127.0.0.1', '-p', String(port)]);
  const endpoint = `http://127.0.0.1:${port}`;
  await untilUp(`${endpoint}/moto-api/data.json`, () => child.tail());
  const made = await fetch(`${endpoint}/artifacts`, { method: 'PUT', headers: { authorization: anonymous } });
  if (!made.ok) throw new Error(`moto makes no bucket: ${made.status}`);
  return server(endpoint, false, child);
}

const anonymous = 'AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0';

async function untilUp(url: string, tail: () => string): Promise<void> {
  await until(`a server of S3 answers\n${tail()}`, START_MS, async () =>
    fetch(url).then(
      () => true,
      () => false,
    ),
  );
}
