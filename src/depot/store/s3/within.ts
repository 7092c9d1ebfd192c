/** What the promise says, or this when it takes longer. */
export async function within<T>(timeMs: number, promise: Promise<T>, late: T): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<T>((resolve) => {
    timer = setTimeout(resolve, timeMs, late);
  });
  return Promise.race([promise, over]).finally(() => clearTimeout(timer));
}
