/** Errors of the system by their names. */

/** A file system has no hard links, not between these two places, or not so many of one file. */
export const CANNOT_LINK: readonly string[] = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK', 'EXDEV'];

export function isOneOf(error: unknown, codes: readonly string[]): boolean {
  return codes.includes(String((error as { code?: unknown } | null)?.code));
}

export function passOver(code: string): (error: unknown) => null {
  return (error) => {
    if (isOneOf(error, [code])) return null;
    throw error;
  };
}
