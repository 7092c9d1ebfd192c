/** A .torrent as the depot gives it: believed only where it is what the depot said before. */
import type { Metainfo } from '../../metainfo/metainfo.js';
import { parseTorrent, withTrackers } from '../../metainfo/torrent.js';
import type { ArtifactRow } from '../catalogue/port.js';
import { fileNameOf } from '../names.js';
import { DepotLies } from './depot-trouble.js';

/**
 * One file with the bytes of the blob, under the name of the artifact, and nothing else. Its own web seeds are left
 * out: the depot is asked where we know it to be.
 * @throws DepotLies
 */
export function checkTorrent(given: Buffer, row: ArtifactRow): { readonly metainfo: Metainfo; readonly bytes: Buffer } {
  let metainfo: Metainfo;
  let bytes: Buffer;
  try {
    const { trackers } = parseTorrent(given);
    bytes = withTrackers(given, trackers, []);
    metainfo = parseTorrent(bytes);
  } catch (error) {
    throw new DepotLies(`its .torrent cannot be read: ${(error as Error).message}`);
  }
  const { files, isMultiFile, infoHashHex, name } = metainfo;
  if (infoHashHex !== row.infoHash) throw new DepotLies('its .torrent is another one than it said');
  if (isMultiFile || files.length !== 1 || files[0]!.lengthBytes !== row.lengthBytes)
    throw new DepotLies('its .torrent is not one file of the length that it said');
  if (name !== fileNameOf(row.name)) throw new DepotLies('its .torrent has another name than the artifact');
  return { metainfo, bytes };
}
