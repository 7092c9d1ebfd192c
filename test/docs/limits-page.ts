/** docs/limits.md, made of src/config.ts: its values as they are loaded, its reasons as they stand in the comments. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';
import { PACKAGE_ROOT } from '../../lab/root.js';
import { DEFAULTS, LIMITS } from '../../src/config.js';
import { CACHE_LIMITS } from '../../src/depot/doors/limits.js';
import { DEPOT_HTTP_LIMITS } from '../../src/depot/http/limits.js';
import { DEPOT_LIMITS } from '../../src/depot/limits.js';
import { P2P_LIMITS } from '../../src/depot/p2p/limits.js';
import { DHT_LIMITS } from '../../src/dht/limits.js';
import { TRACKER_LIMITS } from '../../src/tracker/limits.js';

const CONFIG = 'src/config.ts';
const DHT_CONFIG = 'src/dht/limits.ts';
const TRACKER_CONFIG = 'src/tracker/limits.ts';
const DEPOT_CONFIGS = [
  'src/depot/limits.ts',
  'src/depot/http/limits.ts',
  'src/depot/doors/limits.ts',
  'src/depot/p2p/limits.ts',
] as const;
const BYTE_UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;
const HEAD = `# Limits and defaults

This page is made from \`${CONFIG}\`, \`${TRACKER_CONFIG}\`, \`${DHT_CONFIG}\` and
\`${DEPOT_CONFIGS.join('`, `')}\` by
\`npm run docs:pages\`. Above a limit there is a clear error, or a peer is dropped with a reason, and nothing is lost.
Limits guard against hostile input. Some of them, and most defaults, have an option: see [commands.md](commands.md), and
\`EngineOptions\` and \`AddOptions\` of the library.
`;

type Values = Readonly<Record<string, unknown>>;

interface Group {
  readonly name: string;
  readonly title: string;
  readonly values: Values;
}

const GROUPS: readonly Group[] = [
  { name: 'LIMITS', title: 'Limits of the engine', values: LIMITS },
  { name: 'DEFAULTS', title: 'Defaults of the engine', values: DEFAULTS },
  { name: 'TRACKER_LIMITS', title: 'Limits of the tracker', values: TRACKER_LIMITS },
  { name: 'DHT_LIMITS', title: 'Limits of the DHT', values: DHT_LIMITS },
  { name: 'DEPOT_LIMITS', title: 'Limits of a depot', values: DEPOT_LIMITS },
  { name: 'DEPOT_HTTP_LIMITS', title: 'Limits of its HTTP server', values: DEPOT_HTTP_LIMITS },
  { name: 'CACHE_LIMITS', title: 'Limits of its Actions cache', values: CACHE_LIMITS },
  { name: 'P2P_LIMITS', title: 'Limits of its uploads by peers', values: P2P_LIMITS },
];

export interface Knob {
  readonly name: string;
  /** The comment above it, on one line; empty where there is none. */
  readonly reason: string;
}

function commentOf(text: string, node: ts.Node): string {
  const [range] = (ts.getLeadingCommentRanges(text, node.pos) ?? []).slice(-1);
  if (range === undefined) return '';
  const lines = text.slice(range.pos, range.end).replace(/^\/\*\*?|\*\/$/g, '');
  return lines
    .replace(/^\s*\* ?/gm, ' ')
    .replace(/\s+/g, ' ')
    .trim();
}

/** The properties of `const NAME = {…} as const`, in their order. */
export function knobsOf(text: string, name: string): Knob[] {
  const source = ts.createSourceFile(CONFIG, text, ts.ScriptTarget.ES2023, true);
  const knobs: Knob[] = [];
  const take = (node: ts.Node): void => {
    if (!ts.isVariableDeclaration(node) || node.name.getText() !== name) {
      ts.forEachChild(node, take);
      return;
    }
    const value =
      node.initializer !== undefined && ts.isAsExpression(node.initializer) ? node.initializer.expression : null;
    if (value === null || !ts.isObjectLiteralExpression(value)) return;
    for (const each of value.properties) knobs.push({ name: each.name!.getText(), reason: commentOf(text, each) });
  };
  take(source);
  return knobs;
}

function inBytes(bytes: number): string {
  let [value, unit] = [bytes, 0];
  while (unit < BYTE_UNITS.length - 1 && value >= 1024 && Number.isInteger(value / 64)) {
    value /= 1024;
    unit++;
  }
  return Number.isInteger(value)
    ? `${value.toLocaleString('en')} ${BYTE_UNITS[unit]}`
    : `${bytes.toLocaleString('en')} bytes`;
}

/** 300000 → `5 min`. */
function inTime(ms: number): string {
  if (ms < 1000) return `${ms} ms`;
  if (ms < 600_000) return `${ms / 1000} s`;
  return ms % 3_600_000 === 0 ? `${ms / 3_600_000} h` : `${ms / 60_000} min`;
}

/** By the unit at the end of the name. */
export function valueText(name: string, value: unknown): string {
  if (typeof value === 'object' && value !== null) return Object.values(value).join('–');
  if (typeof value !== 'number') return String(value);
  if (/bytes?(?:min|max)?(?:per\w+)?$/i.test(name)) return inBytes(value) + (/PerSec$/.test(name) ? '/s' : '');
  if (/Ms(?:Max|Min)?$/.test(name)) return inTime(value);
  if (/Seconds$/.test(name)) return `${value} s`;
  if (/Share$/.test(name)) return `${value * 100} %`;
  return value.toLocaleString('en') + (/PerSecond$/.test(name) ? '/s' : '');
}

function table({ name, title, values }: Group, text: string): string {
  const knobs = knobsOf(text, name);
  const rows = knobs.map((knob) => {
    const cells = [`\`${knob.name}\``, valueText(knob.name, values[knob.name]), knob.reason];
    return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  });
  return `## ${title}\n\n| name | value | why |\n|---|---:|---|\n${rows.join('\n')}\n`;
}

export function readConfig(): string {
  return [CONFIG, TRACKER_CONFIG, DHT_CONFIG, ...DEPOT_CONFIGS]
    .map((file) => readFileSync(path.join(PACKAGE_ROOT, file), 'utf8'))
    .join('\n');
}

/** The whole page. */
export async function limitsPage(): Promise<string> {
  const text = readConfig();
  return [HEAD, ...GROUPS.map((group) => table(group, text))].join('\n');
}

/** Every knob of the tables without a reason. */
export function unexplained(text: string): string[] {
  return GROUPS.flatMap(({ name }) => knobsOf(text, name))
    .filter(({ reason }) => reason === '')
    .map(({ name }) => name);
}
