/** A short artifact waits behind no big one: a depot shares its upload limit by artifacts, not by connections. */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createEngine } from '../../src/index.js';
import { atEnd, bytesOf, depotOf, folderOf, get, put, untilTrue } from './agent-harness.js';

const RATE = 4_000_000;
const MIB = 2 ** 20;
const SHORT_BYTES = 2 * MIB;

class Taker {
  bytes = 0;
  onFirst = (): void => {};
  onEnd = (): void => {};
  readonly ended = new Promise<void>((resolve) => {
    this.onEnd = resolve;
  });
}

/** Reads as fast as it comes, or nothing at all. */
function takes(context: TestContext, url: string, readsAll = true): Taker {
  const taker = new Taker();
  const asked = request(url, { agent: false }, (response) => {
    response.on('error', () => {});
    if (!readsAll) return;
    response.once('data', () => taker.onFirst());
    response.on('end', () => taker.onEnd());
    response.on('data', (chunk: Buffer) => {
      taker.bytes += chunk.length;
    });
  });
  asked.on('error', () => {});
  asked.end();
  context.after(() => void asked.destroy());
  return taker;
}

test('a short artifact has half of the limit beside one that many fetch by peers and by HTTP', async (context) => {
  const folder = await folderOf(context);
  const engineOptions = { port: 0, uploadBytesPerSec: RATE };
  const depot = await depotOf(context, join(folder, 'depot'), { engine: engineOptions });
  await put(depot.url, 'image', bytesOf(48 * MIB));
  await put(depot.url, 'short', bytesOf(SHORT_BYTES));
  const { bytes: torrent } = await get(depot.url, 'artifacts/image?torrent');
  const peers = [{ host: '127.0.0.1', port: depot.peerPort! }];
  const leeches = await Promise.all(
    [0, 1].map(async (index) => {
      const engine = await createEngine({ port: 0, host: '127.0.0.1' });
      atEnd(context, () => engine.close());
      const output = join(folder, `leech-${index}`);
      return engine.add(torrent, { output, trackers: [], webSeeds: [], peers });
    }),
  );
  const readers = Array.from({ length: 6 }, () => takes(context, `${depot.url}/artifacts/image`));
  takes(context, `${depot.url}/artifacts/image`, false);
  const ofImage = (): number =>
    leeches.reduce((sum, leech) => sum + leech.stats().downloadedBytes, 0) +
    readers.reduce((sum, { bytes }) => sum + bytes, 0);
  await untilTrue(async () => leeches.every((each) => each.stats().downloadedBytes > MIB / 4) && ofImage() > 2 * MIB);
  let before = 0;
  const taker = takes(context, `${depot.url}/artifacts/short`);
  taker.onFirst = () => {
    before = ofImage();
  };
  await taker.ended;
  const times = (ofImage() - before) / SHORT_BYTES;
  assert.equal(taker.bytes, SHORT_BYTES);
  // By connections it would be eight.
  assert.ok(times > 0.4 && times < 2.5, `the image got ${times} times as much meanwhile`);
});
