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

export interface Lane {
  readonly files: readonly string[];
  /** So many of them run at once. */
  readonly atOnce: number;
}

const AT_ONCE = 3;

/** Those that wait run one by one beside the others, which compute. */
export function lanesOf(files: readonly string[]): Lane[] {
  const waiting = files.filter((file) => WAITING.test(file));
  const others = files.filter((file) => !WAITING.test(file));
  const lanes = [
    { files: waiting, atOnce: others.length === 0 ? AT_ONCE : 1 },
    { files: others, atOnce: AT_ONCE },
  ];
  return lanes.filter((lane) => lane.files.length > 0);
}
