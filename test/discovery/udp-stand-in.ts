/** A UDP tracker of a few lines, for tests: connects everyone, and answers the rest as it is told. */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { TestContext } from 'node:test';

export const CONNECTION_ID = Buffer.from('0123456789abcdef', 'hex');

export type Respond = (request: Buffer, from: RemoteInfo, socket: Socket) => Buffer | null;

/** @param request whose transaction is repeated */
export function replyTo(request: Buffer, action: number, rest: Uint8Array): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(action, 0);
  request.copy(head, 4, 12, 16);
  return Buffer.concat([head, rest]);
}

export function int32s(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) bytes.writeInt32BE(value, index * 4);
  return bytes;
}

export const connects: Respond = (request) =>
  request.readUInt32BE(8) === 0 ? replyTo(request, 0, CONNECTION_ID) : null;

export async function udpStandIn(context: TestContext, respond: Respond, host = '127.0.0.1') {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  context.after(() => socket.close());
  const requests: Buffer[] = [];
  socket.on('message', (request, from) => {
    requests.push(request);
    const reply = respond(request, from, socket);
    if (reply !== null) socket.send(reply, from.port, from.address);
  });
  socket.bind(0, host);
  await once(socket, 'listening');
  const { port } = socket.address();
  const actions = () => requests.map((request) => request.readUInt32BE(8));
  return { port, requests, actions, url: `udp://${host.includes(':') ? `[${host}]` : host}:${port}` };
}
