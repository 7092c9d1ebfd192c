/** Both catalogues pass the suite. */
import { join } from 'node:path';
import { type LevelCatalogue, openLevelCatalogue } from '../../src/depot/catalogue/level.js';
import { testAdding } from './catalogue-adds.js';
import { type CatalogueMaker, testCatalogue } from './catalogue-conformance.js';
import { testLocks } from './catalogue-locks.js';
import { testMarks } from './catalogue-marks.js';
import { MemoryCatalogue } from './memory-catalogue.js';
import { quickFolder } from './quick-folder.js';

const MAKERS: Readonly<Record<string, CatalogueMaker>> = {
  'in memory': {
    make: async () => new MemoryCatalogue(),
  },
  LevelDB: {
    make: async (scope) => {
      const catalogue = await openLevelCatalogue(join(await quickFolder(scope), 'catalogue'));
      scope.defer(() => catalogue.close());
      return catalogue;
    },
    audit: (catalogue) => (catalogue as LevelCatalogue).audit(),
  },
};

for (const [title, maker] of Object.entries(MAKERS)) {
  testCatalogue(title, maker);
  testAdding(title, maker);
  testMarks(title, maker);
  testLocks(title, maker);
}
