/** The bar on a terminal, seen as a person sees it: through the screen it leaves. */
import assert from 'node:assert/strict';
import { describe, it, mock, type TestContext } from 'node:test';
import { Output, type Stream } from '../../src/cli/output.js';
import type { Sample } from '../../src/cli/sample.js';

/** Escape sequences and single characters. */
const ESC = '\u001b';
const PARTS = new RegExp(`${ESC}\\[[0-9;?]*[A-Za-z]|${ESC}.?|[^${ESC}]`, 'gsu');

/** As much of a terminal as one line at the bottom needs. Any other escape sequence is an error. */
class Screen implements Stream {
  readonly isTTY = true;
  readonly columns: number;
  readonly lines: string[] = [''];
  #column = 0;

  constructor(columns: number) {
    this.columns = columns;
  }

  write(text: string): boolean {
    for (const [part] of text.matchAll(PARTS)) this.#take(part);
    return true;
  }

  #take(part: string): void {
    const line = this.lines.at(-1)!;
    if (part === '\n') {
      this.lines.push('');
      this.#column = 0;
    } else if (part === '\r' || part === '\u001b[1G') this.#column = 0;
    else if (part === '\u001b[K' || part === '\u001b[0K')
      this.lines[this.lines.length - 1] = line.slice(0, this.#column);
    else if (part === '\u001b[2K') this.lines[this.lines.length - 1] = '';
    else if (part.startsWith('\u001b')) assert.fail(`the screen does not know ${JSON.stringify(part)}`);
    else if (this.#column === this.columns) {
      this.lines.push(part);
      this.#column = 1;
    } else {
      this.lines[this.lines.length - 1] =
        line.slice(0, this.#column).padEnd(this.#column) + part + line.slice(this.#column + 1);
      this.#column++;
    }
  }
}

const SAMPLE: Sample = { phase: 'preparing', doneBytes: 0, totalBytes: 1000, bytesPerSec: 0, secondsLeft: 7 };

function scene(context: TestContext, columns: number, isPlain = false) {
  mock.timers.enable({ apis: ['setInterval', 'setTimeout', 'Date'] });
  context.after(() => mock.timers.reset());
  const screen = new Screen(columns);
  const output = new Output({ command: 'x', json: false, verbose: false, isPlain, stdout: screen, stderr: screen });
  return { screen, output };
}

describe('the bar', () => {
  it('keeps below all text that comes meanwhile, and leaves no line of a phase that told nothing', (context) => {
    const { screen, output } = scene(context, 100);
    let sample = SAMPLE;
    const view = output.progress(() => sample);
    output.event('listening', {}, 'sharing a\ninfo-hash b\n\n  haul get c');
    sample = { ...SAMPLE, phase: 'seeding', doneBytes: 1000, totalBytes: 0, bytesPerSec: 5 };
    mock.timers.tick(200);
    output.warn('tracker down');
    mock.timers.tick(200);
    view.stop();
    output.event('result', {}, 'done');
    const [first, second, third, fourth, warning, bar, ...rest] = screen.lines;
    assert.deepEqual([first, second, third, fourth], ['sharing a', 'info-hash b', '', '  haul get c']);
    assert.equal(warning, 'haul: warning: tracker down');
    assert.match(bar!, /^ seeding .* 5 B\/s up/);
    assert.deepEqual(rest, ['done', '']);
  });

  it('is cut to a narrow terminal, where warnings still wrap', (context) => {
    const { screen, output } = scene(context, 40);
    const view = output.progress(() => ({ ...SAMPLE, phase: 'checking', doneBytes: 500 }));
    output.warn('x'.repeat(50));
    mock.timers.tick(200);
    view.stop();
    const [first, second, bar, ...rest] = screen.lines;
    assert.equal(`${first}${second}`, `haul: warning: ${'x'.repeat(50)}`);
    assert.match(bar!, /^ checking .* 50\.0%/);
    assert.ok(bar!.length <= 40);
    assert.deepEqual(rest, ['']);
  });

  it('is lines where the terminal knows no escape sequences', (context) => {
    const { screen, output } = scene(context, 80, true);
    const view = output.progress(() => ({ ...SAMPLE, phase: 'checking', doneBytes: 500 }));
    mock.timers.tick(10_000);
    view.stop();
    assert.equal(screen.lines[0], 'haul: checking: 50.0%, 500 B of 1.0 kB, 0 B/s, 7.0 s left');
  });
});
