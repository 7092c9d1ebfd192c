/**
 * The .torrent of a magnet's metadata, kept beside the resume record: who starts again needs no peer to learn what the
 * torrent is. What is in the file proves itself by its info-hash, and is believed for nothing else.
 */
import { constants } from 'node:fs';
import { open, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { LIMITS } from '../config.js';
import { fromSystemError } from '../errors.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import { stateName } from '../metainfo/state-names.js';
import { encodeTorrent, parseTorrent } from '../metainfo/torrent.js';
import { makeFolder } from './folders.js';

/** @param output the folder that receives the data */
export function keptTorrentPath(infoHashHex: string, output: string): string {
  return join(output, stateName(infoHashHex, 'torrent'));
}

/** The info dictionary that an earlier run kept; null: there is none that is this torrent's. Never rejects. */
export async function loadKeptTorrent(infoHashHex: string, output: string): Promise<Buffer | null> {
  // Not to wait for a pipe that somebody put there.
  const flags = constants.O_RDONLY | constants.O_NONBLOCK;
  const file = await open(keptTorrentPath(infoHashHex, output), flags).catch(() => null);
  if (file === null) return null;
  try {
    const status = await file.stat();
    if (!status.isFile() || status.size > LIMITS.torrentFileBytes) return null;
    const metainfo = parseTorrent(await file.readFile());
    return metainfo.infoHashHex === infoHashHex ? metainfo.infoBytes : null;
  } catch {
    return null;
  } finally {
    await file.close();
  }
}

/** Replaced in one step; makes the folder. @throws HaulError */
export async function saveKeptTorrent(metainfo: Metainfo, output: string): Promise<void> {
  const path = keptTorrentPath(metainfo.infoHashHex, output);
  const fresh = `${path}.tmp`;
  const { infoBytes, trackers, webSeeds } = metainfo;
  try {
    await makeFolder(output);
    await unlink(fresh).catch(() => {});
    const file = await open(fresh, 'wx');
    try {
      await file.writeFile(encodeTorrent({ infoBytes, trackers, webSeeds }));
      await file.datasync();
    } finally {
      await file.close();
    }
    await rename(fresh, path);
  } catch (error) {
    throw fromSystemError(error, 'keep the metadata as', path);
  }
}
