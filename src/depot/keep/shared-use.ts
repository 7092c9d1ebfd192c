/**
 * What is in use at one depot, others of the same catalogue learn by when it was used last: told now and then as long
 * as it lasts, and believed for a few times that. So none removes what another one is serving.
 */
import type { Engine } from '../../api.js';
import type { Catalogue } from '../catalogue/port.js';
import type { FolderTorrents } from '../folders/folder-torrents.js';

export const USE_TOLD_MS = 60_000;
const USE_BELIEVED_MS = 4 * USE_TOLD_MS;

/** Times in the future too, but for those of a clock that is wrong. */
export function isUsedElsewhere(usedMs: number, nowMs: number): boolean {
  return Math.abs(nowMs - usedMs) < USE_BELIEVED_MS;
}

/**
 * Never rejects: it is told again.
 * @param readNames full names that are read by HTTP
 */
export async function tellUse(
  parts: {
    readonly catalogue: Pick<Catalogue, 'byInfoHash' | 'touch'>;
    readonly engine: Pick<Engine, 'torrents'>;
    readonly folders: Pick<FolderTorrents, 'namesInUse'>;
  },
  readNames: readonly string[],
  nowMs: number,
): Promise<void> {
  const { catalogue, engine, folders } = parts;
  try {
    const awake = engine.torrents.map(({ metainfo }) => catalogue.byInfoHash(metainfo.infoHashHex));
    const names = (await Promise.all(awake)).flatMap((row) => row?.name ?? []);
    const used = new Map<string, number>();
    for (const group of [readNames, names, folders.namesInUse()]) for (const name of group) used.set(name, nowMs);
    await catalogue.touch(used);
  } catch {
    // The catalogue is away: nobody removes anything meanwhile.
  }
}
