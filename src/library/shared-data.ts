/** The files of a share as its HTTP server offers them (BEP 19). */
import { join } from 'node:path';
import { parseTorrent } from '../metainfo/torrent.js';
import { stampOf } from '../storage/stamp-files.js';
import type { SharedFile } from '../tracker/data-shelf.js';
import { fileUrl } from '../webseed/url.js';
import { isUnchanged } from '../work/file-stamp.js';
import type { CreatedTorrent } from './create.js';

/** Where they are below the base of the server; the prefix of `TrackerServer.serveData`. */
const PREFIX = 'data/';

/** @param folder in which the file or the torrent's folder lies @param uploads what the torrent may send */
export function sharedFiles(
  { bytes, hashed }: Pick<CreatedTorrent, 'bytes' | 'hashed'>,
  folder: string,
  uploads: SharedFile['uploads'],
): SharedFile[] {
  const metainfo = parseTorrent(bytes);
  return metainfo.files.flatMap((file, index) => {
    if (file.isPad || file.symlinkPath !== null) return [];
    return {
      path: file.path,
      location: join(folder, ...file.path),
      lengthBytes: file.lengthBytes,
      etag: `"${metainfo.infoHashHex}.${index}"`,
      uploads,
      isSame: async (handle) => {
        const status = await handle.stat({ bigint: true });
        return status.isFile() && isUnchanged(stampOf(status), hashed[index]);
      },
    };
  });
}

/** For `url-list`: of a single file its own URL. @param baseUrl of the server */
export function webSeedUrl(baseUrl: string, { bytes, name }: Pick<CreatedTorrent, 'bytes' | 'name'>): string {
  const metainfo = parseTorrent(bytes);
  const folder = new URL(PREFIX, `${baseUrl.replace(/\/$/, '')}/`);
  return metainfo.isMultiFile ? folder.href : fileUrl(folder, { name, isMultiFile: false }, metainfo.files[0]!).href;
}
