/**
 * A program around one engine with two torrents over mapped storage: a victim whose file somebody cuts off, and a
 * bystander. Argument: a CutOrder as JSON. Prints a CutReport per line; ends with `closed` when standard input says so.
 */
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type { AddOptions, Torrent } from '../../src/api.js';
import { createEngine } from '../../src/engine/engine.js';
import type { HaulError } from '../../src/errors.js';
import { parseTorrent } from '../../src/metainfo/torrent.js';
import { sigbusGuard } from '../../src/native/guard.js';

export interface CutJob {
  readonly torrentFile: string;
  readonly output: string;
}

export interface CutOrder {
  readonly victim: CutJob;
  readonly bystander: CutJob;
  /** The victim is a seed of data that is there, or a download like the bystander. */
  readonly isSeed: boolean;
  /** Where both are to be had. */
  readonly port: number;
  /** Bytes per second of the victim's direction; 0: no limit. */
  readonly limit: number;
}

export type CutReport =
  | { readonly type: 'listening'; readonly port: number }
  | { readonly type: 'verified'; readonly count: number }
  | { readonly type: 'failed'; readonly who: 'victim' | 'bystander'; readonly code: string; readonly message: string }
  | { readonly type: 'done'; readonly who: 'victim' | 'bystander' }
  /** `faults`: pages that the guard put zeros into; -1 without a guard. */
  | { readonly type: 'closed'; readonly faults: number };

const say = (report: CutReport): void => console.log(JSON.stringify(report));

async function main(order: CutOrder): Promise<void> {
  const limits =
    order.limit === 0 ? {} : order.isSeed ? { uploadBytesPerSec: order.limit } : { downloadBytesPerSec: order.limit };
  const engine = await createEngine({ port: 0, host: '127.0.0.1', threads: 1, storage: 'mapped', ...limits });
  const peers = [{ host: '127.0.0.1', port: order.port }];
  const add = async (who: 'victim' | 'bystander', job: CutJob, options: Partial<AddOptions>): Promise<Torrent> => {
    const metainfo = parseTorrent(await readFile(job.torrentFile));
    const torrent = engine.add(metainfo, { output: job.output, trackers: [], ...options });
    torrent.once('done', () => say({ type: 'done', who }));
    torrent.once('failed', ({ code, message }: HaulError) => say({ type: 'failed', who, code, message }));
    return torrent;
  };
  const victim = await add('victim', order.victim, order.isSeed ? { mode: 'seed', trustData: true } : { peers });
  let count = 0;
  victim.on('verified', () => say({ type: 'verified', count: ++count }));
  await add('bystander', order.bystander, { peers });
  say({ type: 'listening', port: engine.port! });
  for await (const line of createInterface({ input: process.stdin })) if (line === 'end') break;
  await engine.close();
  say({ type: 'closed', faults: sigbusGuard()?.total[0] ?? -1 });
  process.stdin.destroy();
}

if (process.argv[2] !== undefined) await main(JSON.parse(process.argv[2]) as CutOrder);
