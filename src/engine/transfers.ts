/** What torrents transfer together. */
import type { TorrentStats } from '../api.js';

export type Transfers = Pick<
  TorrentStats,
  'downloadedBytes' | 'uploadedBytes' | 'downloadBytesPerSec' | 'uploadBytesPerSec'
>;

export function sumTransfers(torrents: Iterable<{ stats(): Transfers }>, past: Transfers): Transfers {
  let { downloadedBytes, uploadedBytes, downloadBytesPerSec, uploadBytesPerSec } = past;
  for (const torrent of torrents) {
    const stats = torrent.stats();
    downloadedBytes += stats.downloadedBytes;
    uploadedBytes += stats.uploadedBytes;
    downloadBytesPerSec += stats.downloadBytesPerSec;
    uploadBytesPerSec += stats.uploadBytesPerSec;
  }
  return { downloadedBytes, uploadedBytes, downloadBytesPerSec, uploadBytesPerSec };
}
