/** The torrent of a folder that was just published: the depot is asked to make it. */
import { FOLDER } from '../depot/http/schemas.js';
import { HaulError } from '../errors.js';
import { DepotClient, readAnswer } from './depot-client.js';
import { count, formatBytes, printable } from './format.js';
import type { Output } from './output.js';
import { delayOrAborted } from './wait.js';

/** A depot that hashes for longer goes on without us. */
const HASHING_MS = 600_000;
const AGAIN_MS = 1_000;

/**
 * Tells of it, or says nothing where the depot has none: too little in it, or an older depot.
 * @param name what all is below, with or without slashes at its ends
 * @throws HaulError NETWORK, ABORTED
 */
export async function tellFolder(
  output: Output,
  client: DepotClient,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  const prefix = name.replace(/^\/+|\/+$/g, '');
  if (prefix === '') return;
  const path = `${DepotClient.path(prefix)}/?info`;
  const until = performance.now() + HASHING_MS;
  for (;;) {
    const answer = await client.trying(() => ask(client, path));
    if (answer === 'hashing' && performance.now() < until) {
      if ((await delayOrAborted(AGAIN_MS, signal)) === 'aborted') throw new HaulError('ABORTED', 'interrupted');
      continue;
    }
    if (answer instanceof HaulError) output.warn(`no torrent of the folder: ${answer.message}`, { code: answer.code });
    if (typeof answer === 'object' && answer !== null && !(answer instanceof HaulError)) say(output, answer);
    return;
  }
}

type Folder = ReturnType<typeof FOLDER.parse>;

async function ask(client: DepotClient, path: string): Promise<Folder | 'hashing' | HaulError | null> {
  try {
    const parsed = FOLDER.safeParse(JSON.parse((await readAnswer(await client.ask('GET', path))).toString('utf8')));
    return parsed.success ? parsed.data : null;
  } catch (error) {
    if (!HaulError.is(error)) return null;
    if (error.facts.problem === 'HASHING') return 'hashing';
    // Too much of it, or a name that is a file and a folder at once.
    if (error.code === 'LIMIT' || error.code === 'FILE_EXISTS') return error;
    // Too little in it, a token for writing alone, an older depot.
    if (error.code === 'NOT_FOUND' || error.code === 'NO_PERMISSION' || error.code === 'BAD_ARGUMENT') return null;
    throw error;
  }
}

function say(output: Output, folder: Folder): void {
  const { prefix, infoHash, files, lengthBytes, torrentUrl, magnet } = folder;
  const what = `${printable(prefix, 2000)}: one torrent of ${count(files, 'file')}, ${formatBytes(lengthBytes)}`;
  const lines = [what, `  ${printable(torrentUrl, 4000)}`, `  ${printable(magnet, 4000)}`];
  output.event('folder', { prefix, infoHash, files, lengthBytes, torrentUrl, magnet }, lines.join('\n'));
}
