/** `npm run docs:pages`: writes the pages that are made of the program. A test compares them with what is there. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { PACKAGE_ROOT } from '../../lab/root.js';
import { MADE_PAGES } from './made-pages.js';

for (const [file, make] of Object.entries(MADE_PAGES)) writeFileSync(path.join(PACKAGE_ROOT, file), await make());
