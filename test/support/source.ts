/** Source files as the tidy rules see them: text, lines, syntax tree, and what they import. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

export interface SourceFile {
  /** Relative to the package, with '/'. */
  readonly file: string;
  readonly text: string;
  readonly lineCount: number;
  readonly tree: ts.SourceFile;
}

export interface Import {
  readonly line: number;
  /** As written: 'node:fs', 'undici', './x.js'. */
  readonly specifier: string;
  /** The source file a relative specifier names, relative to the package ('src/config.ts'); else null. */
  readonly target: string | null;
  /** Gone after compilation. */
  readonly isTypeOnly: boolean;
}

const SKIPPED_FOLDERS = new Set(['node_modules', 'dist', 'coverage', '.git']);

/** All files below a folder of the package, relative to the package, sorted. */
export function listFiles(root: string, folder: string): string[] {
  const files: string[] = [];
  for (const entry of readdirSync(path.join(root, folder), { withFileTypes: true })) {
    const relative = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory()) {
      if (!SKIPPED_FOLDERS.has(entry.name)) files.push(...listFiles(root, relative));
    } else if (entry.isFile()) files.push(relative);
  }
  return files.sort();
}

export function parseSource(file: string, text: string): SourceFile {
  const tree = ts.createSourceFile(file, text, ts.ScriptTarget.ES2023, true);
  const lineCount = text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
  return { file, text, lineCount, tree };
}

export function readSource(root: string, file: string): SourceFile {
  return parseSource(file, readFileSync(path.join(root, file), 'utf8'));
}

/** 1-based. */
export function lineOf(source: SourceFile, position: number): number {
  return source.tree.getLineAndCharacterOfPosition(position).line + 1;
}

export function visit(node: ts.Node, each: (node: ts.Node) => void): void {
  each(node);
  ts.forEachChild(node, (child) => visit(child, each));
}

interface Reference {
  readonly name: ts.Node | undefined;
  readonly isTypeOnly: boolean;
}

/** With verbatimModuleSyntax `import { type A }` still loads the module: only `import type` is type-only. */
function reference(node: ts.Node): Reference | null {
  if (ts.isImportDeclaration(node)) {
    return { name: node.moduleSpecifier, isTypeOnly: node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword };
  }
  if (ts.isExportDeclaration(node)) return { name: node.moduleSpecifier, isTypeOnly: node.isTypeOnly };
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
    return { name: node.argument.literal, isTypeOnly: true };
  }
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
    return { name: node.arguments[0], isTypeOnly: false };
  }
  return null;
}

/** Static, dynamic, re-exporting and type imports of a file. */
export function importsOf(source: SourceFile): Import[] {
  const imports: Import[] = [];
  visit(source.tree, (node) => {
    const found = reference(node);
    if (found === null || found.name === undefined || !ts.isStringLiteralLike(found.name)) return;
    const specifier = found.name.text;
    const target = specifier.startsWith('.')
      ? path.posix.join(path.posix.dirname(source.file), specifier).replace(/\.(c?)js$/, '.$1ts')
      : null;
    imports.push({ line: lineOf(source, found.name.getStart()), specifier, target, isTypeOnly: found.isTypeOnly });
  });
  return imports;
}
