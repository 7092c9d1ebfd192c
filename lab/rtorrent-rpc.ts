/** XML-RPC over SCGI on a local socket: how rtorrent is steered. */
import net from 'node:net';
import { text } from 'node:stream/consumers';

const escaped = (value: string) => value.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

/** One call; the value of the answer as text. */
export async function callRtorrent(socket: string, method: string, ...parameters: readonly string[]): Promise<string> {
  return /<value>(?:<\w+>)?([^<]*)/.exec(await call(socket, method, parameters))?.[1] ?? '';
}

async function call(socket: string, method: string, parameters: readonly string[]): Promise<string> {
  const values = parameters.map((value) => `<param><value><string>${escaped(value)}</string></value></param>`);
  const body =
    `<?xml version="1.0"?><methodCall><methodName>${method}</methodName>` +
    `<params>${values.join('')}</params></methodCall>`;
  const head = `CONTENT_LENGTH\0${Buffer.byteLength(body)}\0SCGI\x001\0`;
  const connection = net.connect({ path: socket });
  connection.end(`${head.length}:${head},${body}`);
  const answer = await text(connection);
  if (answer.includes('<fault>')) throw new Error(`rtorrent ${method}: ${/<string>([^<]*)/.exec(answer)?.[1]}`);
  return answer;
}

/** Nodes of the DHT that have answered it. */
export async function rtorrentDhtNodes(socket: string): Promise<number> {
  const answer = await call(socket, 'dht.statistics', ['']);
  return Number(/<name>nodes<\/name>\s*<value><i\d>(\d+)/.exec(answer)?.[1] ?? 0);
}

/** Whether the torrent is complete and checked. @param infoHash 40 hex digits, upper case */
export async function rtorrentHasAll(socket: string, infoHash: string): Promise<boolean> {
  const message = await callRtorrent(socket, 'd.message', infoHash);
  if (message !== '' && !message.startsWith('Tracker')) throw new Error(`rtorrent: ${message}`);
  const isComplete = (await callRtorrent(socket, 'd.complete', infoHash)) === '1';
  return isComplete && (await callRtorrent(socket, 'd.hashing', infoHash)) === '0';
}
