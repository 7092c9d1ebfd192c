/**
 * Proves the drivers, not the engine: foreign clients move the awkward tree between each other. When this passes and
 * clients.test.ts fails, the trouble is ours.
 */
import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, test } from 'node:test';
import type { ForeignClient } from '../../lab/clients/client.js';
import { AWKWARD_FILES, writeTree } from '../../lab/data.js';
import { type Namespace, openNamespace } from '../../lab/namespace.js';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { startTestTracker } from '../../lab/tracker.js';
import { treeDifferences } from '../../lab/tree.js';
import { FOREIGN_CLIENTS } from '../support/clients/all.js';
import { libtorrent } from '../support/clients/libtorrent.js';
import { requireClients } from '../support/requirements.js';
import { mktorrent } from '../support/torrents.js';

/** `from` beside or inside the namespace seeds to `to`; both learn of each other from the tracker alone. */
async function transfer(scope: Scope, from: ForeignClient, to: ForeignClient): Promise<string[]> {
  const space: Namespace | undefined =
    from.needsNamespace || to.needsNamespace ? await openNamespace(scope) : undefined;
  const [source, target, work] = [await tempFolder(scope), await tempFolder(scope), await tempFolder(scope)];
  await writeTree(path.join(source, 'tree'), AWKWARD_FILES, 'foreign');
  const tracker = await startTestTracker(scope);
  const url = tracker.url(space?.hostAddress);
  const torrentFile = path.join(work, 'tree.torrent');
  await mktorrent(scope, path.join(source, 'tree'), torrentFile, { announce: url, pieceLengthBytes: 32 * 1024 });
  const job = (client: ForeignClient, folder: string) => ({
    torrentFile,
    folder,
    tracker: url,
    namespace: client.needsNamespace ? space : undefined,
  });
  const address = await from.seed(scope, job(from, source));
  const isInside = from.needsNamespace;
  tracker.pinned.push(isInside || space === undefined ? address : { host: space.hostAddress, port: address.port });
  await to.download(scope, job(to, target));
  return treeDifferences(path.join(source, 'tree'), path.join(target, 'tree'), {
    emptyMayBeMissing: !to.makesEmptyFiles,
  });
}

/** Transmission spends its time waiting for its own 10 s rounds: let others run meanwhile. */
describe('foreign clients among themselves', { concurrency: 4 }, () => {
  for (const client of FOREIGN_CLIENTS) {
    test(`${client.name} gets a tree of awkward files from libtorrent`, async (t) => {
      if (await requireClients(t, [client, libtorrent])) return;
      assert.deepEqual(await transfer(openScope(t), libtorrent, client), []);
    });
    test(`${client.name} seeds a tree of awkward files to libtorrent`, async (t) => {
      if (await requireClients(t, [client, libtorrent])) return;
      assert.deepEqual(await transfer(openScope(t), client, libtorrent), []);
    });
  }
});
