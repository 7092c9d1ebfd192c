/** The pages that are made of the program, by file. */
import { commandsPage } from './commands-page.js';

export const MADE_PAGES: Readonly<Record<string, () => Promise<string>>> = {
  'docs/commands.md': commandsPage,
};
