/** What lies beside a cached blob: which file it is, so that one that was changed is never taken for it. Pure. */
import { type FileStamp, isUnchanged } from '../../work/file-stamp.js';

export interface BlobRecord {
  readonly sha256: string;
  readonly lengthBytes: number;
  /** Of its torrent; null: it has none. */
  readonly infoHash: string | null;
  /** Name of the file in the folder of the data, which is the torrent's. */
  readonly fileName: string;
  /** With the time of its last change of any kind: nobody but the agent has to do with it. */
  readonly stamp: FileStamp;
}

const HEX64 = /^[0-9a-f]{64}$/;
const HEX40 = /^[0-9a-f]{40}$/;

export function encodeRecord({ stamp, ...plain }: BlobRecord): string {
  const { device, inode, birthNs, sizeBytes, mtimeNs, ctimeNs = 0n } = stamp;
  const times = { device: `${device}`, inode: `${inode}`, birthNs: `${birthNs}`, mtimeNs: `${mtimeNs}` };
  return `${JSON.stringify({ ...plain, stamp: { ...times, ctimeNs: `${ctimeNs}`, sizeBytes } })}\n`;
}

/** Null: it is none of ours, or damaged. */
export function decodeRecord(text: string, sha256: string): BlobRecord | null {
  try {
    const { lengthBytes, infoHash, fileName, stamp, ...rest } = JSON.parse(text) as BlobRecord;
    const isInfoHash = infoHash === null || HEX40.test(infoHash);
    const isName = typeof fileName === 'string' && fileName !== '' && !/[/\0]|^\.{1,2}$/.test(fileName);
    if (rest.sha256 !== sha256 || !HEX64.test(sha256) || !isInfoHash || !isName) return null;
    if (!Number.isSafeInteger(lengthBytes) || stamp.sizeBytes !== lengthBytes) return null;
    const [device, inode, birthNs, mtimeNs] = [stamp.device, stamp.inode, stamp.birthNs, stamp.mtimeNs].map(BigInt);
    const read = { device: device!, inode: inode!, birthNs: birthNs!, mtimeNs: mtimeNs! };
    const ctimeNs = BigInt(stamp.ctimeNs ?? 0);
    return { sha256, lengthBytes, infoHash, fileName, stamp: { ...read, ctimeNs, sizeBytes: stamp.sizeBytes } };
  } catch {
    return null;
  }
}

/** Nobody has had to do with the file since: not its bytes, not its names, not its times. */
export function isUntouched(now: FileStamp, then: FileStamp): boolean {
  return isUnchanged(now, then) && now.ctimeNs === then.ctimeNs;
}
