/** The bar on a real terminal that is narrow, and that is resized while the command runs. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { PACKAGE_ROOT } from '../../lab/root.js';
import { requirePrograms } from '../support/requirements.js';
import { haul, MAIN, makeFolder } from './harness.js';
import { Screen } from './screen.js';

/** What stands on the screen when `haul get` of what nobody has was interrupted, after these widths. */
async function screenOf(context: TestContext, widths: readonly number[]): Promise<Screen> {
  const folder = await makeFolder(context);
  const [image, torrent] = [join(folder, 'ubuntu-26.04-live-server-amd64.iso'), join(folder, 'x.torrent')];
  await writeFile(image, Buffer.alloc(3 << 20, 1));
  assert.equal((await haul('create', image, '-o', torrent)).exitCode, 0);
  const words = [process.execPath, MAIN, 'get', torrent, '-o', join(folder, 'copy'), '--port', '0'];
  const script = join(PACKAGE_ROOT, 'test/cli/on_terminal.py');
  const { status, stdout, stderr } = spawnSync('python3', [script, widths.join(','), 'downloading', ...words], {
    encoding: 'utf8',
    env: { ...process.env, TERM: 'xterm-256color', XTERM_VERSION: undefined, STY: undefined },
    timeout: 120_000,
  });
  assert.equal(status, 130, stderr);
  const screen = new Screen(widths[0]!);
  for (const [columns, text] of JSON.parse(stdout) as [number, string][]) {
    if (columns !== screen.columns) screen.resize(columns);
    screen.write(text.replaceAll('^C', ''));
  }
  return screen;
}

describe('the bar on a terminal', () => {
  for (const widths of [[50], [60], [80], [120, 80, 60, 50, 100]]) {
    it(`names the file in one row at ${widths.join(', then ')} columns`, async (context) => {
      if (await requirePrograms(context, ['python3'])) return;
      const { lines } = await screenOf(context, widths);
      const bars = lines.filter((line) => /^ (?:downloading|stopping) /.test(line));
      assert.equal(bars.length, 1, lines.join('\n'));
      assert.ok(bars[0]!.length < widths.at(-1)!);
      assert.match(bars[0]!, /^ stopping ubu\S*iso? .* 0\.0% /);
      // The rest is what was said meanwhile, and nothing of a bar.
      const rest = lines.filter((line) => line !== bars[0]).join('');
      assert.match(rest, /^haul: warning: .*haul: stopping; press Ctrl-C again to exit at once/);
      assert.doesNotMatch(rest, /[\u2588\u2591]|ubu|iso|peers? *--|B\/s/);
    });
  }
});
