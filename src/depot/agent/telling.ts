/** What an agent says of itself: status for pages, readiness, metrics. */
import type { Check } from '../http/inside.js';
import type { AgentDepot, AgentStats } from './api.js';
import type { DiskState } from './cache-disk.js';
import type { DepotPort } from './depot-port.js';
import type { AgentParts } from './parts.js';

/** As `/status` gives it, and the event `figures`. */
export function statusOf(parts: AgentParts, requests: number): Record<string, unknown> {
  const { cache, engine, client, fetches, sums } = parts;
  const { port, torrents, dormant, connections, uploadedBytes, downloadBytesPerSec, uploadBytesPerSec } =
    engine.stats();
  return {
    depot: { url: client.url, isAway: client.isAway },
    depots: client.states,
    cache: { blobs: cache.count, usedBytes: cache.usedBytes, cacheBytes: cache.cacheBytes, evicted: cache.evicted },
    requests,
    sums: { ...sums, uploadedBytes },
    engine: { port, torrents, dormant, connections, downloadBytesPerSec, uploadBytesPerSec },
    fetches: [...fetches.all].slice(0, 100).map(({ row, share, bytes, users }) => ({
      name: row.name,
      sha256: row.sha256,
      lengthBytes: row.lengthBytes,
      share,
      peerBytes: bytes.peers,
      webSeedBytes: bytes.webSeed,
      readers: users,
    })),
  };
}

/**
 * An agent without its depot serves what it has, and one that can keep nothing passes on what the depot sends: it is
 * ready, and says so.
 */
export function readinessOf({ client }: AgentParts, { trouble }: DiskState): readonly Check[] {
  const { states } = client;
  const others = client.isAway === true ? 'what is cached is served' : 'others are asked';
  return [
    { name: 'cache', isReady: true, message: trouble },
    ...states.map(({ url, isAway }) => ({
      name: states.length === 1 ? 'depot' : `depot ${url}`,
      isReady: true,
      message: isAway === true ? `it cannot be reached: ${others}` : '',
    })),
  ];
}

/** In the text format of Prometheus. No label per name or peer. */
export function agentMetrics(parts: AgentParts, { freeBytes, trouble }: DiskState, requests: number): string {
  const { cache, engine, client, fetches, sums, receipts } = parts;
  const { uploadedBytes, connections, torrents, dormant } = engine.stats();
  const rows: readonly (readonly [name: string, type: 'counter' | 'gauge', help: string, value: number])[] = [
    ['agent_cache_bytes', 'gauge', 'Bytes of blobs in the cache', cache.usedBytes],
    ['agent_cache_limit_bytes', 'gauge', 'Bytes that the cache may hold', cache.cacheBytes],
    ['agent_cache_blobs', 'gauge', 'Blobs in the cache, parts included', cache.count],
    ['agent_cache_ready', 'gauge', '0: nothing is kept, since its disk is full or read-only', trouble === '' ? 1 : 0],
    ['agent_cache_disk_free_bytes', 'gauge', 'Free on the disk of the cache', freeBytes ?? Number.NaN],
    ['agent_passed_on_total', 'counter', 'Answers with bytes for which the cache had no room', fetches.unkept],
    ['agent_cache_evicted_total', 'counter', 'Blobs that made room for others', cache.evicted],
    ['agent_sent_bytes_total', 'counter', 'Bytes sent to clients by HTTP', sums.sentBytes],
    ['agent_peer_bytes_total', 'counter', 'Bytes that came from peers', sums.peerBytes],
    ['agent_web_seed_bytes_total', 'counter', 'Bytes that came by HTTP from the depot', sums.webSeedBytes],
    ['agent_uploaded_bytes_total', 'counter', 'Bytes given to peers', uploadedBytes],
    ['agent_answers_total', 'counter', 'Answers with bytes', receipts.count],
    ['agent_fetch_failures_total', 'counter', 'Fetches that did not come to their end', sums.failures],
    ['agent_fetches', 'gauge', 'Blobs under way', fetches.count],
    ['agent_requests', 'gauge', 'Requests under way', requests],
    ['agent_peers', 'gauge', 'Connections to peers', connections],
    ['agent_torrents_awake', 'gauge', 'Torrents that are awake', torrents],
    ['agent_torrents_dormant', 'gauge', 'Torrents that can be woken', dormant],
    ['agent_depot_up', 'gauge', '0: no depot can be reached', client.isAway === true ? 0 : 1],
    ['agent_depot_changes_total', 'counter', 'Another depot became the one that is asked first', client.changes],
  ];
  const plain = rows.map(([name, type, help, value]) => {
    const full = `haul_${name}`;
    return `# HELP ${full} ${help}\n# TYPE ${full} ${type}\n${full} ${value}\n`;
  });
  return [...plain, ...depotMetrics(client)].join('');
}

/** Where there are several: each as it was named, which is no client's choice. */
function depotMetrics({ states }: DepotPort): string[] {
  if (states.length === 1) return [];
  const series = (name: string, help: string, value: (depot: AgentDepot) => number): string => {
    const full = `haul_agent_each_depot_${name}`;
    const label = (url: string): string => url.replace(/["\\]/g, '\\$&');
    const lines = states.map((depot) => `${full}{depot="${label(depot.url)}"} ${value(depot)}\n`);
    return `# HELP ${full} ${help}\n# TYPE ${full} gauge\n${lines.join('')}`;
  };
  return [
    series('up', '0: this depot cannot be reached', ({ isAway }) => (isAway === true ? 0 : 1)),
    series('first', '1: this depot is asked first', ({ isFirst }) => Number(isFirst)),
    series('answer_seconds', 'How long it takes to answer, a mean', ({ answerMs }) =>
      answerMs === null ? Number.NaN : answerMs / 1000,
    ),
  ];
}

export function statsOf({ cache, engine, client, fetches, sums }: AgentParts): AgentStats {
  return {
    blobs: cache.count,
    usedBytes: cache.usedBytes,
    cacheBytes: cache.cacheBytes,
    fetches: fetches.count,
    sentBytes: sums.sentBytes,
    peerBytes: sums.peerBytes,
    webSeedBytes: sums.webSeedBytes,
    uploadedBytes: engine.stats().uploadedBytes,
    isDepotAway: client.isAway,
    depots: client.states,
  };
}
