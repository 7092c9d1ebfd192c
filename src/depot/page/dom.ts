/** Elements and texts. Whatever comes from outside is put in as text here, and nowhere as markup. */

export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no ${id}`);
  return found as T;
}

export type Child = Node | string;

/** @param attributes as `setAttribute` takes them: never one that runs (no `on…`, and `href` only of our own paths) */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string>> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Other children; who had the focus has it again, if something of the same `data-key` is there. */
export function refill(parent: HTMLElement, children: readonly Child[]): void {
  const { activeElement } = document;
  const key = parent.contains(activeElement) ? activeElement?.getAttribute('data-key') : null;
  patchChildren(parent, children);
  if (key === null || key === undefined) return;
  for (const element of parent.querySelectorAll<HTMLElement>('[data-key]')) {
    if (element.dataset.key !== key) continue;
    element.focus();
    return;
  }
}

/** What is there stays and is changed, so that a press that begins on a button also ends on it. */
function patchChildren(parent: Element, children: readonly Child[]): void {
  const before = [...parent.childNodes];
  for (const [at, child] of children.entries()) {
    const old = before[at];
    if (old === undefined) parent.append(child);
    else if (old instanceof Element && child instanceof Element && isSame(old, child)) patch(old, child);
    else old.replaceWith(child);
  }
  for (const old of before.slice(children.length)) old.remove();
}

/** What is pressed belongs to one thing: another key or another label is another button. */
function isSame(old: Element, child: Element): boolean {
  const isAlike = (name: string): boolean => old.getAttribute(name) === child.getAttribute(name);
  return old.tagName === child.tagName && isAlike('data-key') && isAlike('aria-label');
}

function patch(old: Element, child: Element): void {
  for (const { name, value } of [...child.attributes])
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const { name } of [...old.attributes]) if (!child.hasAttribute(name)) old.removeAttribute(name);
  if (child.children.length > 0 || old.children.length > 0) patchChildren(old, [...child.childNodes]);
  else if (old.textContent !== child.textContent) old.textContent = child.textContent;
}

export function button(text: string, label: string, key: string, onPress: () => void): HTMLButtonElement {
  const element = make('button', { type: 'button', 'aria-label': label, 'data-key': key }, text);
  element.addEventListener('click', onPress);
  return element;
}

/** Told to who cannot see it; the same twice is told twice. */
export function say(text: string, isBad = false): void {
  const line = byId('said');
  line.classList.toggle('bad', isBad);
  line.textContent = '';
  line.textContent = text;
}

/** A question; resolves with whether the answer was yes. */
export function confirmed(title: string, text: string, yes: string): Promise<boolean> {
  const dialog = byId<HTMLDialogElement>('ask-dialog');
  if (dialog.open) return Promise.resolve(false);
  byId('ask-title').textContent = title;
  byId('ask-text').textContent = text;
  byId('ask-yes').textContent = yes;
  dialog.returnValue = '';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true });
  });
}
