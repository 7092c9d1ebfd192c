import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HaulError } from '../../src/errors.js';
import { untilFiles } from '../../src/torrent/until-files.js';

const SHORT = new HaulError('SYSTEM_LIMIT', 'open /data: too many open files', { errno: 'EMFILE' });

interface Outcome {
  readonly tries: number;
  readonly told: string;
  readonly result: string;
}

async function run(failures: readonly HaulError[], abort = false): Promise<Outcome> {
  const controller = new AbortController();
  const told: string[] = [];
  let tries = 0;
  const step = async (): Promise<string> => {
    const failure = failures[tries++];
    if (failure !== undefined) throw failure;
    return 'done';
  };
  const onPause = (error: HaulError | null): void => {
    told.push(error === null ? 'on' : 'pause');
    if (abort) controller.abort();
  };
  const result = await untilFiles(step, { signal: controller.signal, onPause, pausesMs: [0, 0, 0] }).catch(
    (error: HaulError) => error.code,
  );
  return { tries, told: told.join(' '), result };
}

test('a step is repeated while no file can be opened, and the pauses are told', async () => {
  assert.deepEqual(await run([SHORT, SHORT]), { tries: 3, told: 'pause on pause on', result: 'done' });
});

test('missing memory is waited for as well', async () => {
  const memory = new HaulError('SYSTEM_LIMIT', 'map /data: out of memory', { errno: 'ENOMEM' });
  assert.deepEqual(await run([memory]), { tries: 2, told: 'pause on', result: 'done' });
});

test('what does not pass is told in the end, and so is anything else at once', async () => {
  const many = Array.from({ length: 9 }, () => SHORT);
  assert.deepEqual(await run(many), { tries: 4, told: 'pause on pause on pause on', result: 'SYSTEM_LIMIT' });
  assert.deepEqual(await run([new HaulError('IO', 'x', { errno: 'EIO' })]), { tries: 1, told: '', result: 'IO' });
});

test('a stop ends the pause', async () => {
  assert.deepEqual(await run([SHORT, SHORT, SHORT], true), { tries: 2, told: 'pause on', result: 'SYSTEM_LIMIT' });
});
