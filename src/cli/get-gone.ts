/** An artifact that goes at the depot while it comes as a torrent: nobody may give the rest, and who waits is told. */
import type { Torrent } from '../api.js';
import { GoneWatch } from '../depot/gone-watch.js';
import { HaulError } from '../errors.js';
import { type DepotArtifact, DepotClient } from './depot-client.js';
import { printable } from './format.js';

const LOOK_MS = 500;

/** As `work`, or rejects with NOT_FOUND when nothing comes, and the depot has it not any more. */
export function unlessGone<T>(
  client: DepotClient,
  artifact: DepotArtifact,
  torrent: Torrent,
  work: Promise<T>,
): Promise<T> {
  const { name } = artifact;
  return new Promise((resolve, reject) => {
    const gone = (): void => {
      clearInterval(timer);
      const text = `${printable(name, 2000)} was removed, or got other bytes, while it was fetched`;
      reject(new HaulError('NOT_FOUND', `${client.who}: ${text}: run it again with --force`, { name }));
    };
    const watch = new GoneWatch(performance.now(), () => isGone(client, artifact), gone);
    const timer = setInterval(() => {
      const { downloadedBytes, state } = torrent.stats();
      watch.look(performance.now(), downloadedBytes, state !== 'downloading');
    }, LOOK_MS);
    work.then(resolve, reject).finally(() => clearInterval(timer));
  });
}

async function isGone(client: DepotClient, { name, sha256 }: DepotArtifact): Promise<boolean> {
  try {
    const text = await client.textOnce(`${DepotClient.path(name)}?info`);
    return client.artifactOf(Buffer.from(text)).sha256 !== sha256;
  } catch (error) {
    if (HaulError.is(error) && error.code === 'NOT_FOUND') return true;
    throw error;
  }
}
