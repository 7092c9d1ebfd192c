/**
 * Several agents in one process, each with an engine, a cache and limits of its own. Twenty processes on two cores run
 * code that no compiler has looked at yet and that no cache holds, on as many hosts they would not.
 * Argument: JSON of `AgentsTask`. Prints `AgentsReady` once all listen; ends with its standard input.
 */
import { type Agent, startAgent } from '../../src/index.js';
import type { AgentsReady, AgentsTask } from './agents-task.js';

/** All of them come from one address. */
const CONNECTIONS_PER_ADDRESS = 1_000;

async function main(): Promise<void> {
  const { depot, caches, bytesPerSec } = JSON.parse(process.argv[2]!) as AgentsTask;
  const agents: Agent[] = [];
  for (const cache of caches) {
    const engine = {
      port: 0,
      uploadBytesPerSec: bytesPerSec,
      downloadBytesPerSec: bytesPerSec,
      maxConnectionsPerAddress: CONNECTIONS_PER_ADDRESS,
    };
    agents.push(await startAgent({ depot, cache, httpPort: 0, engine }));
  }
  const urls = agents.map(({ url }) => url.replace(/\/$/, ''));
  process.stdout.write(`${JSON.stringify({ urls } satisfies AgentsReady)}\n`);
  for await (const _ of process.stdin);
  await Promise.all(agents.map((agent) => agent.close(0)));
}

await main();
