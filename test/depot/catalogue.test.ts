/** Both catalogues pass the suite. */
import { join } from 'node:path';
import { type LevelCatalogue, openLevelCatalogue } from '../../src/depot/catalogue/level.js';
import { testCatalogue } from './catalogue-conformance.js';
import { MemoryCatalogue } from './memory-catalogue.js';
import { quickFolder } from './quick-folder.js';

testCatalogue('in memory', {
  make: async () => new MemoryCatalogue(),
});

testCatalogue('LevelDB', {
  make: async (scope) => {
    const catalogue = await openLevelCatalogue(join(await quickFolder(scope), 'catalogue'));
    scope.defer(() => catalogue.close());
    return catalogue;
  },
  audit: (catalogue) => (catalogue as LevelCatalogue).audit(),
});
