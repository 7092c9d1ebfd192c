/** The first part of `haul get MAGNET`: what the torrent is comes from its peers (BEP 9). */
import type { MagnetDownload, Torrent } from '../api.js';
import { count } from './format.js';
import { gaveUpError, sourceLines } from './get-report.js';
import type { Output } from './output.js';
import type { GaveUp, Patience } from './patience.js';
import type { Context } from './run.js';
import { eitherSignal, settledOrAborted } from './wait.js';

const LOOK_EVERY_MS = 1000;
/** Reasons may change back and forth as peers come and go. */
const BETWEEN_LINES_MS = 10_000;
/** It comes within a second or two where all is well. */
const FIRST_LINE_MS = 3_000;

/** The torrent, or what ended the wait. @throws HaulError why there is none */
export async function awaitMagnet(
  { output, signal }: Context,
  magnet: MagnetDownload,
  patience: Patience,
): Promise<Torrent | GaveUp | 'interrupted'> {
  watchMagnet(output, magnet);
  patience.watch(makeLook(magnet));
  const timer = sayWaiting(output, magnet);
  const end = await settledOrAborted(magnet.torrent, eitherSignal(signal, patience.signal)).finally(() =>
    clearInterval(timer),
  );
  if (end === 'settled') return magnet.torrent;
  const why = magnet.stats().waitingFor ?? 'the metadata of the magnet link has not come';
  const sources = magnet.sources();
  await magnet.stop();
  // It may have come at this very moment: then there is a torrent that nobody wants, and the engine is closed next.
  if (signal.aborted || patience.gaveUp === null) return 'interrupted';
  output.error(gaveUpError(patience, why));
  for (const line of sourceLines(sources)) output.note(`  ${line}`);
  return patience.gaveUp;
}

/** Shows what it meets on its way. */
function watchMagnet(output: Output, magnet: MagnetDownload): void {
  magnet.on('warning', (error) => output.warn(error.message, { code: error.code, facts: error.facts }));
  magnet.on('tracker', (url, outcome, message) => {
    const line = message.startsWith(`tracker ${url}`) ? message : `tracker ${url}: ${message}`;
    if (outcome === 'ok') output.log('info', line);
    else output.warn(line, { code: 'TRACKER', url, facts: { outcome } });
  });
  magnet.on('peer', (address, change, reason) => output.log('info', `peer ${address} ${change}`, { reason }));
  magnet.on('metadata', ({ name, files }) => output.note(`the magnet link is ${name}, ${count(files.length, 'file')}`));
}

/** More of the metadata is here than ever before. */
function makeLook(magnet: MagnetDownload): () => boolean {
  let mostBytes = 0;
  return () => {
    const { receivedBytes } = magnet.stats();
    const isMore = receivedBytes > mostBytes;
    mostBytes = Math.max(mostBytes, receivedBytes);
    return isMore;
  };
}

function sayWaiting(output: Output, magnet: MagnetDownload): NodeJS.Timeout {
  let said = '';
  let nextMs = performance.now() + FIRST_LINE_MS;
  return setInterval(() => {
    const { waitingFor } = magnet.stats();
    if (waitingFor === null || waitingFor === said || performance.now() < nextMs) return;
    said = waitingFor;
    nextMs = performance.now() + BETWEEN_LINES_MS;
    output.note(`waiting for the metadata: ${waitingFor}`);
  }, LOOK_EVERY_MS);
}
