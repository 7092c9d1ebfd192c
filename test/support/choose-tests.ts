/** Which test files a person means by the words after `npm test --`. Pure. */

/**
 * @param files compiled test files below the folder of tests, with '/'
 * @param words parts of their paths; `test/` before and `.ts` behind may stand there, as in the path of the source
 */
export function chooseTests(files: readonly string[], words: readonly string[]): string[] {
  const parts = words.map((word) => word.replace(/^(?:\.\/)?test\//, '').replace(/\.[jt]s$/, ''));
  const isChosen = (file: string): boolean => parts.length === 0 || parts.some((part) => file.includes(part));
  return files.filter((file) => file.endsWith('.test.js') && isChosen(file)).sort();
}

/** Those that meet foreign programs, or a server that is late, wait most of their time. */
const WAITING = /^(?:interop\/|cli\/give-up|engine\/foreign|tracker\/foreign)/;

/** The same files so that one that waits runs beside others that compute, from the first to the last. */
export function spreadTests(files: readonly string[]): string[] {
  const waiting = files.filter((file) => WAITING.test(file));
  const spread = files.filter((file) => !WAITING.test(file));
  const each = Math.ceil((spread.length + 1) / (waiting.length + 1));
  // From the end on, so that places before stay where they are.
  for (let k = waiting.length - 1; k >= 0; k--) spread.splice(k * each, 0, waiting[k]!);
  return spread;
}
