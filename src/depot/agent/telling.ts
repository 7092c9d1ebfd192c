/** What an agent says of itself: status for pages, readiness, metrics. */
import type { Check } from '../http/inside.js';
import type { AgentStats } from './api.js';
import type { AgentParts } from './parts.js';

/** As `/status` gives it, and the event `figures`. */
export function statusOf(parts: AgentParts, requests: number): Record<string, unknown> {
  const { cache, engine, client, fetches, sums } = parts;
  const { port, torrents, dormant, connections, uploadedBytes, downloadBytesPerSec, uploadBytesPerSec } =
    engine.stats();
  return {
    depot: { url: client.url, isAway: client.isAway },
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

/** An agent without its depot serves what it has: it is ready, and says so. */
export function readinessOf({ cache, client }: AgentParts): readonly Check[] {
  const isAway = client.isAway === true;
  return [
    { name: 'cache', isReady: cache.cacheBytes > 0, message: '' },
    { name: 'depot', isReady: true, message: isAway ? 'it cannot be reached: what is cached is served' : '' },
  ];
}

/** In the text format of Prometheus. No label per name or peer. */
export function agentMetrics(parts: AgentParts, requests: number): string {
  const { cache, engine, client, fetches, sums, receipts } = parts;
  const { uploadedBytes, connections, torrents, dormant } = engine.stats();
  const rows: readonly (readonly [name: string, type: 'counter' | 'gauge', help: string, value: number])[] = [
    ['agent_cache_bytes', 'gauge', 'Bytes of blobs in the cache', cache.usedBytes],
    ['agent_cache_limit_bytes', 'gauge', 'Bytes that the cache may hold', cache.cacheBytes],
    ['agent_cache_blobs', 'gauge', 'Blobs in the cache, parts included', cache.count],
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
    ['agent_depot_up', 'gauge', '0: the depot cannot be reached', client.isAway === true ? 0 : 1],
  ];
  return rows
    .map(([name, type, help, value]) => {
      const full = `haul_${name}`;
      return `# HELP ${full} ${help}\n# TYPE ${full} ${type}\n${full} ${value}\n`;
    })
    .join('');
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
  };
}
