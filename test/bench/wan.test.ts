/**
 * The link of the wan bench does what it says: delay, rate, queue, loss and lateness, and the same for the same dice.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { compileLink, type LinkShape, linkMissing, openLink, type WanLink } from '../../bench/support/wan/link.js';
import { rowNamed } from '../../bench/support/wan/rows.js';
import { startChild } from '../../lab/child.js';
import { Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { ValueError } from '../../src/cli/values.js';
import { skipWithout } from '../support/requirements.js';

const PORT = 7000;
/** Small ones, so that a socket holds them all when its reader is late. */
const COUNT = 100;
const DATAGRAM_BYTES = 200;
/** Of IP and UDP. */
const HEADER_BYTES = 28;
const LAST = 0xffffffff;

/** Number, time sent, time received, ms. */
type Seen = readonly [number, number, number];

/**
 * Prints, as JSON, number, time sent and time received (ms) of each datagram that comes, until one has the last number.
 */
const RECEIVER = `
const socket = require('node:dgram').createSocket('udp4');
const seen = [];
socket.on('message', (message) => {
  const number = message.readUInt32BE(0);
  if (number === ${LAST}) { console.log(JSON.stringify(seen)); process.exit(0); }
  seen.push([number, Number(message.readBigUInt64BE(4)) / 1e6, Number(process.hrtime.bigint()) / 1e6]);
});
socket.bind({ port: ${PORT}, address: process.argv[1] }, () => {
  socket.setRecvBufferSize(4194304);
  console.log('bound');
});
`;
/** All at once, and then the last number until it is stopped. */
const SENDER = `
const [host, count, length] = [process.argv[1], ...process.argv.slice(2).map(Number)];
const socket = require('node:dgram').createSocket('udp4');
socket.connect(${PORT}, host, () => {
  socket.setSendBufferSize(4194304);
  for (let number = 0; number < count; number++) send(number, length);
  setInterval(() => send(${LAST}, 12), 50);
});
function send(number, length) {
  const message = Buffer.alloc(length);
  message.writeUInt32BE(number, 0);
  message.writeBigUInt64BE(process.hrtime.bigint(), 4);
  socket.send(message);
}
`;

test('a row is a link by name', () => {
  assert.deepEqual(rowNamed('50ms-100m'), {
    name: '50ms-100m',
    rttMs: 50,
    mbit: 100,
    lossPercent: 0,
    latePercent: 0,
    lateMs: 5,
  });
  assert.equal(rowNamed('200ms-1000m-0.5%').lossPercent, 0.5);
  assert.equal(rowNamed('10ms-100m-20late').latePercent, 20);
  for (const name of ['', '50ms', '50ms-0m', '50ms-100m-100%', '50ms-100m-1', 'x50ms-100m'])
    assert.throws(() => rowNamed(name), ValueError, name);
});

describe('the link', () => {
  const scope = new Scope();
  let program = '';
  let missing: string | null = null;

  before(async () => {
    missing = await linkMissing();
    if (missing === null) program = await compileLink(await tempFolder(scope));
  });
  after(() => scope.close());

  /** What comes out, in order, of datagrams that go in at once. */
  async function burst(shape: LinkShape, { seed = 1, count = COUNT, lengthBytes = DATAGRAM_BYTES } = {}) {
    const run = new Scope();
    try {
      const link: WanLink = await openLink(run, program, shape, { seed });
      const [near, far] = link.ends;
      const receiver = startChild(run, process.execPath, ['-e', RECEIVER, far.address], { namespace: far });
      await receiver.line('it is bound', 20_000, (line) => line === 'bound');
      const sender = startChild(
        run,
        process.execPath,
        ['-e', SENDER, far.address, String(count), String(lengthBytes)],
        { namespace: near },
      );
      const said = await receiver.line('what it saw', 20_000, (line) => line.startsWith('['));
      await sender.stop();
      return { seen: JSON.parse(said) as Seen[], report: await link.report() };
    } finally {
      await run.close();
    }
  }

  const numbers = (seen: readonly Seen[]): number[] => seen.map(([number]) => number);

  test('delays by half of the round trip, in order, at its rate', async (context) => {
    if (skipWithout(context, missing)) return;
    const { seen } = await burst({ ...rowNamed('200ms-10m') });
    assert.deepEqual(
      numbers(seen),
      Array.from({ length: COUNT }, (_, number) => number),
    );
    for (const [number, sentMs, ms] of seen) assert.ok(ms - sentMs >= 100, `${number} came after ${ms - sentMs} ms`);
    // The last one waited for all that went before it.
    const serialMs = (COUNT * (DATAGRAM_BYTES + HEADER_BYTES) * 8) / 10e3;
    const [[, firstMs], [, , lastMs]] = [seen[0]!, seen.at(-1)!];
    assert.ok(lastMs - firstMs >= 100 + serialMs, `all took ${lastMs - firstMs} ms, the rate allows ${serialMs} + 100`);
  });

  test('drops what its queue cannot hold', async (context) => {
    if (skipWithout(context, missing)) return;
    // 1 Mbit carries next to nothing while the burst comes in: what passes is the queue.
    const lengthBytes = 1000;
    const { seen, report } = await burst({ ...rowNamed('10ms-1m') }, { lengthBytes });
    const held = Math.floor((64 * 1024) / (lengthBytes + HEADER_BYTES));
    assert.ok(seen.length >= held && seen.length < held + 20, `${seen.length} passed, the queue holds ${held}`);
    assert.ok(report.ways[0].dropped >= COUNT - seen.length, JSON.stringify(report));
  });

  test('loses and delays the same packets for the same dice', async (context) => {
    if (skipWithout(context, missing)) return;
    const shape = { ...rowNamed('10ms-1000m-20%'), latePercent: 20 };
    const [one, two, other] = [
      await burst(shape, { seed: 7 }),
      await burst(shape, { seed: 7 }),
      await burst(shape, { seed: 8 }),
    ];
    const sorted = (seen: readonly Seen[]) => numbers(seen).sort((a, b) => a - b);
    assert.deepEqual(sorted(one.seen), sorted(two.seen));
    assert.notDeepEqual(sorted(one.seen), sorted(other.seen));
    assert.ok(one.seen.length > COUNT * 0.65 && one.seen.length < COUNT * 0.95, `${one.seen.length} of ${COUNT} came`);
    assert.notDeepEqual(numbers(one.seen), sorted(one.seen));
    const late = one.seen.filter(([number], index) => one.seen.slice(0, index).some(([earlier]) => earlier > number));
    assert.ok(late.length > 0 && late.every(([, sentMs, ms]) => ms - sentMs >= 10), 'who is overtaken is 5 ms late');
  });
});
