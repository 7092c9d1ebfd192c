/** What `haul get` does beside HTTP where it asks an agent: clones what is cached, and tells where bytes came from. */
import { constants } from 'node:fs';
import { copyFile, lstat } from 'node:fs/promises';
import { z } from 'zod';
import { type DepotArtifact, DepotClient } from './depot-client.js';
import type { Part } from './get-files.js';

const PLACE = z.object({ path: z.string().startsWith('/').nullable() });
const bytes = z.int().min(0);
const RECEIPT = z.object({ peerBytes: bytes, webSeedBytes: bytes, localBytes: bytes });

export type AgentReceipt = z.infer<typeof RECEIPT>;

/**
 * Copies what the agent has cached on this machine, by reflink where the file system can. Whether these are the bytes
 * is for the caller to find out. What an earlier try left is gone on with by HTTP.
 * @returns false: it is not cached, or not for us to read
 */
export async function cloneCached(
  client: DepotClient,
  artifact: DepotArtifact,
  { path, file }: Part,
): Promise<boolean> {
  if ((await file.stat()).size > 0) return false;
  const from = await cachedAt(client, artifact);
  if (from === null) return false;
  try {
    await copyFile(from, path, constants.COPYFILE_FICLONE);
    return true;
  } catch {
    await file.truncate(0);
    return false;
  }
}

/** What it names is opened with our own rights, and is nothing that could keep us waiting. */
async function cachedAt(client: DepotClient, { name, lengthBytes }: DepotArtifact): Promise<string | null> {
  try {
    const { path } = PLACE.parse(JSON.parse(await client.textOnce(`/local${DepotClient.path(name)}`)));
    if (path === null) return null;
    const stats = await lstat(path);
    return stats.isFile() && stats.size === lengthBytes ? path : null;
  } catch {
    return null;
  }
}

/** Where the bytes of an answer came from; null: the agent does not say, or not of so many. */
export async function receiptOf(client: DepotClient, id: unknown, receivedBytes: number): Promise<AgentReceipt | null> {
  if (typeof id !== 'string' || !/^[\w-]{1,64}$/.test(id)) return null;
  try {
    const receipt = RECEIPT.parse(JSON.parse(await client.textOnce(`/receipts/${id}`)));
    const { peerBytes, webSeedBytes, localBytes } = receipt;
    return peerBytes + webSeedBytes + localBytes === receivedBytes ? receipt : null;
  } catch {
    return null;
  }
}
