/** Every message of docs/troubleshooting.md is one that the program has. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import ts from 'typescript';
import { PACKAGE_ROOT } from '../../lab/root.js';
import { listFiles, readSource, visit } from '../support/source.js';

const GAP = '…';

/** A string as it is put together: what stands in its holes is a gap. */
function textOf(node: ts.Node): string | null {
  if (ts.isStringLiteralLike(node)) return node.text;
  if (ts.isTemplateExpression(node)) {
    return node.head.text + node.templateSpans.map(({ literal }) => GAP + literal.text).join('');
  }
  if (ts.isParenthesizedExpression(node)) return textOf(node.expression);
  if (!ts.isBinaryExpression(node) || node.operatorToken.kind !== ts.SyntaxKind.PlusToken) return null;
  const [left, right] = [textOf(node.left), textOf(node.right)];
  return left === null && right === null ? null : (left ?? GAP) + (right ?? GAP);
}

/** Every string in the sources of the program. */
function stringsOf(files: readonly string[]): string[] {
  const strings: string[] = [];
  for (const file of files) {
    visit(readSource(PACKAGE_ROOT, file).tree, (node) => {
      const text = textOf(node);
      if (text !== null && text !== '') strings.push(text);
    });
  }
  return strings;
}

/** The parts of a message between its gaps. */
function partsOf(message: string): string[] {
  return message.split(GAP).filter((part) => /\w/.test(part));
}

/** True: one string has all parts, in their order. */
export function isSaid(message: string, strings: readonly string[]): boolean {
  return strings.some((text) => {
    let at = 0;
    return partsOf(message).every((part) => {
      const found = text.indexOf(part, at);
      at = found + part.length;
      return found >= 0;
    });
  });
}

test('a message is found when one string of the program has all its words', () => {
  const strings = ['open … : no such file', 'gone'];
  assert.equal(isSaid('…: no such file', strings), true);
  assert.equal(isSaid('open …: no such …', ['open it: no such thing']), true);
  assert.equal(isSaid('no such file … gone', strings), false);
});

test('every message of docs/troubleshooting.md is one that the program has', () => {
  const page = readFileSync(path.join(PACKAGE_ROOT, 'docs/troubleshooting.md'), 'utf8');
  const messages = [...page.matchAll(/^### `(.*)`$/gm)].map((match) => match[1]!.replaceAll('\\`', '`'));
  assert.ok(messages.length > 30, `found ${messages.length} messages`);
  const strings = stringsOf(listFiles(PACKAGE_ROOT, 'src').filter((file) => /\.c?ts$/.test(file)));
  assert.deepEqual(
    messages.filter((message) => !isSaid(message, strings)),
    [],
  );
});
