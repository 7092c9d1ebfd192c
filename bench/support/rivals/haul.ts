/** Swarmhaul as people run it: the commands `haul get` and `haul seed`, from the first line of Node to the end. */
import { fileURLToPath } from 'node:url';
import { type Child, startChild } from '../../../lab/child.js';
import { VERSION } from '../../../src/version.js';
import { DEADLINE_MS } from '../sides.js';
import type { Rival, RivalJob } from './rival.js';

export const HAUL: readonly string[] = [
  process.execPath,
  fileURLToPath(new URL('../../../src/cli/haul.cjs', import.meta.url)),
];

function wordsOf(job: RivalJob, storage: string): string[] {
  const peers = job.peers.flatMap(({ host, port }) => ['--peer', `${host}:${port}`]);
  const words =
    job.role === 'seed'
      ? ['seed', job.untracked, '--data', job.folder]
      : ['get', job.untracked, '--output', job.folder, ...peers];
  return [...words, '--port', '0', '--json', ...(storage === 'auto' ? [] : ['--storage', storage])];
}

async function listeningPort(child: Child): Promise<number> {
  const line = await child.line('haul seed has checked its data', DEADLINE_MS, (text) => text.includes('"listening"'));
  return (JSON.parse(line) as { port: number }).port;
}

/** `haul get` ends when all is verified and synced. */
async function succeeded(child: Child): Promise<void> {
  const { code, text } = await child.exited;
  if (code !== 0) throw new Error(`haul get ${text}\n${child.tail()}`);
}

export function swarmhaul(storage: 'auto' | 'mapped' | 'positional'): Rival {
  return {
    name: storage === 'auto' ? 'swarmhaul' : `swarmhaul-${storage}`,
    needsNamespace: false,
    // An engine keeps one connection per peer; `swarmhaul-engine` is told to keep more.
    takesConnections: false,
    missing: () => Promise.resolve(null),
    version: () => Promise.resolve(VERSION),
    async start(scope, job) {
      const [node = '', ...words] = [...HAUL, ...wordsOf(job, storage)];
      const child = startChild(scope, node, words, { namespace: job.namespace });
      const port = job.role === 'seed' ? await listeningPort(child) : 0;
      const stop = async () => void (await child.stop());
      return { pid: child.pid, port, endsItself: job.role === 'leech', complete: () => succeeded(child), stop };
    },
  };
}
