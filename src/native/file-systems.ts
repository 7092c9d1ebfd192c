/** What is known of a file system from its number alone. */

export interface FileSystem {
  readonly name: string;
  /** Whether a mapping of a file can be trusted, or it is read and written by calls. */
  readonly kind: 'mapped' | 'positional';
  /** The first Linux, major and minor, that takes whole pieces faster by write(2) than through a mapping. */
  readonly writesFasterFrom?: readonly [number, number];
  /** Memory is all it has: there is no device to write back to. */
  readonly hasNoDevice?: boolean;
  /** A file may get another inode number when nobody has it open: the number says nothing. */
  readonly makesUpInodes?: boolean;
  /**
   * Blocks of a file never become fewer by themselves, as they may where data is compressed, and its mtime is that of
   * the last write.
   */
  readonly isExact?: boolean;
  /** What the kernel knows of an open file it says without asking another machine or process. */
  readonly isLocal?: boolean;
}

/** f_type of statfs(2), as in Linux's linux/magic.h and the file systems' own headers. */
const FILE_SYSTEMS: ReadonlyMap<number, FileSystem> = new Map([
  [0xef53, { name: 'ext2/3/4', kind: 'mapped', writesFasterFrom: [6, 16], isExact: true, isLocal: true }],
  [0x58465342, { name: 'XFS', kind: 'mapped', writesFasterFrom: [6, 6], isExact: true, isLocal: true }],
  [
    0x01021994,
    { name: 'tmpfs', kind: 'mapped', writesFasterFrom: [3, 0], hasNoDevice: true, isExact: true, isLocal: true },
  ],
  [0xf2f52010, { name: 'F2FS', kind: 'mapped', isLocal: true }],
  [0x3153464a, { name: 'JFS', kind: 'mapped', isLocal: true }],
  [0x9123683e, { name: 'Btrfs', kind: 'positional', isLocal: true }],
  [0x2fc12fc1, { name: 'ZFS', kind: 'positional', isLocal: true }],
  [0xca451a4e, { name: 'bcachefs', kind: 'positional', isLocal: true }],
  [0x794c7630, { name: 'overlayfs', kind: 'positional' }],
  [0x6969, { name: 'NFS', kind: 'positional' }],
  [0x517b, { name: 'SMB', kind: 'positional', makesUpInodes: true }],
  [0xff534d42, { name: 'CIFS', kind: 'positional', makesUpInodes: true }],
  [0xfe534d42, { name: 'SMB2', kind: 'positional', makesUpInodes: true }],
  [0x65735546, { name: 'FUSE', kind: 'positional', makesUpInodes: true }],
  [0x01021997, { name: '9p', kind: 'positional', makesUpInodes: true }],
  [0x00c36400, { name: 'Ceph', kind: 'positional' }],
  [0x4d44, { name: 'FAT', kind: 'positional', makesUpInodes: true }],
  [0x2011bab0, { name: 'exFAT', kind: 'positional', makesUpInodes: true }],
  [0x7366746e, { name: 'NTFS', kind: 'positional' }],
]);

export const UNKNOWN: FileSystem = { name: 'unknown', kind: 'positional', makesUpInodes: true };

/** The file system behind a magic number; virtiofs reports FUSE's. */
export function fileSystemOf(magic: number): FileSystem {
  // statfs(2) has it as a signed long on some machines.
  return FILE_SYSTEMS.get(magic >>> 0) ?? UNKNOWN;
}

/** True when this kernel ('6.18.44-amd64') takes whole pieces faster by write(2). */
export function isWrittenFaster({ writesFasterFrom }: FileSystem, kernel: string): boolean {
  if (writesFasterFrom === undefined) return false;
  const [major = 0, minor = 0] = kernel.split('.').map((part) => Number.parseInt(part, 10));
  return major > writesFasterFrom[0] || (major === writesFasterFrom[0] && minor >= writesFasterFrom[1]);
}
