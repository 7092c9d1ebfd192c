/** Foreign clients fetch a folder from the depot: odd names, empty files, files that are the same. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openNamespace } from '../../../lab/namespace.js';
import { openScope } from '../../../lab/scope.js';
import { tempFolder } from '../../../lab/temp.js';
import { FOREIGN_CLIENTS } from '../../support/clients/all.js';
import { requireClients } from '../../support/requirements.js';
import { quickFolder } from '../quick-folder.js';
import { checkFiles, depotWith, FILES, putAll, torrentBytes } from './folder-scene.js';

for (const client of FOREIGN_CLIENTS.filter(({ name }) => name !== 'webtorrent')) {
  test(`${client.name} fetches a folder from the depot`, async (t: TestContext) => {
    const scope = openScope(t);
    if (await requireClients(t, [client])) return;
    const namespace = client.needsNamespace ? await openNamespace(scope) : undefined;
    const host = namespace?.hostAddress ?? '127.0.0.1';
    const data = join(await quickFolder(scope), 'depot');
    const first = await depotWith(scope, { data });
    await putAll(first, 'ci/dist');
    await first.close(0);
    // Beyond loopback nobody publishes without a token.
    const depot = await depotWith(scope, { data, host, anonymous: 'read' });
    const folder = await tempFolder(scope);
    const torrentFile = join(folder, 'dist.torrent');
    await writeFile(torrentFile, await torrentBytes(depot.url, 'ci/dist'));
    const peers = client.takesPeers ? [{ host, port: depot.peerPort! }] : [];
    await client.download(scope, { torrentFile, folder, tracker: `${depot.url}/announce`, peers, namespace });
    const isLeftOut = (path: string): boolean => !client.makesEmptyFiles && FILES.get(path)!.length === 0;
    await checkFiles(join(folder, 'dist'), FILES, isLeftOut);
  });
}
