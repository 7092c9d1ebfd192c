/** `haul track --data`: the data of the torrents it tracks by HTTP (BEP 19), and their .torrent files, which say so. */
import { HaulError } from '../errors.js';
import { sharedFiles, webSeedUrl } from '../library/shared-data.js';
import { verifyTorrent } from '../library/verify.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import { encodeTorrent } from '../metainfo/torrent.js';
import { torrentUrlPath } from '../net/own-addresses.js';
import { Throttle } from '../peer/throttle.js';
import { stampFiles } from '../storage/stamp-files.js';
import type { TrackerServer } from '../tracker/server.js';
import { checkDataFolder } from './folders.js';
import { count, printable } from './format.js';
import type { Context } from './run.js';
import { Pace } from './sample.js';

export interface OfferOptions {
  /** Where others find the tracker, without a slash at its end. */
  readonly base: string;
  /** Also where a client reached us by another address. */
  readonly isAdvertised: boolean;
}

/** Two torrents of one name would be one URL. @throws HaulError BAD_ARGUMENT */
function checkNames(torrents: readonly Metainfo[]): void {
  const names = new Set<string>();
  for (const { name } of torrents) {
    if (names.has(name))
      throw new HaulError('BAD_ARGUMENT', `--data: two torrents are named ${printable(name)}`, { name });
    names.add(name);
  }
}

/**
 * What is not as its torrent says is offered to nobody: all is hashed before.
 * @throws HaulError BAD_ARGUMENT, BAD_DATA, NOT_FOUND and as `verifyTorrent`
 */
export async function offerData(
  { output, signal }: Context,
  tracker: TrackerServer,
  torrents: readonly Metainfo[],
  data: string,
  { base, isAdvertised }: OfferOptions,
): Promise<void> {
  checkNames(torrents);
  for (const metainfo of torrents) {
    const { name, infoHashHex } = metainfo;
    const folder = await checkDataFolder(data, metainfo);
    // Before they are hashed: a file that changes meanwhile is another one, and is not served.
    const hashed = await stampFiles(metainfo, folder, null);
    await check({ output, signal }, metainfo, folder);
    const bytesFor = (url: string): Buffer => {
      const seed = webSeedUrl(url, { bytes: encode(metainfo, [], []), name });
      const own = `${url}/announce`;
      const others = metainfo.trackers.map((tier) => tier.filter((tracker) => tracker !== own));
      return encode(metainfo, [[own], ...others], [seed, ...metainfo.webSeeds.filter((each) => each !== seed)]);
    };
    tracker.serveData(sharedFiles({ bytes: bytesFor(base), hashed }, folder, new Throttle([])));
    tracker.serveTorrent(`${name}.torrent`, (reached) => bytesFor(isAdvertised ? base : reached.replace(/\/$/, '')));
    const torrentUrl = `${base}${torrentUrlPath(name)}`;
    const dataUrl = webSeedUrl(base, { bytes: bytesFor(base), name });
    output.event('offering', { name, infoHash: infoHashHex, torrentUrl, dataUrl }, `${printable(name)}: ${torrentUrl}`);
  }
}

function encode(
  { infoBytes }: Metainfo,
  trackers: readonly (readonly string[])[],
  webSeeds: readonly string[],
): Buffer {
  return encodeTorrent({ infoBytes, trackers, webSeeds });
}

async function check({ output, signal }: Context, metainfo: Metainfo, folder: string): Promise<void> {
  const { name, geometry } = metainfo;
  const { lengthBytes, pieceCount } = geometry;
  const pace = new Pace();
  let done = 0;
  const view = output.progress(() => ({
    name,
    phase: 'checking',
    totalBytes: lengthBytes,
    ...pace.at(done, lengthBytes),
  }));
  const onProgress = (doneBytes: number): void => {
    done = doneBytes;
  };
  const { isGood, badPieces } = await verifyTorrent(metainfo, folder, { onProgress, signal }).finally(() =>
    view.stop(),
  );
  if (isGood) return;
  const text = `${printable(name)}: ${badPieces.length} of ${count(pieceCount, 'piece')} in ${folder} are bad`;
  throw new HaulError('BAD_DATA', `${text}; \`haul verify\` names the files`, {
    path: folder,
    infoHash: metainfo.infoHashHex,
  });
}
