/** `haul get` over files that are not its own, as a person meets it. */
import assert from 'node:assert/strict';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { it } from 'node:test';
import { seededBytes } from '../../lab/data.js';
import { haul, makeFolder, start } from './harness.js';

it('haul get leaves somebody else’s file alone, says so in a line, and overwrites it with --force', async (context) => {
  const folder = await makeFolder(context);
  const image = seededBytes('image', 700_000);
  await writeFile(join(folder, 'img2'), image);
  const sharer = start(context, 'share', join(folder, 'img2'), '--port', '0', '--http', '0', '--json');
  const { loopbackUrl } = await sharer.line((line) => line.type === 'listening');
  const output = join(folder, 'ow');
  await mkdir(output);
  for (const precious of ['precious\n', 'x'.repeat(700_000), 'y'.repeat(900_000)]) {
    await writeFile(join(output, 'img2'), precious);
    const args = ['get', String(loopbackUrl), '--output', output, '--port', '0', '--json'];
    const refused = await haul(...args);
    assert.equal(refused.exitCode, 1);
    assert.equal(refused.lines.at(-1)!.code, 'FILE_EXISTS');
    assert.equal(
      refused.stderr,
      `haul: ${output}/img2 is there and holds nothing of this torrent; ` +
        '--force overwrites it, or choose another --output\n',
    );
    assert.equal(await readFile(join(output, 'img2'), 'utf8'), precious);
    const forced = await haul(...args, '--force');
    assert.equal(forced.exitCode, 0, forced.stderr);
    assert.ok(image.equals(await readFile(join(output, 'img2'))));
    await haul('get', String(loopbackUrl), '--output', output, '--port', '0').then(({ stdout }) =>
      assert.match(stdout, /already complete/),
    );
    // With its record, so that the next is somebody else's again.
    await rm(output, { recursive: true });
    await mkdir(output);
  }
});
