/** Whether all that the catalogue keeps agrees: every key is made anew of the rows, and compared. */
import { decodeBlob, decodeCounts } from './counts.js';
import { blobKey, COUNTS_KEY, indexKeys, markInKey, VERSION_KEY } from './keys.js';
import type { ArtifactRow } from './port.js';
import { decodeRow } from './row.js';

/**
 * @param entries all keys and values
 * @returns one line for each thing that is not as it must be
 */
export function auditRows(entries: readonly (readonly [string, string])[]): string[] {
  const faults: string[] = [];
  const rows: ArtifactRow[] = [];
  const guarded = (decode: () => void) => {
    try {
      decode();
    } catch (error) {
      faults.push((error as Error).message);
    }
  };
  for (const [key, value] of entries) {
    if (key.startsWith('n')) guarded(() => rows.push(decodeRow(key.slice(1), value)));
  }
  const expected = new Map<string, string>([[VERSION_KEY, '']]);
  const blobs = new Map<string, { names: number; lengthBytes: number }>();
  for (const row of rows) {
    for (const key of indexKeys(row)) expected.set(key, '');
    const blob = blobs.get(row.sha256) ?? { names: 0, lengthBytes: row.lengthBytes };
    if (blob.lengthBytes !== row.lengthBytes) faults.push(`the rows of ${row.sha256} disagree on its length`);
    blob.names++;
    blobs.set(row.sha256, blob);
  }
  for (const sha256 of blobs.keys()) expected.set(blobKey(sha256), '');
  expected.set(COUNTS_KEY, '');
  for (const [key, value] of entries) {
    if (key.startsWith('n') || markInKey(key) !== null) continue;
    if (!expected.delete(key)) faults.push(`nothing needs the key ${JSON.stringify(key)}`);
    else if (key.startsWith('b')) guarded(() => faults.push(...blobFaults(key.slice(1), value, blobs)));
    else if (key === COUNTS_KEY) guarded(() => faults.push(...countFaults(value, rows.length, [...blobs.values()])));
  }
  for (const key of expected.keys()) faults.push(`the key ${JSON.stringify(key)} is missing`);
  return faults;
}

function blobFaults(
  sha256: string,
  value: string,
  blobs: ReadonlyMap<string, { names: number; lengthBytes: number }>,
): string[] {
  const kept = decodeBlob(sha256, value);
  const blob = blobs.get(sha256)!;
  const isSame = kept.names === blob.names && kept.lengthBytes === blob.lengthBytes;
  return isSame ? [] : [`the blob ${sha256} is kept as "${value}" and is ${blob.names} ${blob.lengthBytes}`];
}

function countFaults(value: string, names: number, blobs: readonly { readonly lengthBytes: number }[]): string[] {
  const kept = decodeCounts(value);
  const blobBytes = blobs.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
  const isSame = kept.names === names && kept.blobs === blobs.length && kept.blobBytes === blobBytes;
  return isSame ? [] : [`the counts are kept as "${value}" and are ${names} ${blobs.length} ${blobBytes}`];
}
