/** The store on S3 keeps to what every store keeps to, on servers that exist. */
import { after, before, describe, type TestContext, test } from 'node:test';
import { missingTool } from '../../../lab/clients/client.js';
import { MOTO, S3_KEYS, type S3Server, startMoto, startVersitygw, VERSITYGW } from '../../../lab/s3-server.js';
import { openScope, Scope } from '../../../lab/scope.js';
import { openS3Store } from '../../../src/depot/store/s3/open.js';
import type { S3Store } from '../../../src/depot/store/s3/store.js';
import { requirePrograms, skipUnlessInstalled } from '../../support/requirements.js';
import { quickFolder } from '../quick-folder.js';
import { testStore } from '../store-conformance.js';

Object.assign(process.env, S3_KEYS);

function suite(name: string, start: (scope: Scope) => Promise<S3Server>): void {
  describe(`on ${name}`, () => {
    const servers = new Scope();
    let server: S3Server;
    let prefixes = 0;
    before(async () => {
      server = await start(servers);
    });
    after(() => servers.close());
    const open = async (t: TestContext): Promise<S3Store> => {
      const scope = openScope(t);
      const data = await quickFolder(scope);
      const store = await openS3Store({ url: server.url(`depot/${++prefixes}`), data });
      scope.defer(() => store.close());
      return store;
    };
    testStore(`the store on S3, on ${name}`, { open });
  });
}

if ((await missingTool([MOTO])) === null) suite('moto', startMoto);
else test('the store on S3, on moto', (t) => requirePrograms(t, [MOTO]).then(() => {}));
// To build it takes as long as many tests.
if ((await missingTool([VERSITYGW])) === null) suite('versitygw', startVersitygw);
else test('the store on S3, on versitygw', (t) => skipUnlessInstalled(t, [VERSITYGW]).then(() => {}));
