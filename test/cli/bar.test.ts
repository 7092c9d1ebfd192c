/** The bar on a terminal, seen as a person sees it: through the screen it leaves. */
import assert from 'node:assert/strict';
import { describe, it, mock, type TestContext } from 'node:test';
import { cellsOf } from '../../src/cli/format.js';
import { Output } from '../../src/cli/output.js';
import type { Sample } from '../../src/cli/sample.js';
import { reflows } from '../../src/cli/terminal.js';
import { Screen } from './screen.js';

const SAMPLE: Sample = { phase: 'preparing', doneBytes: 0, totalBytes: 1000, bytesPerSec: 0, secondsLeft: 7 };

const LARGE = { doneBytes: 3_000_000_000, totalBytes: 9_500_000_000, bytesPerSec: 30_100_000, secondsLeft: 200 };

function scene(context: TestContext, columns: number, isPlain = false, isReflowing = true) {
  mock.timers.enable({ apis: ['setInterval', 'setTimeout', 'Date'] });
  context.after(() => mock.timers.reset());
  const screen = new Screen(columns);
  const streams = { stdout: screen, stderr: screen };
  const output = new Output({ command: 'x', json: false, verbose: false, isPlain, isReflowing, ...streams });
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

  it('names what is worked on, and takes one row of any terminal', (context) => {
    for (const columns of [50, 60, 80, 120]) {
      for (const name of ['image.iso', 'ubuntu-26.04-live-server-amd64-with-a-long-name.iso', '文件'.repeat(20)]) {
        const { screen, output } = scene(context, columns);
        let sample: Sample = { ...SAMPLE, ...LARGE, name, phase: 'downloading' };
        const view = output.progress(() => sample);
        for (let tick = 0; tick < 5; tick++) {
          sample = { ...sample, doneBytes: sample.doneBytes + 123_456_789, secondsLeft: 3599 - tick };
          mock.timers.tick(200);
        }
        view.stop();
        const [bar, ...rest] = screen.lines;
        assert.deepEqual(rest, [''], `${columns} ${name}`);
        assert.ok(cellsOf(bar!) < columns, bar);
        assert.match(bar!, new RegExp(`^ downloading ${name.slice(0, 1)}`), bar);
        assert.match(bar!, / 3[0-9]\.\d% .* 30\.1 MB\/s/);
        if (columns >= 60) assert.match(bar!, /59 min 5\d s left$/);
        if (columns >= 60 && name.endsWith('long-name.iso')) assert.match(bar!, /….*iso /);
        mock.timers.reset();
      }
    }
  });

  it('is drawn as for 80 columns where the terminal says that it has none', (context) => {
    mock.timers.enable({ apis: ['setInterval', 'setTimeout', 'Date'] });
    context.after(() => mock.timers.reset());
    const screen = new Screen(80);
    const listeners: (() => void)[] = [];
    const stream = {
      isTTY: true,
      columns: 0,
      write: (text: string) => screen.write(text),
      on: (_event: 'resize', listener: () => void) => listeners.push(listener),
      off: () => {},
    };
    const output = new Output({ command: 'x', json: false, verbose: false, stdout: stream, stderr: stream });
    const view = output.progress(() => ({ ...SAMPLE, ...LARGE, name: 'image.iso', phase: 'downloading' }));
    mock.timers.tick(200);
    for (const listener of listeners) listener();
    mock.timers.tick(200);
    view.stop();
    const [bar, ...rest] = screen.lines;
    assert.match(bar!, /^ downloading image\.iso .* 31\.5% .* 30\.1 MB\/s .*left$/);
    assert.ok(cellsOf(bar!) < 80);
    assert.deepEqual([listeners.length, ...rest], [1, '']);
  });

  it('leaves nothing behind when the window is resized', (context) => {
    const { screen, output } = scene(context, 120);
    output.event('listening', {}, 'x'.repeat(100));
    const view = output.progress(() => ({ ...SAMPLE, ...LARGE, name: 'image.iso', phase: 'downloading' }));
    for (const columns of [80, 50, 60, 30, 100, 50, 120]) {
      screen.resize(columns);
      mock.timers.tick(200);
      const bars = screen.lines.filter((line) => line.includes('downloading'));
      assert.equal(bars.length, 1, screen.lines.join('|'));
      assert.ok(bars[0]!.length < columns);
      assert.equal(screen.lines.join('').replace(bars[0]!, ''), 'x'.repeat(100));
    }
    view.stop();
    assert.equal(screen.lines.length, 3);
    assert.equal(screen.listenerCount, 0);
  });

  it('touches no row above it where the terminal cuts long lines off', (context) => {
    const { screen, output } = scene(context, 100, false, false);
    output.event('listening', {}, 'above');
    const view = output.progress(() => ({ ...SAMPLE, ...LARGE, name: 'image.iso', phase: 'downloading' }));
    screen.resize(50, false);
    mock.timers.tick(200);
    view.stop();
    assert.deepEqual([screen.lines.length, screen.lines[0]], [3, 'above']);
    assert.equal(reflows({ TERM: 'xterm-256color', XTERM_VERSION: 'XTerm(390)' }), false);
    assert.equal(reflows({ TERM: 'xterm-256color' }), true);
  });

  it('is lines where the terminal knows no escape sequences', (context) => {
    const { screen, output } = scene(context, 80, true);
    const view = output.progress(() => ({ ...SAMPLE, phase: 'checking', doneBytes: 500 }));
    mock.timers.tick(10_000);
    view.stop();
    assert.equal(screen.lines[0], 'haul: checking: 50.0%, 500 B of 1.0 kB, 0 B/s, 7.0 s left');
  });
});
