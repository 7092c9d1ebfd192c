/** Every scenario by the name that runs it. */
import type { Scenario } from '../scenario.js';

export interface ScenarioEntry {
  readonly title: string;
  readonly load: () => Promise<Scenario>;
}

export const SCENARIOS: Readonly<Record<string, ScenarioEntry>> = {
  flash: {
    title: 'a seed and 100 leeches with equal caps start together',
    load: async () => (await import('./flash.js')).flash,
  },
  'flash-super': {
    title: 'the same with super-seeding',
    load: async () => (await import('./flash.js')).flashSuper,
  },
  kraken: {
    title: 'Kraken’s table: 5 origins, 2,600 hosts, 3 GB, 300 MB/s',
    load: async () => (await import('./kraken.js')).kraken,
  },
  late: {
    title: 'a 20 GB image, shared by 20 hosts that have it, for one more',
    load: async () => (await import('./late.js')).late,
  },
  'late-wide': {
    title: 'the same for a host with ten times their link',
    load: async () => (await import('./late.js')).lateWide,
  },
  staggered: {
    title: 'leeches start one by one',
    load: async () => (await import('./staggered.js')).staggered,
  },
  'seed-dies': {
    title: 'the seed dies when one copy is out',
    load: async () => (await import('./seed-dies.js')).seedDies,
  },
  'seed-dies-super': {
    title: 'the same with super-seeding',
    load: async () => (await import('./seed-dies.js')).seedDiesSuper,
  },
  churn: {
    title: 'half of the hosts vanish at random times',
    load: async () => (await import('./churn.js')).churn,
  },
  'churn-seedless': {
    title: 'the same, and the seed leaves',
    load: async () => (await import('./churn.js')).churnSeedless,
  },
  'tit-for-tat': {
    title: 'free riders, unequal contributors, newcomers',
    load: async () => (await import('./tit-for-tat.js')).titForTat,
  },
  'bad-peers': {
    title: 'a fifth of the hosts stall, a twentieth corrupt',
    load: async () => (await import('./bad-peers.js')).badPeers,
  },
  reading: {
    title: 'leeches read while it arrives, and one begins elsewhere',
    load: async () => (await import('./reading.js')).reading,
  },
  forward: {
    title: 'a web seed and leeches that hand the image over while it arrives',
    load: async () => (await import('./forward.js')).forward,
  },
  company: {
    title: 'bad company from the front to the back',
    load: async () => (await import('./company.js')).company,
  },
  endgame: {
    title: 'duplicates and the time of the last pieces',
    load: async () => (await import('./endgame.js')).endgame,
  },
  'high-delay': {
    title: '100 ms round trip at 1 Gbit/s',
    load: async () => (await import('./high-delay.js')).highDelay,
  },
  locality: {
    title: 'four zones, told to the tracker or not',
    load: async () => (await import('./locality.js')).locality,
  },
  dht: {
    title: 'a DHT of 200 nodes that come and go',
    load: async () => (await import('./dht.js')).dht,
  },
  'dht-wide': {
    title: 'the same with 5,000',
    load: async () => (await import('./dht.js')).dhtWide,
  },
};
