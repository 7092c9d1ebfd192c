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
