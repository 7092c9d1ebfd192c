/** Where the bench stands: in a checkout, or in an installed package, whose folder is not ours to write into. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { PACKAGE_ROOT } from '../../lab/root.js';

/** The sources are not in the package. */
export const IS_CHECKOUT = existsSync(path.join(PACKAGE_ROOT, 'bench', 'run.ts'));
/** What runs a bench here. */
export const COMMAND = IS_CHECKOUT ? 'npm run bench --' : 'haul bench';
/** For what a run leaves behind; made by whoever writes there. */
export const OUT_FOLDER = IS_CHECKOUT ? path.join(PACKAGE_ROOT, 'bench', 'out') : path.resolve('bench-results');
/** What `report` shows when no files are named. */
export const RESULTS_FOLDER = IS_CHECKOUT ? path.join(PACKAGE_ROOT, 'bench', 'results') : OUT_FOLDER;
