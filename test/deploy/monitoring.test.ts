/** Dashboard and alerts speak of figures that there are, and of labels that these have. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { parse } from 'yaml';
import { PACKAGE_ROOT } from '../../lab/root.js';
import { openScope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { DepotMetrics } from '../../src/depot/metrics.js';
import { startAgent } from '../../src/index.js';

const readMonitoring = (file: string): Promise<string> =>
  readFile(path.join(PACKAGE_ROOT, 'deploy/monitoring', file), 'utf8');

async function depotFigures(t: TestContext): Promise<string> {
  const metrics = new DepotMetrics({
    counts: async () => ({ names: 1, blobs: 1, blobBytes: 1 }),
    storedBytes: () => 1,
    disk: async () => ({ freeBytes: 1, totalBytes: 1 }),
    swarm: () => ({ torrentsAwake: 1, peers: 1, uploadedBytes: 1 }),
    tracker: () => ({ peers: 1, announces: 1 }),
    sharing: () => ({ trouble: null, written: 1, read: 1, dropped: 1, foreign: 1, waiting: 1 }),
    elsewhere: () => ({ fromStore: 1, fromDepots: 1, toDepots: 1 }),
    siblings: () => ({ count: 1, lies: 1 }),
    ready: async () => [{ name: 'catalogue', isReady: true }],
    keep: () => ({ removed: { age: 1, idle: 1, watermark: 1 }, isClockDoubted: false }),
  });
  t.after(() => metrics.close());
  metrics.request({ method: 'GET', status: 200, sentBytes: 1, receivedBytes: 0, isArtifact: true, isPart: false });
  metrics.problem('NOT_FOUND');
  return (await metrics.render()).text;
}

/** Of one whose depots are away. */
async function agentFigures(t: TestContext): Promise<string> {
  const cache = await tempFolder(openScope(t));
  const agent = await startAgent({
    depot: ['http://127.0.0.1:1', 'http://127.0.0.1:2'],
    cache,
    httpPort: 0,
    engine: { port: 0 },
  });
  try {
    return await (await fetch(`${agent.url}/metrics`)).text();
  } finally {
    await agent.close(0);
  }
}

/** Names with the labels that they have. */
async function figures(t: TestContext): Promise<Map<string, Set<string>>> {
  // What Prometheus itself knows of what it asks.
  const found = new Map<string, Set<string>>([['up', new Set(['job'])]]);
  const text = `${await depotFigures(t)}${await agentFigures(t)}`;
  for (const line of text.split('\n')) {
    const type = /^# TYPE (\S+)/.exec(line)?.[1];
    if (type !== undefined) found.set(type, new Set());
    const [, name = '', labels = ''] = /^([a-z_]+)\{(.*)\} /.exec(line) ?? [];
    for (const [, label = ''] of labels.matchAll(/([a-z_]+)="/g)) found.get(name)?.add(label);
  }
  return found;
}

const NAME = /\b(?:up|haul_[a-z_]+)\b(?:\{([^}]*)\})?/g;

function checkExpression(expression: string, known: ReadonlyMap<string, ReadonlySet<string>>): number {
  let count = 0;
  const labels = new Set(['instance', 'job']);
  for (const [whole, selector = ''] of expression.matchAll(NAME)) {
    const name = whole.replace(/\{.*/s, '');
    const own = known.get(name);
    assert.ok(own !== undefined, `there is no figure ${name}: ${expression}`);
    for (const label of own) labels.add(label);
    for (const [, label = ''] of selector.matchAll(/([a-z_]+)\s*[=!]/g)) {
      assert.ok(own.has(label) || label === 'instance' || label === 'job', `${name} has no ${label}`);
    }
    count++;
  }
  for (const [, by = ''] of expression.matchAll(/\bby \(([^)]*)\)/g)) {
    for (const label of by.split(/, ?/)) assert.ok(labels.has(label), `nothing has ${label}: ${expression}`);
  }
  assert.ok(count > 0, `no figure in ${expression}`);
  const depth = (open: string, close: string): number => expression.split(open).length - expression.split(close).length;
  assert.deepEqual([depth('(', ')'), depth('{', '}'), depth('[', ']')], [0, 0, 0], expression);
  return count;
}

interface Dashboard {
  readonly templating: { list: { name: string; query: string | { query: string } }[] };
  readonly panels: {
    id: number;
    title: string;
    type: string;
    gridPos: { x: number; y: number; w: number; h: number };
    targets?: { expr: string; legendFormat: string }[];
  }[];
}

test('every figure of the dashboard is exported, with its labels', async (t) => {
  const known = await figures(t);
  const { panels, templating } = JSON.parse(await readMonitoring('grafana.json')) as Dashboard;
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
  const shown = new Set<string>();
  for (const { type, title, targets = [], gridPos } of panels) {
    assert.ok(gridPos.x + gridPos.w <= 24, title);
    if (type !== 'row') assert.ok(targets.length > 0, title);
    for (const { expr, legendFormat } of targets) {
      checkExpression(expr, known);
      for (const [name = ''] of expr.matchAll(/\bhaul_[a-z_]+/g)) shown.add(name);
      assert.notEqual(legendFormat, '');
    }
  }
  for (const { query } of templating.list) if (typeof query !== 'string') checkExpression(query.query, known);
  const unseen = [...known.keys()].filter((name) => name !== 'up' && !shown.has(name));
  assert.deepEqual(unseen, [], 'figures that nobody looks at');
});

interface Rules {
  readonly groups: {
    name: string;
    rules: {
      alert: string;
      expr: string;
      for?: string;
      labels: { severity: string };
      annotations: { summary: string; description: string };
    }[];
  }[];
}

test('every alert is about figures that are exported, and is in the operator’s guide', async (t) => {
  const known = await figures(t);
  const page = await readFile(path.join(PACKAGE_ROOT, 'docs/operate.md'), 'utf8');
  const { groups } = parse(await readMonitoring('prometheus-rules.yaml')) as Rules;
  const names = groups.flatMap(({ rules }) => rules.map(({ alert }) => alert));
  assert.ok(names.length >= 10);
  assert.equal(new Set(names).size, names.length);
  for (const rule of groups.flatMap(({ rules }) => rules)) {
    checkExpression(rule.expr, known);
    assert.match(rule.alert, /^Haul[A-Z]\w+$/);
    assert.match(rule.for ?? '1m', /^\d+[mh]$/);
    assert.match(rule.labels.severity, /^(?:page|ticket)$/);
    assert.ok(rule.annotations.summary !== '' && rule.annotations.description !== '');
    assert.ok(page.includes(`\`${rule.alert}\``), `docs/operate.md tells of ${rule.alert}`);
  }
});

test('a figure that is not there is found', async (t) => {
  const known = await figures(t);
  assert.throws(() => checkExpression('rate(haul_depot_nothing_total[5m])', known), /no figure/);
  assert.throws(() => checkExpression('haul_depot_requests_total{peer="1"}', known), /has no peer/);
  assert.throws(() => checkExpression('sum by (peer) (haul_depot_peers)', known), /nothing has peer/);
  assert.throws(() => checkExpression('sum(haul_depot_peers', known));
});
