/** `--help` names every field of every line of `--json`, and no other: all commands run, and both are compared. */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { haul, type Line, makeFolder, start } from './harness.js';

/** Fields by type of line, as the help of a command has them. */
async function documented(command: string): Promise<Map<string, Set<string>>> {
  const text = (await haul(command, '--help')).stdout;
  // What is inside of a list is not compared.
  const stdout = text.slice(text.indexOf('Lines of --json')).replace(/\[[^\]]*\]/g, '');
  const types = new Map<string, Set<string>>();
  let fields = new Set<string>();
  for (const line of stdout.split('\n').slice(1)) {
    const [, type, rest] = /^ {2}(\S*) +(\S.*)$/.exec(line) ?? [];
    if (rest === undefined) continue;
    if (type !== '') {
      fields = new Set();
      types.set(type!, fields);
    }
    for (const field of rest.split(' ')) fields.add(field);
  }
  return types;
}

function namesOf(line: Line): string[] {
  return Object.keys(line).filter((name) => !['type', 'command', 'time'].includes(name));
}

async function compare(command: string, lines: readonly Line[], types: readonly string[]): Promise<void> {
  const known = await documented(command);
  for (const line of lines) {
    assert.match(String(line.time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    const fields = known.get(line.type);
    assert.ok(fields !== undefined, `haul ${command} --help does not name ${line.type}`);
    for (const name of namesOf(line)) assert.ok(fields.has(name), `haul ${command} --help: ${line.type} has ${name}`);
  }
  assert.ok(lines.length > 0);
  for (const type of types) {
    const seen = new Set(lines.filter((line) => line.type === type).flatMap(namesOf));
    const promised = [...known.get(type)!];
    assert.deepEqual(
      promised.filter((name) => !seen.has(name)),
      [],
      `haul ${command}: ${type} lacks what its help has`,
    );
  }
}

describe('the fields of --json', () => {
  it('are what --help says', async (context) => {
    const folder = await makeFolder(context);
    const [root, torrent] = [join(folder, 'tree'), join(folder, 'tree.torrent')];
    await mkdir(root);
    await writeFile(join(root, 'a'), 'abc');

    const created = await haul('create', root, '-o', torrent, '--json', '--tracker', 'http://127.0.0.1:9/announce');
    await compare('create', created.lines, ['progress', 'result']);
    await compare('inspect', (await haul('inspect', torrent, '--scrape', '--json')).lines, ['result']);
    await compare('verify', (await haul('verify', torrent, '--data', folder, '--json')).lines, ['progress', 'result']);
    const failed = await haul('verify', join(folder, 'none'), '--data', folder, '--json');
    await compare('verify', failed.lines, ['error']);

    const track = start(context, 'track', '--port', '0', '--json');
    await track.line((line) => line.type === 'listening');
    await compare('track', (await track.stop()).lines, ['listening', 'result']);

    const seed = start(context, 'seed', torrent, '--data', folder, '--port', '0', '--json');
    await seed.line((line) => line.type === 'listening');
    await seed.line((line) => line.type === 'warning');
    await compare('seed', (await seed.stop()).lines, ['listening', 'progress', 'result', 'warning']);

    const share = start(context, 'share', root, '--port', '0', '--http', '0', '--json');
    const { loopbackUrl } = await share.line((line) => line.type === 'listening');
    const output = join(folder, 'copy');
    const got = await start(context, 'get', String(loopbackUrl), '--output', output, '--port', '0', '--json').finished;
    assert.equal(got.exitCode, 0, got.stderr);
    const lost = await haul(
      'get',
      torrent,
      '--output',
      join(folder, 'none'),
      '--port',
      '0',
      '--timeout',
      '1s',
      '--json',
    );
    assert.equal(lost.exitCode, 3, lost.stderr);
    await compare('get', [...got.lines, ...lost.lines], ['progress', 'result', 'stopped', 'warning']);
    await compare('share', (await share.stop()).lines, ['listening', 'progress', 'result']);
  });
});
