/** Several runs of node's test runner at the same time, told as one: whole tests one after the other, and one sum. */
import { PassThrough, type Readable } from 'node:stream';

interface TestEvent {
  readonly type: string;
  readonly data: { readonly nesting?: number; readonly message?: string; readonly file?: string };
}

/** A run ends with its totals, which are of no file. */
const TOTAL = /^([a-z_]+) ([\d.]+)$/;
const ENDS: ReadonlySet<string> = new Set(['test:pass', 'test:fail']);

function totalOf({ type, data }: TestEvent): readonly [string, number] | null {
  if (type !== 'test:diagnostic' || data.nesting !== 0 || data.file !== undefined) return null;
  const [, name, figure] = TOTAL.exec(data.message ?? '') ?? [];
  return name === undefined ? null : [name, Number(figure)];
}

/** @param runs what `run()` of node:test gives, or streams of such events */
export function together(runs: readonly Readable[]): Readable {
  const all = new PassThrough({ objectMode: true });
  const totals = new Map<string, number>();
  let running = runs.length;
  const end = (): void => {
    for (const [name, figure] of totals)
      all.write({ type: 'test:diagnostic', data: { nesting: 0, message: `${name} ${figure}` } });
    all.end();
  };
  for (const run of runs) {
    let test: TestEvent[] = [];
    const tell = (): void => {
      for (const event of test) all.write(event);
      test = [];
    };
    run.on('data', (event: TestEvent) => {
      const [name, figure] = totalOf(event) ?? [];
      if (name !== undefined) {
        const before = totals.get(name) ?? 0;
        totals.set(name, name === 'duration_ms' ? Math.max(before, figure!) : before + figure!);
        return;
      }
      test.push(event);
      if (ENDS.has(event.type) && event.data.nesting === 0) tell();
    });
    run.once('end', () => {
      tell();
      if (--running === 0) end();
    });
  }
  return all;
}
