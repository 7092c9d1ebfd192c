/** What is on disk before a download or a seed begins, with somebody who writes meanwhile. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { recheckFiles } from '../../src/content/recheck.js';
import { Bitfield } from '../../src/metainfo/bitfield.js';
import { openStorage } from '../../src/storage/open.js';
import { loadResume } from '../../src/storage/resume.js';
import { stampFiles } from '../../src/storage/stamp-files.js';
import type { Content } from '../../src/torrent/content.js';
import { OnDisk } from '../../src/torrent/on-disk.js';
import { createWorkPool } from '../../src/work/pool.js';
import { type DataSet, fileSet } from '../support/engines.js';

const MIB = 1024 * 1024;

/** @param afterCheck called when a check has ended, with the number of checks until then */
async function open(
  scope: Scope,
  set: DataSet,
  isSeed: boolean,
  afterCheck: (checks: number) => void,
): Promise<Bitfield> {
  const pool = createWorkPool({ threads: 1 });
  scope.defer(() => pool.close());
  const { metainfo, folder: output } = set;
  let checks = 0;
  const content: Partial<Content> = {
    stamp: () => stampFiles(metainfo, output, null),
    loadResume: () => loadResume(metainfo, output, null),
    sync: async () => {},
    open: (forWriting) => openStorage({ metainfo, output, pool, kind: 'auto', forWriting }),
    recheck: async (options) => {
      const { good } = await recheckFiles(metainfo, output, pool, { ...options, selection: null });
      afterCheck(++checks);
      return good;
    },
  };
  const have = new Bitfield(metainfo.geometry.pieceCount);
  const storage = await new OnDisk({
    metainfo,
    output,
    selection: null,
    wantedPieces: have.bitCount,
    have,
    content: content as Content,
    environment: { random: () => 0.5, log: () => {} },
    isSeed,
    trustsData: false,
    hashed: null,
    overwrites: false,
    signal: new AbortController().signal,
    onChecking: () => {},
    onChecked: () => {},
  }).open();
  await storage!.close();
  return have;
}

function spoil(file: string): void {
  const fd = fs.openSync(file, 'r+');
  fs.writeSync(fd, Buffer.alloc(1000, 'other'), 0, 1000, MIB + 5);
  fs.closeSync(fd);
}

test('a file that is written while it is checked is checked again: what was good may not be any more', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 4 * MIB, { pieceLengthBytes: MIB });
  const have = await open(scope, set, false, (checks) => {
    if (checks === 1) spoil(set.path);
  });
  assert.deepEqual([...have.bytes], [0b10110000]);
});

test('a seed whose file is written while it is checked is not begun over bad bytes', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 4 * MIB, { pieceLengthBytes: MIB });
  const opened = open(scope, set, true, (checks) => {
    if (checks === 1) spoil(set.path);
  });
  await assert.rejects(opened, /1 of 4 pieces in .* are missing or bad/);
});

test('a file that is written all the time is told after some tries', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 4 * MIB, { pieceLengthBytes: MIB });
  let writes = 0;
  const opened = open(scope, set, false, () => fs.utimesSync(set.path, 1, 2 + ++writes));
  await assert.rejects(opened, /files of image.bin are being replaced or written while they are checked/);
});
