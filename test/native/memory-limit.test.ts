import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryLimitBytes } from '../../src/native/memory-limit.js';
import { shareOpenFiles } from '../../src/native/open-files.js';

const GIB = 2 ** 30;
const MIB = 2 ** 20;

function limit(files: Readonly<Record<string, string>>): number {
  return memoryLimitBytes(16 * GIB, (path) => files[path] ?? null);
}

test('the memory is that of the container where it is less than the machine has', () => {
  assert.equal(limit({}), 16 * GIB);
  assert.equal(limit({ '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/memory.max': 'max\n' }), 16 * GIB);
  assert.equal(limit({ '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/memory.max': `${512 * MIB}\n` }), 512 * MIB);
});

test('the least of all groups on the way up counts', () => {
  const files = {
    '/proc/self/cgroup': '0::/system.slice/haul.service\n',
    '/sys/fs/cgroup/system.slice/haul.service/memory.max': `${4 * GIB}\n`,
    '/sys/fs/cgroup/system.slice/memory.max': `${2 * GIB}\n`,
  };
  assert.equal(limit(files), 2 * GIB);
});

test('version 1 has another name, and a huge number for none', () => {
  const groups = { '/proc/self/cgroup': '9:cpu,cpuacct:/x\n4:memory:/jobs/7\n0::/\n' };
  const root = '/sys/fs/cgroup/memory';
  assert.equal(limit({ ...groups, [`${root}/jobs/7/memory.limit_in_bytes`]: '9223372036854771712\n' }), 16 * GIB);
  assert.equal(limit({ ...groups, [`${root}/jobs/7/memory.limit_in_bytes`]: `${GIB}\n` }), GIB);
  assert.equal(limit({ ...groups, [`${root}/memory.limit_in_bytes`]: `${3 * GIB}\n` }), 3 * GIB);
});

test('tables are as large as asked for where files are many, and shrink with the limit, threads included', () => {
  const wanted = { threads: 63, connections: 4000, files: 256 };
  assert.deepEqual(shareOpenFiles(Number.POSITIVE_INFINITY, wanted), wanted);
  assert.deepEqual(shareOpenFiles(1_048_576, wanted), wanted);
  for (const files of [64, 100, 256, 1024, 4096]) {
    const share = shareOpenFiles(files, wanted);
    assert.ok(share.threads >= 1 && share.connections >= 4 && share.files >= 4);
    assert.ok(40 + share.threads * 4 + share.connections + share.files <= files, `${files} ${JSON.stringify(share)}`);
  }
});
