/** What is stored; search, pins, removal. However many there are, a page of rows is all that is here. */
import { button, byId, confirmed, make, refill, say } from './dom.js';
import { age, bytes, encodePath, patternOf, shown, until } from './format.js';
import { json, Refused, request } from './http.js';
import { nameOf } from './status.js';

const ROWS = 50;
const TYPING_MS = 250;

interface Artifact {
  readonly name: string;
  readonly sha256: string;
  readonly lengthBytes: number;
  readonly created: string;
  readonly expires: string | null;
  readonly isPinned: boolean;
  readonly torrentUrl: string | null;
}

interface Listing {
  readonly items: readonly Artifact[];
  readonly cursor: string | null;
}

/** Cursors of the pages up to this one; the first has none. */
let cursors: (string | null)[] = [null];
let next: string | null = null;
/** Of the latest question: an answer to one before is late. */
let question = 0;

export function watchArtifacts(): void {
  let timer = 0;
  byId('search').addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(restart, TYPING_MS);
  });
  byId('search-form').addEventListener('submit', (event) => {
    event.preventDefault();
    clearTimeout(timer);
    restart();
  });
  byId('page-before').addEventListener('click', () => {
    if (cursors.length > 1) cursors.pop();
    void refreshArtifacts();
  });
  byId('page-after').addEventListener('click', () => {
    if (next !== null) cursors.push(next);
    void refreshArtifacts();
  });
}

function restart(): void {
  cursors = [null];
  void refreshArtifacts().then(() => say(byId('page-text').textContent ?? ''));
}

export async function refreshArtifacts(): Promise<void> {
  const own = ++question;
  const text = byId<HTMLInputElement>('search').value.trim();
  const query = new URLSearchParams({ limit: String(ROWS) });
  if (text !== '') query.set('pattern', patternOf(text));
  const cursor = cursors.at(-1) ?? null;
  if (cursor !== null) query.set('cursor', cursor);
  try {
    const listing = await json<Listing>(`/artifacts/?${query.toString().replaceAll('+', '%20')}`);
    if (own === question) drawListing(listing, text);
  } catch (error) {
    if (own !== question) return;
    if (error instanceof Refused) drawNone(error.message);
  }
}

function drawListing({ items, cursor }: Listing, text: string): void {
  next = cursor;
  const nowMs = Date.now();
  refill(
    byId('rows'),
    items.map((item) => rowOf(item, nowMs)),
  );
  const none = text === '' ? 'Nothing is stored.' : 'No name on this page has this text.';
  const isEmpty = items.length === 0;
  byId('rows-none').textContent = isEmpty ? none : '';
  byId('rows-none').hidden = !isEmpty;
  const page = cursors.length;
  byId('page-text').textContent = `Page ${page}: ${items.length} names${cursor === null ? '' : ', and more'}`;
  enable('page-before', page > 1);
  enable('page-after', cursor !== null);
}

/** A button that had the focus and cannot be pressed any more hands it on. */
function enable(id: string, isEnabled: boolean): void {
  const element = byId<HTMLButtonElement>(id);
  const hadFocus = document.activeElement === element;
  element.disabled = !isEnabled;
  if (hadFocus && !isEnabled) byId('stored').focus();
}

function drawNone(text: string): void {
  refill(byId('rows'), []);
  byId('rows-none').textContent = text;
  byId('rows-none').hidden = false;
  byId('page-text').textContent = '';
}

function rowOf(item: Artifact, nowMs: number): HTMLElement {
  const { name, lengthBytes, created, expires, isPinned } = item;
  const path = `/artifacts/${encodePath(name)}`;
  const link = make('a', { href: path, download: '', 'data-key': `get ${name}` }, nameOf(name));
  const goes = isPinned ? 'never: pinned' : expires === null ? 'not by age' : until(expires, nowMs);
  const label = shown(name);
  const pin = isPinned
    ? button('Unpin', `Unpin ${label}`, `pin ${name}`, () => void setPin(name, false))
    : button('Pin', `Pin ${label}`, `pin ${name}`, () => void setPin(name, true));
  const remove = button('Delete', `Delete ${label}`, `delete ${name}`, () => void removeName(name));
  return make(
    'tr',
    {},
    make('th', { scope: 'row', class: 'name' }, link),
    make('td', {}, bytes(lengthBytes)),
    make('td', {}, age(created, nowMs)),
    make('td', {}, goes),
    make('td', {}, pin, ' ', remove),
  );
}

async function setPin(name: string, isPinned: boolean): Promise<void> {
  const method = isPinned ? 'PUT' : 'DELETE';
  await act(() => request(`/pins/${encodePath(name)}`, { method }, true), `${isPinned ? 'Pinned' : 'Unpinned'}`, name);
}

async function removeName(name: string): Promise<void> {
  if (!(await confirmed('Delete?', `${shown(name)} goes, and its bytes with it if nothing else names them.`, 'Delete')))
    return;
  await act(() => request(`/artifacts/${encodePath(name)}`, { method: 'DELETE' }, true), 'Deleted', name);
  if (document.activeElement === document.body) byId('stored').focus();
}

async function act(run: () => Promise<unknown>, done: string, name: string): Promise<void> {
  try {
    await run();
    say(`${done}: ${shown(name)}`);
  } catch (error) {
    say(`${shown(name)}: ${error instanceof Refused ? error.message : 'nobody answers'}`, true);
  }
  await refreshArtifacts();
}
