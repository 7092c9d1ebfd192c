/** All bytes of artifacts that leave by HTTP are counted, whoever asks for them. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { bytesOf, depotOf, folderOf, get, put, untilTrue } from './agent-harness.js';

const BYTES = bytesOf(300_000);

test('bytes that leave through the web seed of a torrent are counted with the others, and are no download', {
  timeout: 20_000,
}, async (context) => {
  const depot = await depotOf(context, join(await folderOf(context), 'depot'), { torrentFromBytes: 100_000 });
  await put(depot.url, 'ci/1/a', BYTES);
  const { infoHash } = (await (await fetch(`${depot.url}/artifacts/ci/1/a?info`)).json()) as { infoHash: string };
  const countOf = async (name: string): Promise<number> => {
    const text = (await get(depot.url, 'metrics')).bytes.toString();
    return Number(new RegExp(`^haul_depot_${name}\\{source="http"\\} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
  };
  // What is told of the artifact counts as well.
  const before = await countOf('downloaded_bytes_total');
  const downloads = await countOf('downloads_total');
  const part = await fetch(`${depot.url}/blobs/${infoHash}/a`, { headers: { range: 'bytes=100000-299999' } });
  assert.equal((await part.arrayBuffer()).byteLength, 200_000);
  // An answer is counted when it has ended, which is soon after its last byte.
  await untilTrue(async () => (await countOf('downloaded_bytes_total')) > before);
  assert.equal((await countOf('downloaded_bytes_total')) - before, 200_000);
  assert.equal(await countOf('downloads_total'), downloads);
});
