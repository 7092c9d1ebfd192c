/** The pages that are made of the program, by file. */
import { interopPage } from '../interop/matrix/page.js';
import { commandsPage } from './commands-page.js';
import { limitsPage } from './limits-page.js';
import { manPage } from './man-page.js';

export const MADE_PAGES: Readonly<Record<string, () => Promise<string>>> = {
  'docs/commands.md': commandsPage,
  'docs/interop.md': async () => interopPage(),
  'docs/limits.md': limitsPage,
  'man/haul.1': manPage,
};
