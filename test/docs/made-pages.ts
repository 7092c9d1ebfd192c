/** The pages that are made of the program, by file. */
import { commandsPage } from './commands-page.js';
import { limitsPage } from './limits-page.js';
import { manPage } from './man-page.js';

export const MADE_PAGES: Readonly<Record<string, () => Promise<string>>> = {
  'docs/commands.md': commandsPage,
  'docs/limits.md': limitsPage,
  'man/haul.1': manPage,
};
