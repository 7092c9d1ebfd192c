/**
 * Wall and CPU time of a program run to its end, or of work in this process; all threads, and the children of the
 * program.
 */
import { execFile } from 'node:child_process';
import { performance } from 'node:perf_hooks';

export interface Timed {
  readonly seconds: number;
  readonly cpuSeconds: number;
}

/** The shell prints what its children have used: `times` is in POSIX, GNU time is not on every machine. */
const WITH_TIMES = '"$@"; code=$?; times >&2; exit $code';
/** "0m1.234s 0m0.567s", in the last line: the children, user and system. */
const TIMES = /(\d+)m([\d.]+)s (\d+)m([\d.]+)s\s*$/;

/** Where it is set, Node reads all certificates of the machine before its first line: 50 ms for nothing. */
const CERTIFICATES = 'NODE_EXTRA_CA_CERTS';

/** For a bench whose children are started by others than `timedCommand`. */
export function withoutMachineCertificates(): void {
  delete process.env[CERTIFICATES];
}

/** Starts a program, waits for its end. @throws with what it said when it fails. */
export function timedCommand(words: readonly string[], cwd?: string): Promise<Timed & { output: string }> {
  const { [CERTIFICATES]: _, ...env } = process.env;
  const begin = performance.now();
  return new Promise((resolve, reject) => {
    const args = ['-c', WITH_TIMES, 'sh', ...words];
    execFile('/bin/sh', args, { cwd, env, maxBuffer: 64 * 2 ** 20 }, (error, stdout, stderr) => {
      const seconds = (performance.now() - begin) / 1000;
      const used = TIMES.exec(stderr);
      if (error !== null || used === null) reject(new Error(`${words.join(' ')}: ${error?.message}\n${stderr}`));
      else {
        const cpuSeconds = Number(used[1]) * 60 + Number(used[2]) + Number(used[3]) * 60 + Number(used[4]);
        resolve({ seconds, cpuSeconds, output: stdout });
      }
    });
  });
}

export async function timedHere<T>(work: () => Promise<T>): Promise<Timed & { value: T }> {
  const before = process.cpuUsage();
  const begin = performance.now();
  const value = await work();
  const seconds = (performance.now() - begin) / 1000;
  const { user, system } = process.cpuUsage(before);
  return { seconds, cpuSeconds: (user + system) / 1e6, value };
}
