/** Messages of NAT-PMP (RFC 6886). Pure. */
import { ipText } from '../net/address.js';
import type { MappingRequest, Protocol } from './port-mapper.js';

const OPCODES: Readonly<Record<Protocol, number>> = { udp: 1, tcp: 2 };
const ADDRESS_OPCODE = 0;
const REPLY_BIT = 128;
const HEADER_BYTES = 8;
const ADDRESS_REPLY_BYTES = 12;
const MAPPING_REPLY_BYTES = 16;

const RESULTS: Readonly<Record<number, string>> = {
  1: 'it speaks another version',
  2: 'it does not allow that',
  3: 'it has no address outside',
  4: 'it has no room for another mapping',
  5: 'it does not know the request',
};

export type PmpReply = { readonly epochSeconds: number } & (
  | { readonly kind: 'refusal'; readonly opcode: number; readonly reason: string }
  | { readonly kind: 'address'; readonly opcode: number; readonly host: string }
  | {
      readonly kind: 'mapping';
      readonly opcode: number;
      readonly internalPort: number;
      readonly externalPort: number;
      readonly lifetimeSeconds: number;
    }
);

export function encodeAddressRequest(): Buffer {
  return Buffer.from([0, ADDRESS_OPCODE]);
}

/** A lifetime of 0 deletes the mapping; the port outside is then to be 0 too. */
export function encodeMappingRequest(request: MappingRequest): Buffer {
  const { protocol, internalPort, externalPort, lifetimeSeconds } = request;
  const bytes = Buffer.alloc(12);
  bytes[1] = OPCODES[protocol];
  bytes.writeUInt16BE(internalPort, 4);
  bytes.writeUInt16BE(externalPort, 6);
  bytes.writeUInt32BE(lifetimeSeconds, 8);
  return bytes;
}

/** Null: it is no reply of this protocol. */
export function decodeReply(bytes: Uint8Array): PmpReply | null {
  if (bytes.length < HEADER_BYTES || bytes.length > MAPPING_REPLY_BYTES) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes[0] !== 0 || bytes[1]! < REPLY_BIT) return null;
  const opcode = bytes[1]! - REPLY_BIT;
  if (opcode > OPCODES.tcp) return null;
  const result = view.getUint16(2);
  const epochSeconds = view.getUint32(4);
  // Nobody says how long a refusal is: some end after the header.
  if (result !== 0) {
    return { kind: 'refusal', opcode, epochSeconds, reason: RESULTS[result] ?? `it answers error ${result}` };
  }
  if (opcode === ADDRESS_OPCODE) {
    if (bytes.length !== ADDRESS_REPLY_BYTES) return null;
    return { kind: 'address', opcode, epochSeconds, host: ipText(bytes, HEADER_BYTES, 4) };
  }
  if (bytes.length !== MAPPING_REPLY_BYTES) return null;
  const [internalPort, externalPort] = [view.getUint16(8), view.getUint16(10)];
  return { kind: 'mapping', opcode, epochSeconds, internalPort, externalPort, lifetimeSeconds: view.getUint32(12) };
}

/** Whether it answers that request: several replies to repeated requests may be on their way. */
export function isReplyTo(request: Uint8Array, reply: PmpReply): boolean {
  if (reply.opcode !== request[1]) return false;
  if (reply.kind !== 'mapping') return true;
  const isDeletion = request.subarray(8, 12).every((byte) => byte === 0);
  return reply.internalPort === ((request[4]! << 8) | request[5]!) && isDeletion === (reply.lifetimeSeconds === 0);
}
