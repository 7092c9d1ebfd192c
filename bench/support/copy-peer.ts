/**
 * What an agent's bytes cost without an agent: `copy-peer.js HOST SHARE_BYTES IMAGE_BYTES [FROM_HOST…]` gives
 * SHARE_BYTES to whoever dials HOST, and to the first client on its loopback IMAGE_BYTES as HTTP, as they come from all
 * FROM_HOSTs together, which are dialled for it. No protocol, no hash, no file: plain sockets and one buffer.
 */
import net from 'node:net';
import { COPY_HTTP_PORT, COPY_PORT } from './copy-ports.js';

const CHUNK_BYTES = 256 * 1024;

const chunk = Buffer.alloc(CHUNK_BYTES, 'copy');

/** Sends what is due and returns the rest, to be tried again when the socket drains. */
function send(socket: net.Socket, bytes: number): number {
  let left = bytes;
  while (left > 0 && !socket.writableNeedDrain) {
    const part = Math.min(left, CHUNK_BYTES);
    socket.write(part === CHUNK_BYTES ? chunk : chunk.subarray(0, part));
    left -= part;
  }
  return left;
}

function give(socket: net.Socket, shareBytes: number): void {
  let left = send(socket, shareBytes);
  socket.on('drain', () => {
    left = send(socket, left);
    if (left === 0) socket.end();
  });
  socket.on('error', () => {});
}

function answer(client: net.Socket, imageBytes: number, from: readonly string[]): void {
  let dueBytes = 0;
  client.write(`HTTP/1.1 200 OK\r\ncontent-length: ${imageBytes}\r\nconnection: close\r\n\r\n`);
  client.on('drain', () => {
    dueBytes = send(client, dueBytes);
  });
  const callback = (bytes: number): boolean => {
    dueBytes = send(client, dueBytes + bytes);
    return true;
  };
  for (const host of from)
    net.connect({ host, port: COPY_PORT, onread: { buffer: Buffer.alloc(CHUNK_BYTES), callback } });
}

function main([host = '', share = '', image = '', ...from]: readonly string[]): void {
  const peers = net.createServer({ noDelay: true }, (socket) => give(socket, Number(share)));
  const clients = net.createServer((client) => {
    client.once('data', () => answer(client, Number(image), from));
    client.on('error', () => {});
  });
  peers.listen(COPY_PORT, host, () =>
    clients.listen(COPY_HTTP_PORT, '127.0.0.1', () => process.stdout.write('ready\n')),
  );
}

main(process.argv.slice(2));
