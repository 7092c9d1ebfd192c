import assert from 'node:assert/strict';
import { describe, it, mock } from 'node:test';
import type { Torrent } from '../../src/api.js';
import { Output } from '../../src/cli/output.js';
import type { Stream } from '../../src/cli/progress.js';
import { Pace, RecentRate, type Sample, sampleText, torrentSampler } from '../../src/cli/sample.js';
import { HaulError } from '../../src/errors.js';

class Memory implements Stream {
  text = '';
  readonly isTTY: boolean;
  constructor(isTTY = false) {
    this.isTTY = isTTY;
  }
  write(text: string): boolean {
    this.text += text;
    return true;
  }
  get lines(): string[] {
    return this.text.split('\n').slice(0, -1);
  }
  get objects(): Record<string, unknown>[] {
    return this.lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  }
}

const TIME = '2026-01-02T03:04:05.678Z';

function open(options: { json?: boolean; verbose?: boolean; quiet?: boolean; isTTY?: boolean } = {}) {
  const stdout = new Memory();
  const stderr = new Memory(options.isTTY);
  const output = new Output({
    command: 'get',
    json: options.json === true,
    verbose: options.verbose === true,
    quiet: options.quiet === true,
    wallClockMs: () => Date.parse(TIME),
    stdout,
    stderr,
  });
  return { output, stdout, stderr };
}

const SAMPLE: Sample = { phase: 'checking', doneBytes: 250, totalBytes: 1000, bytesPerSec: 100, secondsLeft: 7.5 };

describe('output', () => {
  it('prints text for people and one object per line for machines', () => {
    const people = open();
    people.output.event('result', { size: 1 }, 'one\ntwo');
    assert.equal(people.stdout.text, 'one\ntwo\n');
    const machine = open({ json: true });
    machine.output.event('result', { size: 1, name: 'a\nb' }, 'one');
    assert.deepEqual(machine.stdout.objects, [{ type: 'result', command: 'get', time: TIME, size: 1, name: 'a\nb' }]);
    assert.equal(machine.stderr.text, '');
  });

  it('says an operating error in one line, with its code and facts for machines', () => {
    const { output, stdout, stderr } = open({ json: true });
    output.error(new HaulError('NOT_FOUND', 'open x\u001b: no such\nfile', { path: 'x' }));
    assert.deepEqual(stderr.lines, ['haul: open x\\u{1b}: no such\\u{a}file']);
    assert.deepEqual(stdout.objects, [
      {
        type: 'error',
        command: 'get',
        time: TIME,
        code: 'NOT_FOUND',
        message: 'open x\u001b: no such\nfile',
        facts: { path: 'x' },
      },
    ]);
  });

  it('shows a stack trace only when verbose', () => {
    const quiet = open();
    quiet.output.error(new TypeError('x is undefined'));
    assert.equal(quiet.stderr.lines.length, 1);
    assert.match(quiet.stderr.text, /^haul: internal error: x is undefined .*--verbose/);
    const verbose = open({ verbose: true });
    verbose.output.error(new TypeError('x is undefined'));
    assert.match(verbose.stderr.text, /\n {4}at /);
  });

  it('says the same warning once', () => {
    const { output, stderr } = open();
    output.warn('tracker is down');
    output.warn('tracker is down');
    output.warn('disk is slow');
    assert.deepEqual(stderr.lines, ['haul: warning: tracker is down', 'haul: warning: disk is slow']);
  });

  it('says results, warnings and errors only when quiet', () => {
    for (const json of [false, true]) {
      const { output, stdout, stderr } = open({ quiet: true, json });
      output.progress(() => SAMPLE).stop();
      output.note('waiting');
      assert.deepEqual([stdout.text, stderr.text], ['', '']);
      output.event('result', {}, 'done');
      output.warn('tracker is down');
      output.error(new HaulError('NOT_FOUND', 'open x: no such file'));
      assert.equal(stdout.lines.length, json ? 3 : 1);
      assert.equal(stderr.lines.length, json ? 1 : 2);
    }
  });

  it('logs to standard error only when verbose', () => {
    const quiet = open();
    quiet.output.log('info', 'hello');
    assert.equal(quiet.stderr.text, '');
    const verbose = open({ verbose: true });
    verbose.output.log('info', 'hello', { port: 1 });
    assert.equal(verbose.stderr.text, 'haul: info: hello port=1\n');
  });
});

describe('progress', () => {
  it('writes a line every ten seconds where there is no terminal, and one at the end', (context) => {
    mock.timers.enable({ apis: ['setInterval'] });
    context.after(() => mock.timers.reset());
    const { output, stderr } = open();
    let doneBytes = 0;
    const view = output.progress(() => ({ ...SAMPLE, doneBytes }));
    doneBytes = 250;
    mock.timers.tick(9_999);
    assert.deepEqual(stderr.lines, []);
    mock.timers.tick(1);
    assert.deepEqual(stderr.lines, ['haul: checking: 25.0%, 250 B of 1.0 kB, 100 B/s, 7.5 s left']);
    doneBytes = 1000;
    view.stop();
    view.stop();
    assert.equal(stderr.lines.length, 2);
    assert.equal(stderr.lines[1], 'haul: checking: 100.0%, 1.0 kB of 1.0 kB, 100 B/s');
    mock.timers.tick(60_000);
    assert.equal(stderr.lines.length, 2);
  });

  it('does not repeat a line when nothing has changed', (context) => {
    mock.timers.enable({ apis: ['setInterval'] });
    context.after(() => mock.timers.reset());
    const { output, stderr } = open();
    const view = output.progress(() => SAMPLE);
    mock.timers.tick(60_000);
    view.stop();
    assert.equal(stderr.lines.length, 1);
  });

  it('writes JSON objects with null for what is unknown', () => {
    const { output, stdout, stderr } = open({ json: true });
    output.progress(() => ({ ...SAMPLE, secondsLeft: Number.POSITIVE_INFINITY })).stop();
    assert.equal(stderr.text, '');
    assert.deepEqual(stdout.objects[0], {
      type: 'progress',
      command: 'get',
      time: TIME,
      phase: 'checking',
      doneBytes: 250,
      totalBytes: 1000,
      percent: 25,
      bytesPerSec: 100,
      secondsLeft: null,
    });
  });

  it('writes a JSON line a second while something moves, and one in ten seconds when nothing does', (context) => {
    mock.timers.enable({ apis: ['setInterval'] });
    context.after(() => mock.timers.reset());
    const { output, stdout } = open({ json: true });
    let doneBytes = 0;
    let bytesPerSec = 100;
    const view = output.progress(() => ({ ...SAMPLE, doneBytes, bytesPerSec }));
    for (doneBytes = 1; doneBytes <= 5; doneBytes++) mock.timers.tick(1000);
    assert.equal(stdout.lines.length, 6);
    doneBytes = 5;
    bytesPerSec = 0;
    mock.timers.tick(1000);
    assert.equal(stdout.lines.length, 7, 'the rate has fallen');
    mock.timers.tick(9000);
    assert.equal(stdout.lines.length, 7);
    mock.timers.tick(1000);
    assert.equal(stdout.lines.length, 8);
    mock.timers.tick(10_000);
    assert.equal(stdout.lines.length, 9);
    doneBytes = 6;
    mock.timers.tick(1000);
    assert.equal(stdout.lines.length, 10);
    view.stop();
    assert.equal(stdout.lines.length, 11, 'the last line always comes');
  });

  it('describes seeding by what is sent, since it has no end', () => {
    const text = sampleText({ phase: 'seeding', doneBytes: 5, totalBytes: 0, bytesPerSec: 2_000_000, secondsLeft: 0 });
    assert.equal(text, 'seeding: 2.0 MB/s up');
  });

  it('takes the rate of the last three seconds, and 0 when nothing has moved in them', () => {
    const rate = new RecentRate();
    assert.equal(rate.at(0, 0), 0);
    for (let second = 1; second <= 10; second++) rate.at(second * 100, second * 1000);
    assert.equal(rate.at(1100, 11_000), 100);
    assert.equal(rate.at(2100, 12_000), 400);
    for (let second = 13; second <= 14; second++) rate.at(2100, second * 1000);
    assert.equal(rate.at(2100, 15_000), 0);
    assert.equal(rate.at(0, 16_000), 0, 'a count that falls is no rate');
    const often = new RecentRate();
    for (let ms = 0; ms <= 20_000; ms += 200) often.at(Math.min(ms, 10_000), ms);
    assert.equal(often.at(10_000, 20_200), 0);
    const rarely = new RecentRate();
    rarely.at(0, 0);
    assert.equal(rarely.at(1000, 10_000), 100);
  });

  it('shows a torrent at the rate of the last three seconds, and no time left when it stands still', () => {
    let nowMs = 0;
    const stats = {
      state: 'downloading',
      lengthBytes: 1000,
      wantedBytes: 1000,
      verifiedBytes: 0,
      downloadedBytes: 0,
      uploadedBytes: 0,
      peers: 1,
      downloadBytesPerSec: 77,
      uploadBytesPerSec: 77,
      secondsLeft: 77,
    };
    const torrent = { metainfo: { name: 'a' }, stats: () => ({ ...stats }) } as unknown as Torrent;
    const sample = torrentSampler(torrent, 'complete', () => nowMs);
    sample();
    nowMs = 1000;
    stats.downloadedBytes = stats.verifiedBytes = 200;
    const { name, bytesPerSec, secondsLeft, torrent: shown } = sample();
    assert.deepEqual([name, bytesPerSec, secondsLeft], ['a', 200, 4]);
    assert.deepEqual([shown!.downloadBytesPerSec, shown!.uploadBytesPerSec], [200, 0]);
    nowMs = 4000;
    assert.deepEqual([sample().bytesPerSec, sample().secondsLeft], [0, Number.POSITIVE_INFINITY]);
  });

  it('estimates the time left from the last seconds', () => {
    let nowMs = 5000;
    const pace = new Pace(() => nowMs);
    assert.deepEqual(pace.at(0, 1100), { doneBytes: 0, bytesPerSec: 0, secondsLeft: Number.POSITIVE_INFINITY });
    nowMs = 7000;
    assert.deepEqual(pace.at(600, 1100), { doneBytes: 600, bytesPerSec: 300, secondsLeft: 500 / 300 });
    assert.equal(pace.at(1100, 1100).secondsLeft, 0);
  });

  it('ends a download at 100 percent, though the torrent seeds by then', () => {
    const stats = {
      state: 'seeding',
      lengthBytes: 1200,
      wantedBytes: 1000,
      verifiedBytes: 1000,
      peers: 2,
      uploadedBytes: 70,
      downloadedBytes: 0,
    };
    const torrent = { metainfo: { name: 'a' }, stats: () => stats } as unknown as Torrent;
    assert.equal(
      sampleText(torrentSampler(torrent, 'complete')()),
      'downloading: 100.0%, 1.0 kB of 1.0 kB, 0 B/s, 2 peers',
    );
    assert.equal(sampleText(torrentSampler(torrent, 'serve')()), 'seeding: 0 B/s up, 70 B sent, 2 peers');
  });
});
