/**
 * Operating errors: the closed union of what can go wrong outside the program.
 * Expected outcomes are values, broken invariants are assertions; everything between is a `HaulError`.
 */

/** What went wrong, of a closed set. */
export type ErrorCode =
  | 'BAD_BENCODE' // bytes are not canonical bencode, or exceed a limit
  | 'BAD_TORRENT' // bencode is fine, the torrent in it is not
  | 'BAD_ARGUMENT' // a command line or API argument
  | 'BAD_DATA' // data on disk does not match the torrent
  | 'MISMATCH' // the torrent or the file has another hash than the one that was given for it
  | 'BAD_RESUME' // resume file cannot be used
  | 'NOT_FOUND'
  | 'FILE_EXISTS' // a file that is not the torrent's is where one of the torrent's goes
  | 'NO_SPACE'
  | 'NO_PERMISSION'
  | 'NOT_A_DIRECTORY'
  | 'IO' // any other file system trouble
  | 'POOL' // no worker thread can be started, or a job ended each one that tried it
  | 'READ_ONLY' // the file system is mounted read-only
  | 'SYSTEM_LIMIT' // a limit of the process or the machine: open files, memory, threads, size of a file
  | 'PORT_IN_USE'
  | 'IN_USE' // another process is writing there
  | 'NETWORK' // name lookup, connect, reset
  | 'TIMEOUT'
  | 'TRACKER' // tracker answered a failure or nonsense
  | 'HTTP' // fetching a .torrent failed
  | 'LIMIT' // a named limit of config.ts was reached
  | 'CLOSED' // the engine or torrent was closed
  | 'ABORTED'; // an AbortSignal fired

/** Values that a program may want, by name. */
export type ErrorFacts = Readonly<Record<string, string | number | boolean>>;

/** Known to every copy of this package in a process: two versions side by side have two classes. */
const BRAND = Symbol.for('swarmhaul.HaulError');

/**
 * The one error of this package: a line that names what went wrong and where, a code of a closed set, and (in `facts`)
 * the values a program may want. `instanceof` and `HaulError.is` hold for those of other copies of the package too.
 */
export class HaulError extends Error {
  override readonly name = 'HaulError';
  readonly code: ErrorCode;
  /** Which of them there are depends on the code; `facts.option` names the option of a BAD_ARGUMENT. */
  readonly facts: ErrorFacts;

  /**
   * @param message one line
   * @param cause what was thrown below, if anything
   */
  constructor(code: ErrorCode, message: string, facts: ErrorFacts = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.facts = facts;
  }

  /** Whether something that was thrown is a `HaulError`, of this or another copy of the package. */
  static is(error: unknown): error is HaulError {
    return typeof error === 'object' && error !== null && (error as { [BRAND]?: unknown })[BRAND] === true;
  }

  /** `instanceof` asks for the brand, not for the class. */
  static override [Symbol.hasInstance](error: unknown): error is HaulError {
    return HaulError.is(error);
  }
}
Object.defineProperty(HaulError.prototype, BRAND, { value: true });

const ERRNO_CODES: Readonly<Record<string, ErrorCode>> = {
  ENOENT: 'NOT_FOUND',
  ENOSPC: 'NO_SPACE',
  EDQUOT: 'NO_SPACE',
  EFBIG: 'SYSTEM_LIMIT',
  EMFILE: 'SYSTEM_LIMIT',
  ENFILE: 'SYSTEM_LIMIT',
  ENOMEM: 'SYSTEM_LIMIT',
  EACCES: 'NO_PERMISSION',
  EPERM: 'NO_PERMISSION',
  EROFS: 'READ_ONLY',
  ENOTDIR: 'NOT_A_DIRECTORY',
  EEXIST: 'NOT_A_DIRECTORY',
  EADDRINUSE: 'PORT_IN_USE',
};

const ERRNO_HINTS: Partial<Record<ErrorCode, string>> = {
  NOT_FOUND: 'no such file or folder',
  NO_SPACE: 'no space left on the device; free some or choose another folder',
  NO_PERMISSION: 'permission denied',
  NOT_A_DIRECTORY: 'a file is in the way of a folder',
  READ_ONLY: 'the file system is read-only; mount it writable or choose another folder',
  PORT_IN_USE: 'the port is in use; choose another one',
};

const ERRNO_DETAILS: Readonly<Record<string, string>> = {
  EMFILE: 'this process has too many open files; raise the limit with: ulimit -n 1024',
  ENFILE: 'the machine has too many open files; close some programs or raise fs.file-max',
  ENOMEM:
    'out of memory, or of the mappings a process may have; ' +
    'see ulimit -v, vm.max_map_count and the limit of the container',
  EFBIG: 'the file may not become that large; raise the limit (ulimit -f), or choose a file system for larger files',
  EADDRNOTAVAIL: 'this machine has no such address',
  ENOTFOUND: 'no such host',
};

/** EPERM of one of these is about the file: permissions that are missing are EACCES. */
const FILE_CALLS: ReadonlySet<unknown> = new Set(
  'open mkdir rename unlink rmdir symlink link chmod ftruncate truncate fallocate copyfile'.split(' '),
);
const IMMUTABLE_HINT =
  'not permitted; if it or its folder is immutable or append-only (see lsattr), chattr -i or chattr -a lifts that';

/**
 * `ELOOP: too many symbolic links encountered, stat '/x'` without the call and the path, which the message names
 * already.
 */
function plainDetail(error: unknown): string {
  const known = ERRNO_DETAILS[String((error as { code?: unknown } | null)?.code)];
  if (known !== undefined) return known;
  const message = error instanceof Error ? error.message : String(error);
  return /^[A-Z0-9]+: (.+?), [a-z]+(?: '.*)?$/s.exec(message)?.[1] ?? message;
}

/** Turns a Node.js system error into a `HaulError` that names the operation and the path or address. */
export function fromSystemError(error: unknown, operation: string, where: string): HaulError {
  if (error instanceof HaulError) return error;
  const errno = (error as { code?: unknown }).code;
  const code = (typeof errno === 'string' ? ERRNO_CODES[errno] : undefined) ?? 'IO';
  const isFixed = errno === 'EPERM' && FILE_CALLS.has((error as { syscall?: unknown }).syscall);
  const detail = isFixed ? IMMUTABLE_HINT : (ERRNO_HINTS[code] ?? plainDetail(error));
  const facts: Record<string, string> = { operation, where };
  if (typeof errno === 'string') facts.errno = errno;
  return new HaulError(code, `${operation} ${where}: ${detail}`, facts, error);
}

const THREADS_HINT =
  'no more threads can be started; raise the limit of processes (ulimit -u, or pids.max of the container)';
const WASM_HINT =
  'the address space is limited (ulimit -v) and WebAssembly reserves 10 GB of it; raise the limit to 16 GB, ' +
  'or set NODE_OPTIONS=--disable-wasm-trap-handler';

/**
 * Limits of the system that show where no operation of ours is under way: while modules load, in libraries. Null for
 * anything else.
 */
export function asSystemLimit(error: unknown): HaulError | null {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  const errno = String(code);
  if (/allocate Wasm memory|Wasm.*Out of memory|WebAssembly.*Out of memory/i.test(String(message))) {
    return new HaulError('SYSTEM_LIMIT', WASM_HINT, { resource: 'address space' }, error);
  }
  if (errno === 'ERR_WORKER_INIT_FAILED' || errno === 'EAGAIN') {
    return new HaulError('SYSTEM_LIMIT', THREADS_HINT, { resource: 'threads' }, error);
  }
  if (ERRNO_CODES[errno] !== 'SYSTEM_LIMIT') return null;
  return new HaulError('SYSTEM_LIMIT', ERRNO_DETAILS[errno]!, { errno }, error);
}
