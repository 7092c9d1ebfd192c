/** Errors of the system by their names. */

export function isOneOf(error: unknown, codes: readonly string[]): boolean {
  return codes.includes(String((error as { code?: unknown } | null)?.code));
}

export function passOver(code: string): (error: unknown) => null {
  return (error) => {
    if (isOneOf(error, [code])) return null;
    throw error;
  };
}
