/**
 * The few elements of XML that a gateway's answers are made of: names, nesting and text, in one pass and within bounds.
 * No document type and so no entities but the five of XML and numbers; attributes are passed over. Pure.
 */

export interface XmlLeaf {
  /** Names of the elements around it and its own, without prefixes; the outermost first. */
  readonly path: readonly string[];
  readonly text: string;
  /** Which element holds it: leaves of one parent have one number. */
  readonly parent: number;
}

const DEPTH_MAX = 32;
const ELEMENTS_MAX = 4000;
const NAME = /^(?:[A-Za-z_][\w.-]{0,63}:)?([A-Za-z_][\w.-]{0,63})$/;
const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

interface Open {
  readonly tag: string;
  readonly name: string;
  readonly id: number;
  hasChildren: boolean;
  text: string;
}

/** Elements that hold only text, in the order of their ends; null: it is not well-formed, or beyond the bounds. */
export function xmlLeaves(xml: string): readonly XmlLeaf[] | null {
  const leaves: XmlLeaf[] = [];
  const stack: Open[] = [];
  let count = 0;
  let isOver = false;
  const begin = (tag: string): boolean => {
    const name = NAME.exec(tag)?.[1];
    if (name === undefined || isOver || ++count > ELEMENTS_MAX || stack.length === DEPTH_MAX) return false;
    const parent = stack.at(-1);
    if (parent !== undefined) parent.hasChildren = true;
    stack.push({ tag, name, id: count, hasChildren: false, text: '' });
    return true;
  };
  const end = (): void => {
    const { hasChildren, text } = stack.at(-1)!;
    if (!hasChildren) {
      const parent = stack.at(-2)?.id ?? 0;
      leaves.push({ path: stack.map(({ name }) => name), text: text.trim(), parent });
    }
    stack.pop();
    isOver = stack.length === 0;
  };
  let at = xml.charCodeAt(0) === 0xfeff ? 1 : 0;
  while (at < xml.length) {
    const open = xml.indexOf('<', at);
    const text = plainText(xml.slice(at, open < 0 ? xml.length : open));
    const top = stack.at(-1);
    if (text === null || (top === undefined && text.trim() !== '')) return null;
    if (top !== undefined) top.text += text;
    if (open < 0) break;
    const after = passedOver(xml, open);
    if (after !== null) {
      if (after < 0) return null;
      at = after;
      continue;
    }
    const close = tagEnd(xml, open + 1);
    if (close < 0) return null;
    const inside = xml.slice(open + 1, close);
    at = close + 1;
    if (inside.startsWith('/')) {
      if (stack.at(-1)?.tag !== inside.slice(1).trimEnd()) return null;
      end();
    } else {
      const isEmpty = inside.endsWith('/');
      if (!begin((isEmpty ? inside.slice(0, -1) : inside).split(/\s/, 1)[0]!)) return null;
      if (isEmpty) end();
    }
  }
  return isOver ? leaves : null;
}

/** Where a comment or an instruction ends; null: it is a tag; −1: it does not end, or is nothing that we take. */
function passedOver(xml: string, open: number): number | null {
  const ending = xml.startsWith('<!--', open) ? '-->' : xml.startsWith('<?', open) ? '?>' : null;
  if (ending === null) return xml[open + 1] === '!' ? -1 : null;
  const close = xml.indexOf(ending, open + (ending === '-->' ? 4 : 2));
  return close < 0 ? -1 : close + ending.length;
}

/** The '>' of a tag; one in quotes is none. −1: there is none. */
function tagEnd(xml: string, begin: number): number {
  let quote = '';
  for (let at = begin; at < xml.length; at++) {
    const character = xml[at]!;
    if (quote !== '') {
      if (character === quote) quote = '';
    } else if (character === '>') return at;
    else if (character === '<') return -1;
    else if (character === '"' || character === "'") quote = character;
  }
  return -1;
}

function plainText(text: string): string | null {
  if (!text.includes('&')) return text;
  let isGood = true;
  const plain = text.replace(/&([^;&]{0,10});?/g, (whole, name: string) => {
    const known = whole.endsWith(';') ? (ENTITIES[name] ?? numbered(name)) : undefined;
    isGood &&= known !== undefined;
    return known ?? '';
  });
  return isGood ? plain : null;
}

function numbered(name: string): string | undefined {
  const digits = /^#(?:x([0-9a-f]{1,6})|(\d{1,7}))$/i.exec(name);
  if (digits === null) return undefined;
  const code = digits[1] === undefined ? Number(digits[2]) : Number.parseInt(digits[1], 16);
  return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : undefined;
}

/** As it stands in an element. */
export function xmlText(text: string): string {
  return text.replace(/[<>&"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
