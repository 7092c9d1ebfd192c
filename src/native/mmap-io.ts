/**
 * The vocabulary of the npm package mmap-io (map, unmap, advise, sync, incore, PROT_*, MAP_*, MADV_*, MS_*) over koffi:
 * 64-bit lengths and offsets, loadable in every thread, nothing to compile. native-notes.md says why not mmap-io
 * itself.
 *
 * Memory is named by its address, a plain number below 2^53, so that it can cross the thread border.
 * Invariant: importing this file loads nothing native; the first call does, and throws where `isSupported()` is false.
 * A view can not be detached: touching one after `unmap` is a segmentation fault. Only storage/ and the hash worker may
 * call this.
 */
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { SystemCallError } from './errno.js';

export const PROT_NONE = 0;
export const PROT_READ = 1;
export const PROT_WRITE = 2;

export const MAP_SHARED = 0x01;
export const MAP_PRIVATE = 0x02;
export const MAP_FIXED = 0x10;
export const MAP_ANONYMOUS = 0x20;
export const MAP_NORESERVE = 0x4000;

export const MADV_NORMAL = 0;
export const MADV_RANDOM = 1;
export const MADV_SEQUENTIAL = 2;
export const MADV_WILLNEED = 3;
export const MADV_DONTNEED = 4;
/** Linux 5.14: fault the range in now and report trouble as an errno, where a touch would be a SIGBUS. */
export const MADV_POPULATE_READ = 22;
export const MADV_POPULATE_WRITE = 23;

export const MS_ASYNC = 1;
export const MS_INVALIDATE = 2;
export const MS_SYNC = 4;

const FALLOC_FL_KEEP_SIZE = 1;

const SYNC_FILE_RANGE_WAIT_BEFORE = 1;
const SYNC_FILE_RANGE_WRITE = 2;
const SYNC_FILE_RANGE_WAIT_AFTER = 4;

const AT_FDCWD = -100;
const RENAME_NOREPLACE = 1;
const RENAME_EXCHANGE = 2;

const SC_PAGESIZE = 30;

type Call = (...args: (number | Uint8Array)[]) => number;
type AsyncCall = { async(...args: [...number[], (error: unknown, result: number) => void]): void };

type AsyncNameCall = {
  async(
    oldFd: number,
    oldPath: string,
    newFd: number,
    newPath: string,
    flags: number,
    done: (error: unknown, result: number) => void,
  ): void;
};

interface Native {
  readonly mmap: Call;
  readonly munmap: Call;
  readonly madvise: Call & AsyncCall;
  readonly msync: Call;
  readonly mincore: Call;
  readonly fallocate: AsyncCall;
  readonly fallocateNow: Call;
  readonly syncfs: AsyncCall;
  readonly syncFileRange: AsyncCall;
  /** Null: this libc has none. */
  readonly renameat2: AsyncNameCall | null;
  readonly view: (address: number, lengthBytes: number) => ArrayBuffer;
  readonly errno: () => number;
  readonly pageBytes: number;
}

let native: Native | null | undefined;
let trouble = 'it needs Linux';

function load(): Native | null {
  if (process.platform !== 'linux') return null;
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
    const libc = koffi.load(null);
    const fallocate = libc.func('int fallocate(int fd, int mode, int64_t offset, int64_t length)');
    return {
      mmap: libc.func('intptr_t mmap(uintptr_t address, size_t length, int prot, int flags, int fd, int64_t offset)'),
      munmap: libc.func('int munmap(uintptr_t address, size_t length)'),
      madvise: libc.func('int madvise(uintptr_t address, size_t length, int advice)') as unknown as Call & AsyncCall,
      msync: libc.func('int msync(uintptr_t address, size_t length, int flags)'),
      mincore: libc.func('int mincore(uintptr_t address, size_t length, _Out_ uint8_t *vec)'),
      fallocate: fallocate as unknown as AsyncCall,
      fallocateNow: fallocate,
      syncfs: libc.func('int syncfs(int fd)') as unknown as AsyncCall,
      syncFileRange: libc.func(
        'int sync_file_range(int fd, int64_t offset, int64_t length, unsigned int flags)',
      ) as unknown as AsyncCall,
      renameat2: findRenameat2(libc),
      view: (address, lengthBytes) => koffi.view(address, lengthBytes),
      errno: () => koffi.errno(),
      pageBytes: Number(libc.func('long sysconf(int name)')(SC_PAGESIZE)),
    };
  } catch (error) {
    trouble = `koffi could not be loaded: ${error instanceof Error ? error.message.split('\n', 1)[0] : String(error)}`;
    return null;
  }
}

/** glibc has it since 2.28, musl since 1.2.6. */
function findRenameat2(libc: { func(prototype: string): unknown }): AsyncNameCall | null {
  try {
    return libc.func(
      'int renameat2(int oldFd, const char *oldPath, int newFd, const char *newPath, unsigned int flags)',
    ) as AsyncNameCall;
  } catch {
    return null;
  }
}

function library(): Native {
  if (native === undefined) native = load();
  if (native === null) throw new Error(unsupportedText());
  return native;
}

/** True on Linux where koffi has a binary for this machine. */
export function isSupported(): boolean {
  if (native === undefined) native = load();
  return native !== null;
}

/** Why there is none, when `isSupported()` is false. */
export function unsupportedText(): string {
  return `memory mapping is not available on ${process.platform} ${process.arch}: ${trouble}`;
}

/** Bytes of a memory page: 4096 on x86-64, up to 65536 on others. */
export function pageSize(): number {
  return library().pageBytes;
}

/**
 * mmap(2). Returns the address of the mapping.
 * @param offsetBytes multiple of `pageSize()`.
 * @param address where, with MAP_FIXED; 0 lets the kernel choose.
 * @throws SystemCallError
 */
export function map(
  lengthBytes: number,
  protection: number,
  flags: number,
  fd: number,
  offsetBytes = 0,
  address = 0,
): number {
  const { mmap, errno } = library();
  const result = mmap(address, lengthBytes, protection, flags, fd, offsetBytes);
  if (result === -1) throw new SystemCallError('mmap', errno());
  return result;
}

/** munmap(2). No view of the range may be touched afterwards, in any thread. @throws SystemCallError */
export function unmap(address: number, lengthBytes: number): void {
  const { munmap, errno } = library();
  if (munmap(address, lengthBytes) !== 0) throw new SystemCallError('munmap', errno());
}

/**
 * An ArrayBuffer over mapped memory; below 4 GiB on Node 20. Costs up to half a millisecond: keep one per window and
 * thread.
 */
export function view(address: number, lengthBytes: number): ArrayBuffer {
  return library().view(address, lengthBytes);
}

/**
 * madvise(2). Returns 0 or the errno; a failed populate is an expected outcome.
 * @param address multiple of `pageSize()`.
 */
export function tryAdvise(address: number, lengthBytes: number, advice: number): number {
  const { madvise, errno } = library();
  return madvise(address, lengthBytes, advice) === 0 ? 0 : errno();
}

/** `tryAdvise` off the calling thread, for it may wait for a device. Rejects only where nothing can be called. */
export function adviseLater(address: number, lengthBytes: number, advice: number): Promise<number> {
  const { madvise, errno } = library();
  return new Promise((resolve, reject) => {
    madvise.async(address, lengthBytes, advice, (error, result) => {
      if (error) reject(error);
      else resolve(result === 0 ? 0 : errno());
    });
  });
}

/** madvise(2). @throws SystemCallError */
export function advise(address: number, lengthBytes: number, advice: number): void {
  const errno = tryAdvise(address, lengthBytes, advice);
  if (errno !== 0) throw new SystemCallError('madvise', errno);
}

/** msync(2). @throws SystemCallError */
export function sync(address: number, lengthBytes: number, flags: number = MS_SYNC): void {
  const { msync, errno } = library();
  if (msync(address, lengthBytes, flags) !== 0) throw new SystemCallError('msync', errno());
}

/** mincore(2): how many pages of the range are in memory and how many are not. @throws SystemCallError */
export function incore(address: number, lengthBytes: number): { readonly present: number; readonly absent: number } {
  const { mincore, errno, pageBytes } = library();
  const pages = new Uint8Array(Math.ceil(lengthBytes / pageBytes));
  if (mincore(address, lengthBytes, pages) !== 0) throw new SystemCallError('mincore', errno());
  let present = 0;
  for (const page of pages) present += page & 1;
  return { present, absent: pages.length - present };
}

/** One page each. */
const pageStates = new Uint8Array(4096);

/**
 * mincore(2): all of the range is in memory. False also when it cannot be told. The kernel says so of every page of a
 * file that we neither own nor may write: then it means nothing.
 */
export function isAllInCore(address: number, lengthBytes: number): boolean {
  const { mincore, pageBytes } = library();
  const first = address - (address % pageBytes);
  const count = Math.ceil((address + lengthBytes - first) / pageBytes);
  if (count > pageStates.length || mincore(first, count * pageBytes, pageStates) !== 0) return false;
  for (let page = 0; page < count; page++) if ((pageStates[page]! & 1) === 0) return false;
  return true;
}

function settle(syscall: string, call: AsyncCall, ...args: number[]): Promise<void> {
  const { errno } = library();
  return new Promise((resolve, reject) => {
    call.async(...args, (error, result) => {
      if (error) reject(error);
      else if (result !== 0) reject(new SystemCallError(syscall, errno()));
      else resolve();
    });
  });
}

/**
 * fallocate(2), mode 0: reserves the range and extends the file, keeping what is there; off the calling thread, because
 * tmpfs clears the pages meanwhile. Unlike posix_fallocate(3) it never writes: where the file system cannot,
 * EOPNOTSUPP.
 * @throws SystemCallError
 */
export function fallocate(fd: number, offsetBytes: number, lengthBytes: number): Promise<void> {
  return settle('fallocate', library().fallocate, fd, 0, offsetBytes, lengthBytes);
}

/**
 * On the calling thread, and the file stays as long as it is: one that was cut meanwhile must not look whole. Returns 0
 * or the errno.
 */
export function tryFallocate(fd: number, offsetBytes: number, lengthBytes: number): number {
  if (!isSupported()) return constants.errno.ENOSYS;
  const { fallocateNow, errno } = library();
  return fallocateNow(fd, FALLOC_FL_KEEP_SIZE, offsetBytes, lengthBytes) === 0 ? 0 : errno();
}

/** syncfs(2): forces the whole file system of `fd` to the device, off the calling thread. @throws SystemCallError */
export function syncFileSystem(fd: number): Promise<void> {
  return settle('syncfs', library().syncfs, fd);
}

/**
 * sync_file_range(2): writes the dirty pages of the range and waits for the device, off the calling thread. No
 * metadata, no flush of the device's cache: it is for pacing, not for durability. @throws SystemCallError
 */
export function writeRange(fd: number, offsetBytes: number, lengthBytes: number): Promise<void> {
  if (!isSupported()) return Promise.reject(new SystemCallError('sync_file_range', constants.errno.ENOSYS));
  const flags = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
  return settle('sync_file_range', library().syncFileRange, fd, offsetBytes, lengthBytes, flags);
}

/**
 * renameat2(2) with RENAME_EXCHANGE: two files change names in one step, off the calling thread. @throws
 * SystemCallError ENOSYS or EINVAL where that cannot be done
 */
export function exchangeNames(a: string, b: string): Promise<void> {
  return renameWith(RENAME_EXCHANGE, a, b);
}

/** renameat2(2) with RENAME_NOREPLACE: EEXIST where something has the new name. @throws SystemCallError as above */
export function renameToNew(from: string, to: string): Promise<void> {
  return renameWith(RENAME_NOREPLACE, from, to);
}

function renameWith(flags: number, from: string, to: string): Promise<void> {
  const call = isSupported() ? library().renameat2 : null;
  if (call === null) return Promise.reject(new SystemCallError('renameat2', constants.errno.ENOSYS));
  const { errno } = library();
  return new Promise((resolve, reject) => {
    call.async(AT_FDCWD, from, AT_FDCWD, to, flags, (error, result) => {
      if (error) reject(error);
      else if (result !== 0) reject(new SystemCallError('renameat2', errno()));
      else resolve();
    });
  });
}
