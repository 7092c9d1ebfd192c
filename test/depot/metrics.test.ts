import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type DepotFigures, DepotMetrics } from '../../src/depot/metrics.js';

const FIGURES: DepotFigures = {
  counts: async () => ({ names: 3, blobs: 2, blobBytes: 2 ** 50 }),
  storedBytes: () => 2 ** 50 + 5,
  disk: async () => ({ freeBytes: 7, totalBytes: 9 }),
  swarm: () => ({ torrentsAwake: 1, peers: 4, uploadedBytes: 11 }),
  tracker: () => ({ peers: 6, announces: 100 }),
  ready: async () => [
    { name: 'store s3', isReady: true },
    { name: 'catalogue', isReady: false },
  ],
  sharing: () => ({ trouble: null, written: 21, read: 22, dropped: 23, foreign: 24, waiting: 25 }),
  elsewhere: () => ({ fromStore: 31, fromDepots: 32, toDepots: 33 }),
  siblings: () => ({ count: 2, lies: 34 }),
  keep: () => ({ removed: { age: 1, idle: 2, watermark: 3 }, isClockDoubted: false }),
};

function metricsOf(t: TestContext, figures: Partial<DepotFigures> = {}): DepotMetrics {
  const metrics = new DepotMetrics({ ...FIGURES, ...figures });
  t.after(() => metrics.close());
  return metrics;
}

/** Lines that hold a value, by what stands before it. */
async function valuesOf(metrics: DepotMetrics): Promise<Map<string, string>> {
  const { text } = await metrics.render();
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), line.slice(line.lastIndexOf(' ') + 1)]));
}

test('every figure is told, and again at each look', async (t) => {
  const metrics = metricsOf(t);
  for (let look = 0; look < 2; look++) {
    const values = await valuesOf(metrics);
    for (const [name, value] of [
      ['artifacts', '3'],
      ['blobs', '2'],
      ['blob_bytes', '1125899906842624'],
      ['stored_bytes', '1125899906842629'],
      ['disk_free_bytes', '7'],
      ['disk_total_bytes', '9'],
      ['torrents_awake', '1'],
      ['peers', '4'],
      ['tracker_peers', '6'],
      ['tracker_announces_total', '100'],
      ['shared_peers_up', '1'],
      ['shared_peers_waiting', '25'],
      ['shared_peers_words_total{what="written"}', '21'],
      ['shared_peers_words_total{what="read"}', '22'],
      ['shared_peers_words_total{what="dropped"}', '23'],
      ['shared_peers_words_total{what="foreign"}', '24'],
      ['brought_bytes_total{from="store"}', '31'],
      ['brought_bytes_total{from="depots"}', '32'],
      ['given_bytes_total', '33'],
      ['other_depots', '2'],
      ['wrong_parts_total', '34'],
      ['downloaded_bytes_total{source="peers"}', '11'],
      ['downloaded_bytes_total{source="http"}', '0'],
      ['removals_total{reason="age"}', '1'],
      ['removals_total{reason="watermark"}', '3'],
      ['ready{check="store s3"}', '1'],
      ['ready{check="catalogue"}', '0'],
      ['clock_doubted', '0'],
    ]) {
      assert.equal(values.get(`haul_depot_${name}`), value, name);
    }
    for (const quantile of ['0.5', '0.99', '1']) {
      assert.ok(Number(values.get(`haul_depot_event_loop_delay_seconds{quantile="${quantile}"}`)) >= 0, quantile);
    }
    for (const name of ['resident_bytes', 'cpu_seconds_total', 'start_time_seconds']) {
      assert.ok(Number(values.get(`haul_depot_${name}`)) > 0, name);
    }
  }
  assert.match((await metrics.render()).type, /^text\/plain; version=0\.0\.4/);
});

test('requests are counted by method and status, uploads and downloads where they succeeded', async (t) => {
  const metrics = metricsOf(t);
  const request = { sentBytes: 10, receivedBytes: 20, isArtifact: true, isPart: false };
  metrics.request({ ...request, method: 'PUT', status: 201 });
  metrics.request({ ...request, method: 'PUT', status: 409 });
  metrics.request({ ...request, method: 'GET', status: 206 });
  metrics.request({ ...request, method: 'GET', status: 404 });
  metrics.request({ ...request, method: 'HEAD', status: 200 });
  metrics.request({ ...request, method: 'GET', status: 200, isArtifact: false });
  metrics.request({ ...request, method: 'GET', status: 206, isArtifact: false, isPart: true });
  const values = await valuesOf(metrics);
  assert.equal(values.get('haul_depot_uploads_total'), '1');
  assert.equal(values.get('haul_depot_uploaded_bytes_total'), '20');
  assert.equal(values.get('haul_depot_downloads_total{source="http"}'), '1');
  assert.equal(values.get('haul_depot_downloaded_bytes_total{source="http"}'), '30');
  assert.equal(values.get('haul_depot_requests_total{method="PUT",status="409"}'), '1');
});

test('no client chooses a label, however many it invents', async (t) => {
  const metrics = metricsOf(t);
  const request = { sentBytes: 0, receivedBytes: 0, isArtifact: true, isPart: false };
  for (let index = 0; index < 5000; index++) {
    metrics.request({ ...request, method: `X${index}"\n`, status: index });
    metrics.problem(
      `NOT_${'ABCDEFGHIJ'[index % 10]}${'KLMNOPQRST'[Math.floor(index / 10) % 10]}${'U'.repeat(index % 7)}`,
    );
    metrics.problem(`name ${index}"}`);
  }
  const { text } = await metrics.render();
  assert.ok(text.split('\n').length < 900, `${text.split('\n').length} lines`);
  assert.ok(!/X\d|name \d/.test(text));
  assert.match(text, /haul_depot_problems_total\{type="OTHER"\} \d{4}/);
});

test('a figure that cannot be had is left out, and is no failure of the rest', async (t) => {
  const metrics = metricsOf(t, {
    counts: () => Promise.reject(new Error('closed')),
    disk: async () => null,
    swarm: () => {
      throw new Error('closed');
    },
    tracker: () => null,
    sharing: () => null,
    ready: async () => Promise.reject(new Error('nobody knows')),
    keep: () => null,
  });
  const values = await valuesOf(metrics);
  const absent =
    'artifacts blobs disk_free_bytes torrents_awake peers tracker_peers tracker_announces_total ' +
    'shared_peers_up shared_peers_waiting clock_doubted';
  for (const name of absent.split(' ')) assert.equal(values.get(`haul_depot_${name}`), undefined, name);
  assert.equal(values.get('haul_depot_stored_bytes'), '1125899906842629');
});

test('two depots of one process have figures of their own', async (t) => {
  const [one, other] = [metricsOf(t), metricsOf(t)];
  one.problem('NOT_FOUND');
  assert.equal((await valuesOf(one)).get('haul_depot_problems_total{type="NOT_FOUND"}'), '1');
  assert.equal((await valuesOf(other)).get('haul_depot_problems_total{type="NOT_FOUND"}'), undefined);
});
