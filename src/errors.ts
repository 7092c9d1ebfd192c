/**
 * Operating errors: the closed union of what can go wrong outside the program.
 * Expected outcomes are values, broken invariants are assertions; everything between is a `HaulError`.
 */

export type ErrorCode =
  | 'BAD_BENCODE' // bytes are not canonical bencode, or exceed a limit
  | 'BAD_TORRENT' // bencode is fine, the torrent in it is not
  | 'BAD_ARGUMENT' // a command line or API argument
  | 'BAD_DATA' // data on disk does not match the torrent
  | 'BAD_RESUME' // resume file cannot be used
  | 'NOT_FOUND'
  | 'FILE_EXISTS' // a file that is not the torrent's is where one of the torrent's goes
  | 'NO_SPACE'
  | 'NO_PERMISSION'
  | 'NOT_A_DIRECTORY'
  | 'IO' // any other file system trouble
  | 'POOL' // no worker thread can be started, or a job ended each one that tried it
  | 'PORT_IN_USE'
  | 'IN_USE' // another process is writing there
  | 'NETWORK' // name lookup, connect, reset
  | 'TIMEOUT'
  | 'TRACKER' // tracker answered a failure or nonsense
  | 'HTTP' // fetching a .torrent failed
  | 'LIMIT' // a named limit of config.ts was reached
  | 'CLOSED' // the engine or torrent was closed
  | 'ABORTED'; // an AbortSignal fired

export type ErrorFacts = Readonly<Record<string, string | number | boolean>>;

/** One line that names what went wrong, where, and (in `facts`) the values a program may want. */
export class HaulError extends Error {
  override readonly name = 'HaulError';
  readonly code: ErrorCode;
  readonly facts: ErrorFacts;

  constructor(code: ErrorCode, message: string, facts: ErrorFacts = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.facts = facts;
  }
}

const ERRNO_CODES: Readonly<Record<string, ErrorCode>> = {
  ENOENT: 'NOT_FOUND',
  ENOSPC: 'NO_SPACE',
  EDQUOT: 'NO_SPACE',
  EFBIG: 'NO_SPACE',
  EACCES: 'NO_PERMISSION',
  EPERM: 'NO_PERMISSION',
  EROFS: 'NO_PERMISSION',
  ENOTDIR: 'NOT_A_DIRECTORY',
  EEXIST: 'NOT_A_DIRECTORY',
  EADDRINUSE: 'PORT_IN_USE',
};

const ERRNO_HINTS: Partial<Record<ErrorCode, string>> = {
  NOT_FOUND: 'no such file or folder',
  NO_SPACE: 'no space left on the device; free some or choose another folder',
  NO_PERMISSION: 'permission denied',
  NOT_A_DIRECTORY: 'a file is in the way of a folder',
  PORT_IN_USE: 'the port is in use; choose another one',
};

const ERRNO_DETAILS: Readonly<Record<string, string>> = {
  EADDRNOTAVAIL: 'this machine has no such address',
  ENOTFOUND: 'no such host',
};

/** `ELOOP: too many symbolic links encountered, stat '/x'` without the call and the path, which the message names already. */
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
  const detail = ERRNO_HINTS[code] ?? plainDetail(error);
  const facts: Record<string, string> = { operation, where };
  if (typeof errno === 'string') facts.errno = errno;
  return new HaulError(code, `${operation} ${where}: ${detail}`, facts, error);
}
