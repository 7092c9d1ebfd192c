/** The files of the page as they are served: read once, when somebody first asks, and kept. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { PAGE_HTML } from './page-html.js';
import { PAGE_STYLE } from './page-style.js';

export interface PageFile {
  readonly type: string;
  readonly etag: string;
  readonly body: string;
}

const SCRIPTS = [
  'app.js',
  'artifacts.js',
  'dom.js',
  'format.js',
  'http.js',
  'live.js',
  'map.js',
  'status.js',
  'upload.js',
];
const TEXTS: ReadonlyMap<string, readonly [type: string, body: string]> = new Map([
  ['page.html', ['text/html; charset=utf-8', PAGE_HTML]],
  ['style.css', ['text/css; charset=utf-8', PAGE_STYLE]],
  ['icon.svg', ['image/svg+xml', icon()]],
]);

export const PAGE_FILES: readonly string[] = [...SCRIPTS, ...TEXTS.keys()];

const files = new Map<string, PageFile>();

/** Null: the page has no such file. @throws what reading does: the package is not whole */
export function pageFile(name: string): PageFile | null {
  if (!PAGE_FILES.includes(name)) return null;
  let file = files.get(name);
  if (file === undefined) {
    const [type, body] = TEXTS.get(name) ?? ['text/javascript; charset=utf-8', script(name)];
    const digest = createHash('sha256').update(body).digest('base64url');
    file = { type, body, etag: `"${digest}"` };
    files.set(name, file);
  }
  return file;
}

/** By the place of this module; one that stands in a bundle is as deep. */
function script(name: string): string {
  return readFileSync(new URL(`../depot/page/${name}`, import.meta.url), 'utf8');
}

function icon(): string {
  const bars = [3, 9, 15].map((y) => `<path d="M4 ${y}h24v4H4z"/>`).join('');
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 24" fill="#2f6f4f">${bars}</svg>\n`;
}
