/** An artifact as answers tell of it: JSON, its links, its headers. */
import { formatMagnet } from '../../magnet/link.js';
import type { ArtifactRow } from '../catalogue/port.js';
import { fileNameOf, shortName } from '../names.js';
import { encodePath } from './target.js';

export interface Links {
  readonly url: string;
  readonly torrentUrl: string | null;
  readonly magnet: string | null;
}

/** Where the bytes of a torrent are by HTTP: never those of another artifact that took the name. */
export function webSeedUrl(row: ArtifactRow, base: string): string {
  return `${base}/blobs/${row.infoHash}/${encodePath(fileNameOf(row.name))}`;
}

export function announceUrl(base: string, passkey: string | null): string {
  return passkey === null ? `${base}/announce` : `${base}/${passkey}/announce`;
}

/** Ours first, then each other depot of the same catalogue once. */
export function basesOf(base: string, others: readonly string[] = []): string[] {
  return [...new Set([base, ...others])];
}

/** @param others base URLs of depots with the same catalogue, for the magnet link */
export function linksOf(row: ArtifactRow, base: string, passkey: string | null, others: readonly string[] = []): Links {
  const url = `${base}/${encodePath(row.name)}`;
  if (row.infoHash === null) return { url, torrentUrl: null, magnet: null };
  const magnet = formatMagnet({
    infoHash: Buffer.from(row.infoHash, 'hex'),
    displayName: fileNameOf(row.name),
    trackers: basesOf(base, others).map((one) => announceUrl(one, passkey)),
    webSeeds: basesOf(base, others).map((one) => webSeedUrl(row, one)),
  });
  return { url, torrentUrl: `${url}?torrent`, magnet };
}

/** As the schema `Artifact` has it. */
export function artifactJson(row: ArtifactRow, base: string, passkey: string | null): Record<string, unknown> {
  const { sha256, lengthBytes, infoHash, contentType, createdMs, expiresMs, isPinned } = row;
  return {
    name: shortName(row.name),
    sha256,
    lengthBytes,
    contentType,
    created: new Date(createdMs).toISOString(),
    expires: expiresMs === null ? null : new Date(expiresMs).toISOString(),
    isPinned,
    infoHash,
    ...linksOf(row, base, passkey),
  };
}
