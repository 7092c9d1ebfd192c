/**
 * The style rules that a machine can check (HABITS 18, DESIGN 4). Each takes a file and gives findings; none reads the
 * disk. To let a new file be pure, or a new helper be shared, add it to the lists here: that is the place to argue
 * about it.
 */
import ts from 'typescript';
import { type Import, importsOf, lineOf, type SourceFile, visit } from './source.js';

export interface Finding {
  readonly file: string;
  readonly line: number;
  readonly rule: string;
  readonly message: string;
}

export const MAX_FILE_LINES = 400;
export const MAX_FUNCTION_LINES = 70;
export const MAX_COLUMNS = 120;
const OPENING_COMMENT_LINES = 100;

/** Files that hold no I/O, clock or dice. Patterns match the whole path. */
const PURE: readonly RegExp[] = [
  /^src\/(?:api|rates-api|torrent-api|config|errors|log|random|version)\.ts$/,
  /^src\/(?:metainfo|scheduler|wire)\/.*\.ts$/,
  /^src\/storage\/port\.ts$/,
  /^src\/work\/(?:file-stamp|port)\.ts$/,
  /^src\/depot\/(?:limits|names|catalogue\/(?:audit|counts|keys|port|row)|keep\/(?:clock-guard|decide))\.ts$/,
  /^src\/library\/(?:check-options|engine-options|metainfo-argument)\.ts$/,
  /^src\/torrent\/(?:contacts|health|pex)\.ts$/,
  /^src\/magnet\/(?:link|assembly)\.ts$/,
  /^src\/peer\/rates\.ts$/,
  /^src\/net\/(?:address|advertised|believed-address|own-endpoint|peer-priority|private-address|rate-limit|reach)\.ts$/,
  /^src\/net\/(?:remote-group|siphash|url|zone)\.ts$/,
  /^src\/webseed\/(?:run-queue|url)\.ts$/,
  /^src\/discovery\/(?:address-book|announce|announce-gate|heap|tiers)\.ts$/,
  /^src\/discovery\/(?:tracker-(?:record|reply|url)|source|udp-messages)\.ts$/,
  /^src\/dht\/(?!(?:dht|dht-socket|node-file)\.ts$).*\.ts$/,
  /^src\/lsd\/(?!(?:lsd|lsd-sockets)\.ts$).*\.ts$/,
  /^src\/tracker\/(?!(?:announce-door|data-\w+|http-connections|raw-socket|server|table-file|udp-door)\.ts$).*\.ts$/,
];

/** Pure files that may import these: they compute, and read nothing from outside. */
const PURE_MODULES: ReadonlyMap<string, readonly string[]> = new Map([
  ['src/metainfo/info-hash.ts', ['node:crypto']],
  ['src/tracker/torrent-shelf.ts', ['node:crypto']],
]);

/** Modules of a shell that others may load: bindings and arithmetic without state. */
const SHARED_HELPERS: ReadonlySet<string> = new Set([
  'src/work/look.ts',
  ...['concurrently', 'force', 'no-space', 'patience', 'stamp-files'].map((name) => `src/storage/${name}.ts`),
]);

/** The library door and what stands beside it. */
const MAY_LOAD_ENGINE: ReadonlySet<string> = new Set([
  'src/index.ts',
  'src/library/share.ts',
  'src/depot/start.ts',
  'src/depot/agent/start.ts',
]);

/** Puts a process together, and names the concrete parts of it. */
const COMPOSES: ReadonlySet<string> = new Set(['src/depot/start.ts', 'src/depot/agent/start.ts']);

/** What all others stand on. */
const GROUND_FLOOR: ReadonlySet<string> = new Set(['native', 'net', 'metainfo', 'work', 'content']);

/** Folders whose concrete files only engine/ and the commands name. */
const SHELLS: ReadonlySet<string> = new Set([
  'storage',
  'work',
  'peer',
  'discovery',
  'tracker',
  'depot',
  'dht',
  'lsd',
  'swarm',
  'torrent',
]);

const SCHEDULER_MUST_NOT_KNOW = new Set([
  'native',
  'net',
  'content',
  'peer',
  'wire',
  'storage',
  'work',
  'swarm',
  'torrent',
  'discovery',
  'tracker',
]);

const CLOCKS_AND_DICE = new Set(['Date.now', 'performance.now', 'Math.random', 'process.hrtime']);
const TIMERS = new Set(['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask']);

export function isPure(file: string): boolean {
  return PURE.some((pattern) => pattern.test(file));
}

/** 'storage' for src/storage/mapped.ts, '' for src/config.ts, null outside src. */
function partOf(file: string): string | null {
  const match = /^src\/(?:([^/]+)\/)?/.exec(file);
  return match === null ? null : (match[1] ?? '');
}

export function fileLength(source: SourceFile): Finding[] {
  if (source.lineCount <= MAX_FILE_LINES) return [];
  const message = `${source.lineCount} lines, at most ${MAX_FILE_LINES}: split its state, not its text`;
  return [{ file: source.file, line: source.lineCount, rule: 'file length', message }];
}

/** Lines that are too wide. One that is a single word (an address, a pattern) cannot be folded, and may be. */
export function longLines(file: string, text: string): Finding[] {
  const findings: Finding[] = [];
  text.split('\n').forEach((content, index) => {
    const columns = [...content].length;
    if (columns <= MAX_COLUMNS || /^\s*(?:\*|\/\/)?\s*\S+$/.test(content)) return;
    const message = `${columns} columns, at most ${MAX_COLUMNS}`;
    findings.push({ file, line: index + 1, rule: 'line width', message });
  });
  return findings;
}

/** The name of the function a statement or argument list belongs to: `test` for `test('x', …)`. */
function calledName(node: ts.Node): string {
  return ts.isCallExpression(node) && ts.isIdentifier(node.expression) ? node.expression.text : '';
}

/** A callback of `describe`, or a function that declares tests itself, is a list of tests, not a function. */
function isSuite(node: ts.FunctionLikeDeclaration): boolean {
  if (/^(?:describe|suite)$/.test(calledName(node.parent))) return true;
  if (node.body === undefined || !ts.isBlock(node.body)) return false;
  return node.body.statements.some(
    (statement) =>
      ts.isExpressionStatement(statement) && /^(?:describe|suite|test|it)$/.test(calledName(statement.expression)),
  );
}

export function functionLength(source: SourceFile): Finding[] {
  const findings: Finding[] = [];
  visit(source.tree, (node) => {
    if (!ts.isFunctionLike(node) || !('body' in node) || node.body === undefined) return;
    if (isSuite(node as ts.FunctionLikeDeclaration)) return;
    const line = lineOf(source, node.getStart());
    const lines = lineOf(source, node.end) - line + 1;
    if (lines <= MAX_FUNCTION_LINES) return;
    const name = node.name?.getText() ?? 'function';
    const message = `${name} has ${lines} lines, at most ${MAX_FUNCTION_LINES}`;
    findings.push({ file: source.file, line, rule: 'function length', message });
  });
  return findings;
}

export function openingComment(source: SourceFile): Finding[] {
  const isLong = source.lineCount > OPENING_COMMENT_LINES;
  if (partOf(source.file) === null || !isLong || /^(?:#!.*\n)?\/[*/]/.test(source.text)) return [];
  const message = `over ${OPENING_COMMENT_LINES} lines: open with what it owns, its invariant, what it must not know`;
  return [{ file: source.file, line: 1, rule: 'opening comment', message }];
}

function pureImport(source: SourceFile, found: Import): string | null {
  if (found.isTypeOnly) return null;
  if (found.specifier.startsWith('node:')) {
    return PURE_MODULES.get(source.file)?.includes(found.specifier) === true
      ? null
      : `a pure file imports ${found.specifier}`;
  }
  if (found.target !== null && !isPure(found.target)) return `a pure file loads ${found.target}, which is not pure`;
  return null;
}

/** Pure files import no node: module and load only pure files. */
export function pureImports(source: SourceFile): Finding[] {
  if (!isPure(source.file)) return [];
  return check(source, 'pure imports', (found) => pureImport(source, found));
}

/** The clock and the dice are arguments of pure files. */
export function pureClock(source: SourceFile): Finding[] {
  if (!isPure(source.file)) return [];
  const findings: Finding[] = [];
  const report = (node: ts.Node, what: string) =>
    findings.push({
      file: source.file,
      line: lineOf(source, node.getStart()),
      rule: 'pure clock',
      message: `a pure file uses ${what}: make it an argument`,
    });
  visit(source.tree, (node) => {
    if (ts.isPropertyAccessExpression(node)) {
      const name = node.getText().replace(/^globalThis\./, '');
      if (CLOCKS_AND_DICE.has(name)) report(node, name);
    } else if (ts.isCallExpression(node) && TIMERS.has(node.expression.getText().replace(/^globalThis\./, ''))) {
      report(node, node.expression.getText());
    } else if (
      ts.isNewExpression(node) &&
      node.expression.getText() === 'Date' &&
      (node.arguments?.length ?? 0) === 0
    ) {
      report(node, 'new Date()');
    }
  });
  return findings;
}

/** Why this part of src may not have that import, or null. */
function arrow(from: string, fromFile: string, found: Import): string | null {
  if (from === 'scheduler' && found.specifier.startsWith('node:')) return `scheduler imports ${found.specifier}`;
  if (found.target === null) return null;
  const to = partOf(found.target);
  if (to === null) return `src imports ${found.target}`;
  if (to === from) return null;
  if (from === 'scheduler' && SCHEDULER_MUST_NOT_KNOW.has(to)) return `scheduler imports ${to}: peers are slot numbers`;
  if (GROUND_FLOOR.has(from) && to !== '' && !GROUND_FLOOR.has(to)) return `the ground floor (${from}) imports ${to}`;
  if (to === 'cli') return `only the command line imports ${found.target}`;
  if (SHARED_HELPERS.has(found.target)) return null;
  if (from === 'metainfo' && isPure(fromFile) && to !== '') return `metainfo imports ${to}`;
  if (from === 'wire' && to !== '' && to !== 'metainfo' && to !== 'net') return `wire imports ${to}`;
  if (found.isTypeOnly) return null;
  if (to === 'engine' && from !== 'cli' && !MAY_LOAD_ENGINE.has(fromFile)) {
    return 'only index.ts, share and the commands load the engine';
  }
  if (COMPOSES.has(fromFile)) return null;
  // A torrent is made of a swarm.
  if (from === 'torrent' && to === 'swarm') return null;
  const isConcrete = SHELLS.has(to) && !/\/port\.ts$/.test(found.target) && !isPure(found.target);
  if (isConcrete && SHELLS.has(from)) {
    return `${from} loads ${found.target}: only engine/ names concrete ${to}; declare an interface or import a type`;
  }
  return null;
}

/** Who may know whom (DESIGN 4). */
export function importArrows(source: SourceFile): Finding[] {
  const from = partOf(source.file);
  if (from === null) return [];
  return check(source, 'import arrows', (found) => arrow(from, source.file, found));
}

/** Native code is loaded by `src/native/` alone. What benches and tests load is their own. */
export function nativeCode(source: SourceFile): Finding[] {
  const from = partOf(source.file);
  if (from === null || from === 'native' || !/\bkoffi\b/.test(source.text)) return [];
  const findings: Finding[] = [];
  visit(source.tree, (node) => {
    if (!ts.isStringLiteralLike(node) || node.text !== 'koffi') return;
    const line = lineOf(source, node.getStart());
    findings.push({ file: source.file, line, rule: 'native code', message: 'only src/native/ loads koffi' });
  });
  return findings;
}

/**
 * Where something lies in a torrent is computed by `Geometry` alone. These may multiply by a piece length: a worker has
 * numbers only, BEP 52 pads files to pieces, and the others count in pieces and mean an amount, not a place.
 */
const MULTIPLIES: ReadonlySet<string> = new Set([
  'src/metainfo/geometry.ts',
  'src/metainfo/hybrid.ts',
  'src/work/digest-pieces.ts',
  'src/scheduler/serve/choker.ts',
  'src/scheduler/serve/hoarders.ts',
  'src/storage/budgets.ts',
]);

export function pieceArithmetic(source: SourceFile): Finding[] {
  if (partOf(source.file) === null || MULTIPLIES.has(source.file)) return [];
  const findings: Finding[] = [];
  visit(source.tree, (node) => {
    if (!ts.isBinaryExpression(node)) return;
    const { left, operatorToken, right } = node;
    const operator = operatorToken.kind;
    const isProduct = operator === ts.SyntaxKind.AsteriskToken;
    if (!isProduct && operator !== ts.SyntaxKind.SlashToken) return;
    const sides = isProduct ? [left, right] : [right];
    if (!sides.some((side) => /^20$|\bpieceLengthBytes$/.test(side.getText()))) return;
    const message = `${node.getText()}: Geometry knows where pieces lie`;
    findings.push({ file: source.file, line: lineOf(source, node.getStart()), rule: 'piece arithmetic', message });
  });
  return findings;
}

/** `.only(` left behind would switch every other test off. */
export function onlyTests(source: SourceFile): Finding[] {
  const findings: Finding[] = [];
  visit(source.tree, (node) => {
    const isOnly = ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression);
    if (!isOnly || node.expression.name.text !== 'only') return;
    const line = lineOf(source, node.getStart());
    findings.push({
      file: source.file,
      line,
      rule: 'no only',
      message: `${node.expression.getText()} hides other tests`,
    });
  });
  return findings;
}

/** Text of any committed file: notes to self, and paths of somebody's machine. */
export function plainText(file: string, text: string): Finding[] {
  const findings: Finding[] = [];
  text.split('\n').forEach((content, index) => {
    const note = /\b(?:TO(?:DO)|FIX(?:ME)|X(?:XX))\b/.exec(content);
    if (note !== null)
      findings.push({ file, line: index + 1, rule: 'no notes', message: `${note[0]}: do it or drop it` });
    const machine = /(?<![\w.~/}-])\/(?:home|work|root)\/[\w.]/.exec(content);
    if (machine !== null) findings.push({ file, line: index + 1, rule: 'machine path', message: content.trim() });
  });
  return findings;
}

function check(source: SourceFile, rule: string, why: (found: Import) => string | null): Finding[] {
  const findings: Finding[] = [];
  for (const found of importsOf(source)) {
    const message = why(found);
    if (message !== null) findings.push({ file: source.file, line: found.line, rule, message });
  }
  return findings;
}

export const SOURCE_RULES: readonly ((source: SourceFile) => Finding[])[] = [
  fileLength,
  functionLength,
  ({ file, text }) => longLines(file, text),
  openingComment,
  pureImports,
  pureClock,
  importArrows,
  nativeCode,
  pieceArithmetic,
  onlyTests,
];
