/** A real browser for tests: Debian's Chromium without a window. */
import type { Browser } from 'playwright-core';
import { chromium } from 'playwright-core';
import type { Scope } from '../../../lab/scope.js';

export const CHROMIUM = '/usr/bin/chromium';

export async function openBrowser(scope: Scope): Promise<Browser> {
  // Its own sandbox does not start for root; what it opens is our own page.
  const args = ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'];
  const browser = await chromium.launch({ executablePath: CHROMIUM, args });
  scope.defer(() => browser.close());
  return browser;
}
