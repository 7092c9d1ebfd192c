/**
 * The processes of the benches of depot and agent: each is the command itself, in a place that may have a rate cap
 * (`caps.ts`). All end with their scope.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, open } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Child, run, startChild } from '../../lab/child.js';
import { writeSeededFile } from '../../lab/data.js';
import type { Scope } from '../../lab/scope.js';
import { parseTorrent } from '../../src/metainfo/torrent.js';
import type { Place } from './caps.js';
import { HAUL } from './hashing.js';

const START_MS = 60_000;
const CURL_MS = 600_000;
const PEER = fileURLToPath(new URL('swarm-peer.js', import.meta.url));

export interface Running {
  readonly child: Child;
  /** Without a slash at its end. */
  readonly url: string;
}

/** For what is written: beyond loopback nothing is without a token. */
const SECRET = randomBytes(32).toString('base64url');
export const WRITER: readonly string[] = ['-H', `authorization: Bearer ${SECRET}`];

async function start(scope: Scope, { namespace }: Place, words: readonly string[]): Promise<Running> {
  const env = { SWARMHAUL_DEPOT_TOKENS: `${SECRET} read,write,delete` };
  const child = startChild(scope, process.execPath, [HAUL, ...words, '--json'], { namespace, env });
  const line = await child.line('listening', START_MS, (text) => text.includes('"type":"listening"'));
  return { child, url: (JSON.parse(line) as { url: string }).url.replace(/\/$/, '') };
}

/** A depot that anybody may read, and `WRITER` write to. */
export function startDepot(scope: Scope, place: Place, data: string, ...more: string[]): Promise<Running> {
  const http = ['--http', `${place.host}:0`, '--anonymous', 'read'];
  return start(scope, place, ['depot', '--data', data, ...http, '--port', '0', ...engineWords(place, false), ...more]);
}

export function startAgent(
  scope: Scope,
  place: Place,
  depotUrl: string,
  cache: string,
  ...more: string[]
): Promise<Running> {
  const words = ['agent', '--depot', depotUrl, '--cache', cache, '--http', '127.0.0.1:0', '--port', '0'];
  return start(scope, place, [...words, ...engineWords(place, true), ...more]);
}

function engineWords({ engine }: Place, isDown: boolean): string[] {
  const { uploadBytesPerSec, downloadBytesPerSec } = engine;
  return [
    ...(uploadBytesPerSec === undefined ? [] : ['--upload-limit', `${uploadBytesPerSec}`]),
    ...(downloadBytesPerSec === undefined || !isDown ? [] : ['--download-limit', `${downloadBytesPerSec}`]),
  ];
}

export interface CurlTimes {
  readonly firstByteSec: number;
  readonly totalSec: number;
}

/** As curl itself measures. @param args at least a URL. @param file what came is written there */
export async function curl(
  scope: Scope,
  { namespace }: Place,
  args: readonly string[],
  file = '/dev/null',
): Promise<CurlTimes> {
  const form = '{"firstByteSec":%{time_starttransfer},"totalSec":%{time_total}}\\n';
  const words = ['-sS', '--fail', '--noproxy', '*', '-o', file, '-w', form, ...args];
  const said = await run(scope, 'curl', words, { namespace, timeoutMs: CURL_MS });
  return JSON.parse(said.slice(said.lastIndexOf('{'))) as CurlTimes;
}

/** What curl writes to its output. */
export async function curlText(scope: Scope, { namespace }: Place, url: string): Promise<string> {
  return run(scope, 'curl', ['-sS', '--fail', '--noproxy', '*', url], { namespace });
}

/** An image of another content than any other turn has: the file is written once, its begin anew. */
export async function makeImage(file: string, lengthBytes: number): Promise<void> {
  await writeSeededFile(file, lengthBytes, 'image');
}

export async function changeImage(file: string, turn: string): Promise<void> {
  const handle = await open(file, 'r+');
  await handle.write(Buffer.alloc(64, `turn ${turn} `), 0, 64, 0);
  await handle.close();
}

/** Peers that say they have it all, and send other bytes. Resolves when all have told the tracker. */
export async function startLiars(
  scope: Scope,
  places: readonly Place[],
  torrentFile: string,
  torrent: Buffer,
  folder: string,
): Promise<void> {
  const metainfo = parseTorrent(torrent);
  const [tracker] = metainfo.trackers.flat();
  const children = await Promise.all(
    places.map(async (place, index) => {
      const own = path.join(folder, `liar-${index}`);
      await mkdir(own, { recursive: true });
      await writeSeededFile(path.join(own, metainfo.name), metainfo.geometry.lengthBytes, `lie ${index}`);
      const words = [PEER, 'seed', torrentFile, own, '--host', place.host, '--tracker', tracker ?? ''];
      return startChild(scope, process.execPath, words, { namespace: place.namespace });
    }),
  );
  const isReady = (text: string) => text.includes('"event":"ready"');
  await Promise.all(children.map((child) => child.line('a liar', START_MS, isReady)));
}
