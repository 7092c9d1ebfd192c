import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import { SystemCallError } from '../../src/native/errno.js';
import { DirtyBudget } from '../../src/storage/dirty-budget.js';
import { WriteBack } from '../../src/storage/write-back.js';

const MIB = 1024 * 1024;

/** A device that answers when it is told to. */
class Device {
  readonly calls: { fd: number; beginMiB: number; lengthMiB: number; end: (error?: Error) => void }[] = [];
  held = 0;
  most = 0;

  readonly descriptors = {
    acquire: (files: readonly number[]): Promise<number[]> => {
      this.held += files.length;
      return Promise.resolve(files.map((file) => file + 100));
    },
    release: (files: readonly number[]): void => {
      this.held -= files.length;
    },
  };

  readonly write = (fd: number, begin: number, length: number): Promise<void> => {
    this.most = Math.max(this.most, this.calls.filter(({ end }) => end !== ended).length + 1);
    return new Promise((resolve, reject) => {
      const call = { fd, beginMiB: begin / MIB, lengthMiB: length / MIB, end: (_error?: Error): void => {} };
      call.end = (error) => {
        call.end = ended;
        if (error === undefined) resolve();
        else reject(error);
      };
      this.calls.push(call);
    });
  };

  writeBack(lagMiB: number, limitMiB: number, dirty = new DirtyBudget(limitMiB * MIB)): WriteBack {
    const { descriptors, write } = this;
    const path = (file: number): string => `file ${file}`;
    const options = { descriptors: () => descriptors, path, write };
    return new WriteBack({ ...options, lagBytes: lagMiB * MIB, dirty });
  }

  get begun(): string[] {
    return this.calls.map(({ fd, beginMiB, lengthMiB }) => `${fd}:${beginMiB}+${lengthMiB}`);
  }
}

const ended = (): void => {};
/** Lets every promise that can go on go on. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const piece = (beginMiB: number, lengthMiB = 1, file = 0) => [
  { file, beginBytes: beginMiB * MIB, lengthBytes: lengthMiB * MIB },
];

test('the newest bytes wait, older ones are written in the order they came, two at a time', async () => {
  const device = new Device();
  const writeBack = device.writeBack(2, 100);
  for (const at of [10, 20, 30, 40, 50, 60]) writeBack.add(piece(at));
  await settle();
  assert.deepEqual(device.begun, ['100:10+1', '100:20+1']);
  for (let next = 0; next < 4; next++) {
    device.calls[next]!.end();
    await settle();
  }
  assert.deepEqual(device.begun, ['100:10+1', '100:20+1', '100:30+1', '100:40+1']);
  assert.equal(device.most, 2);
  assert.equal(writeBack.dirtyBytes, 2 * MIB);
  assert.equal(device.held, 0);
});

test('neighbours become one range, up to 4 MiB; other files, gaps and slivers do not', async () => {
  const device = new Device();
  const writeBack = device.writeBack(0, 1000);
  // Two calls are under way: what is added now is put together.
  writeBack.add(piece(500));
  writeBack.add(piece(600));
  for (const at of [0, 1, 2, 3, 4]) writeBack.add(piece(at));
  writeBack.add(piece(5, 1, 1));
  writeBack.add(piece(7, 1, 1));
  writeBack.add(piece(9, 1 / 16, 1));
  for (let next = 0; next < device.calls.length || next < 6; next++) {
    await settle();
    device.calls[next]?.end();
  }
  await settle();
  assert.deepEqual(device.begun.slice(2), ['100:0+4', '100:4+1', '101:5+1', '101:7+1']);
  assert.equal(writeBack.dirtyBytes, 0);
});

test('at the limit it is full, and room is told once when the device has caught up', async () => {
  const device = new Device();
  const writeBack = device.writeBack(1, 3);
  let told = 0;
  writeBack.onRoom = () => told++;
  writeBack.add(piece(0));
  writeBack.add(piece(10));
  assert.equal(writeBack.isFull, false);
  writeBack.add(piece(20));
  assert.equal(writeBack.isFull, true);
  await settle();
  device.calls[0]!.end();
  await settle();
  assert.equal(writeBack.isFull, false);
  device.calls[1]!.end();
  await settle();
  assert.equal(told, 1);
});

test('what a sync takes is not written twice, and counts until the sync has ended', async () => {
  const device = new Device();
  const writeBack = device.writeBack(2, 3);
  let told = 0;
  writeBack.onRoom = () => told++;
  for (const at of [0, 10]) writeBack.add(piece(at));
  const syncEnded = writeBack.leaveToSync();
  writeBack.add(piece(20));
  assert.equal(writeBack.isFull, true);
  syncEnded();
  await settle();
  assert.equal(told, 1);
  assert.equal(writeBack.dirtyBytes, MIB);
  // Full as it was, it did not wait for the lag; of what the sync took nothing was written.
  assert.deepEqual(device.begun, ['100:20+1']);
});

test('a device that refuses is remembered, because a later sync would not hear of it', async () => {
  const device = new Device();
  const writeBack = device.writeBack(0, 1);
  let told = 0;
  writeBack.onRoom = () => told++;
  writeBack.add(piece(0));
  await settle();
  device.calls[0]!.end(new SystemCallError('sync_file_range', constants.errno.EIO));
  await settle();
  assert.match(writeBack.failure!.message, /^write file 0: /);
  assert.equal(writeBack.failure!.code, 'IO');
  // Nobody waits for room that would never come.
  assert.equal(told, 1);
  writeBack.add(piece(1));
  assert.equal(writeBack.isFull, false);
  assert.equal(device.held, 0);
});

test('room is told when a failure drops what waits, also while another call is under way', async () => {
  const device = new Device();
  const writeBack = device.writeBack(0, 4);
  let told = 0;
  writeBack.onRoom = () => told++;
  for (const at of [0, 10, 20, 30]) writeBack.add(piece(at));
  assert.equal(writeBack.isFull, true);
  await settle();
  device.calls[0]!.end(new SystemCallError('sync_file_range', constants.errno.EIO));
  await settle();
  assert.equal(told, 1);
  device.calls[1]!.end();
  await writeBack.close();
  assert.equal(told, 1);
});

test('where ranges cannot be written the kernel is left to pace, without a word', async () => {
  const device = new Device();
  const writeBack = device.writeBack(0, 1);
  writeBack.add(piece(0));
  await settle();
  device.calls[0]!.end(new SystemCallError('sync_file_range', constants.errno.ENOSYS));
  await settle();
  assert.equal(writeBack.failure, null);
  writeBack.add(piece(1));
  await settle();
  assert.equal(device.calls.length, 1);
  assert.equal(writeBack.isFull, false);
});

test('settled waits for the calls under way, so that their failure is known, and not for later ones', async () => {
  const device = new Device();
  const writeBack = device.writeBack(0, 100);
  for (const at of [0, 10, 20]) writeBack.add(piece(at));
  await settle();
  let failure: string | null = 'not settled';
  const settled = writeBack.settled().then(() => {
    failure = writeBack.failure?.code ?? null;
  });
  device.calls[0]!.end();
  await settle();
  assert.equal(device.calls.length, 3);
  assert.equal(failure, 'not settled');
  device.calls[1]!.end(new SystemCallError('sync_file_range', constants.errno.EIO));
  await settled;
  assert.equal(failure, 'IO');
  device.calls[2]!.end();
  await writeBack.close();
});

test('close waits for the calls under way and begins no other', async () => {
  const device = new Device();
  const writeBack = device.writeBack(0, 100);
  for (const at of [0, 10, 20]) writeBack.add(piece(at));
  await settle();
  let isClosed = false;
  const closed = writeBack.close().then(() => {
    isClosed = true;
  });
  device.calls[0]!.end();
  await settle();
  assert.equal(isClosed, false);
  device.calls[1]!.end();
  await closed;
  assert.equal(device.calls.length, 2);
});

test('a long download keeps a short list', async () => {
  const device = new Device();
  const writeBack = device.writeBack(0, 1e6);
  for (let at = 0; at < 5000; at++) writeBack.add(piece(at * 2));
  for (let next = 0; next < 5000; next++) {
    if (device.calls.length <= next) await settle();
    device.calls[next]!.end();
    await settle();
  }
  assert.equal(device.calls.length, 5000);
  assert.equal(writeBack.dirtyBytes, 0);
});

test('torrents share what may be dirty: one on a slow device does not hold up one below its even part', async () => {
  const dirty = new DirtyBudget(4 * MIB);
  const [slow, other] = [new Device(), new Device()];
  const [hog, small] = [slow.writeBack(0, 4, dirty), other.writeBack(100, 4, dirty)];
  for (const at of [10, 20, 30, 40]) hog.add(piece(at));
  assert.equal(hog.isFull, true);
  small.add(piece(10));
  assert.equal(small.isFull, false);
  small.add(piece(20));
  assert.equal(small.isFull, true, 'half of the limit is its even part');
  assert.equal(dirty.bytes, 6 * MIB);
  let told = 0;
  small.onRoom = () => told++;
  await settle();
  // What the other one wrote is room for this one too.
  for (let count = 0; count < 3; count++) {
    slow.calls.find(({ end }) => end !== ended)!.end();
    await settle();
  }
  assert.equal(dirty.bytes, 3 * MIB);
  assert.equal(told, 1);
  for (const device of [slow, other]) {
    for (let call = device.calls.find(({ end }) => end !== ended); call !== undefined; ) {
      call.end();
      await settle();
      call = device.calls.find(({ end }) => end !== ended);
    }
  }
  await Promise.all([hog.close(), small.close()]);
  assert.equal(dirty.bytes, 0);
});
