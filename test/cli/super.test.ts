/** `--super`: the first push of an image. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { haul, makeFolder, start } from './harness.js';

const LENGTH_BYTES = 3_000_000;

describe('haul --super', () => {
  for (const command of ['seed', 'share'] as const) {
    it(`${command} sends one copy and says when every piece is in the swarm`, async (context) => {
      const folder = await makeFolder(context);
      const image = join(folder, 'image.bin');
      await writeFile(image, randomBytes(LENGTH_BYTES));
      const torrent = join(folder, 'image.torrent');
      await haul('create', image, '-o', torrent, '--piece-length', '256KiB');
      const source = command === 'seed' ? [torrent, '--data', folder] : [image, '--http', '0'];
      const seed = start(context, command, ...source, '--super', '--port', '0', '--json');
      const { port } = await seed.line((line) => line.type === 'listening');
      // The piece length that `share` chooses is another.
      const from =
        command === 'seed' ? [torrent, '--peer', `127.0.0.1:${port}`] : [String(seed.lines.at(-1)!.loopbackUrl)];
      const got = await start(context, 'get', ...from, '--output', join(folder, 'copy'), '--port', '0', '--json')
        .finished;
      assert.equal(got.exitCode, 0, got.stderr);
      assert.deepEqual(await readFile(join(folder, 'copy', 'image.bin')), await readFile(image));

      const spread = await seed.line((line) => line.type === 'spread');
      assert.equal(spread.lengthBytes, LENGTH_BYTES);
      // The last piece is on its way, or here.
      assert.ok(Number(spread.uploadedBytes) > LENGTH_BYTES / 2 && Number(spread.uploadedBytes) <= LENGTH_BYTES);
      assert.ok(Number(spread.seconds) > 0);
      const names = Object.keys(spread).filter((name) => !['type', 'command', 'time'].includes(name));
      const help = await haul(command, '--help');
      assert.match(help.stdout, new RegExp(`^ {2}spread +${names.join(' ')}$`, 'm'));
      assert.match(help.stdout, /\$ haul \S+ .*--super/);
    });
  }
});
