/** Agents tell the depot's tracker where they are, and those near them hear of them first. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from '../../lab/wait.js';
import { decodeChecked } from '../../src/metainfo/bencode.js';
import { agentOf, bytesOf, depotOf, folderOf } from './agent-harness.js';

test('an agent with a zone is named first to who is of that zone, by the tracker of the depot', async (context) => {
  const folder = await folderOf(context);
  const depot = await depotOf(context, join(folder, 'data'));
  const { agent } = await agentOf(context, depot.url, join(folder, 'cache'), {
    engine: { port: 0, zone: 'eu-1/rack7' },
  });
  const put = await fetch(`${depot.url}/artifacts/a.raw`, { method: 'PUT', body: bytesOf(5_000_000) });
  const { infoHash } = (await put.json()) as { infoHash: string };
  const announce = async (port: number, zone: string, numwant: number): Promise<number[]> => {
    const hash = infoHash.replace(/../g, '%$&');
    const who = `peer_id=${'p'.repeat(16)}${port}&port=${port}&zone=${zone}`;
    const counts = 'uploaded=0&downloaded=0&left=1';
    const url = `${depot.url}/announce?info_hash=${hash}&${who}&${counts}&numwant=${numwant}&compact=1`;
    const reply = Buffer.from(await (await fetch(url)).arrayBuffer());
    const peers = Buffer.from((decodeChecked(reply) as Map<string, Uint8Array>).get('peers')!);
    return Array.from({ length: peers.length / 6 }, (_, at) => peers.readUInt16BE(at * 6 + 4));
  };
  for (let port = 7001; port <= 7020; port++) await announce(port, 'us/rack1', 0);
  assert.equal((await (await fetch(`${agent.url}/artifacts/a.raw`)).arrayBuffer()).byteLength, 5_000_000);
  await until('it is announced', 20_000, async () => (await announce(7100, 'us/rack1', 50)).includes(agent.peerPort!));
  for (let round = 0; round < 10; round++) {
    const near = await announce(7101, 'eu-1/rack7', 2);
    assert.ok(near.includes(agent.peerPort!), `${near}, not ${agent.peerPort}`);
  }
});
