/**
 * Runs `body` for every item, a few at a time. The first failure stops new ones; it is thrown when those under way have
 * ended.
 */
export async function forEachConcurrently<T>(
  items: readonly T[],
  atOnce: number,
  body: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  let failure: { readonly error: unknown } | null = null;
  const lane = async (): Promise<void> => {
    while (next < items.length && failure === null) {
      const item = items[next++]!;
      try {
        await body(item);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, lane));
  const ended = failure as { readonly error: unknown } | null;
  if (ended !== null) throw ended.error;
}
