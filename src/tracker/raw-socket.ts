/**
 * Accepted TCP connections without a `net.Socket` around them: making and ending one costs several times an announce,
 * and most connections to a tracker carry one. The only file of the tracker that touches private parts of Node.js:
 * `onconnection` of a listening handle and the binding of its streams. Where they are not as known here (Node 20 to 26)
 * `interceptConnections` says false and changes nothing.
 * A socket is open, or closed, or given away; in the last two it does nothing and reports nothing any more.
 */
import type { Server, Socket } from 'node:net';

interface SocketName {
  address?: string;
}

interface WriteRequest {
  oncomplete: (this: WriteRequest, status: number) => void;
  /** What a write under way needs: its bytes must not be collected. */
  bytes: Buffer | null;
  socket: RawSocket | null;
}

interface TcpHandle {
  onread: (bytes: ArrayBuffer | undefined) => void;
  readStart(): number;
  readStop(): number;
  writeBuffer(request: WriteRequest, bytes: Buffer): number;
  getpeername(out: SocketName): number;
  getsockname(out: SocketName): number;
  close(): void;
}

type OnConnection = (this: unknown, status: number, handle: TcpHandle | undefined) => void;

interface StreamBinding {
  readonly WriteWrap: new () => WriteRequest;
  /** What the last call left: numbers at the indices below. */
  readonly streamBaseState: Int32Array;
  readonly kReadBytesOrError: number;
  readonly kArrayBufferOffset: number;
  readonly kLastWriteWasAsync: number;
}

function findBinding(): StreamBinding | null {
  try {
    const { binding } = process as unknown as { binding: (name: string) => Partial<StreamBinding> };
    const found = binding('stream_wrap');
    const numbers = [found.kReadBytesOrError, found.kArrayBufferOffset, found.kLastWriteWasAsync];
    const isKnown = typeof found.WriteWrap === 'function' && found.streamBaseState instanceof Int32Array;
    return isKnown && numbers.every((index) => Number.isInteger(index)) ? (found as StreamBinding) : null;
  } catch {
    return null;
  }
}

export interface RawSocketOwner {
  /** Bytes that are the receiver's to keep. */
  onBytes(socket: RawSocket, bytes: Buffer): void;
  /** A write that the kernel did not take at once has ended; it does not read yet. */
  onWritten(socket: RawSocket): void;
  /** Once, however it ends; not when it is given away. */
  onClose(socket: RawSocket): void;
}

export class RawSocket {
  readonly remoteAddress: string;
  /** For the owner to count up: ticks in which no request came and no write ended. */
  silentTicks = 0;
  /** For the owner to keep: what came and is not answered yet. */
  unread: Buffer | null = null;
  readonly #binding: StreamBinding;
  readonly #owner: RawSocketOwner;
  #handle: TcpHandle | null;
  #isWriting = false;
  #endsWhenWritten = false;

  constructor(binding: StreamBinding, handle: TcpHandle, owner: RawSocketOwner) {
    this.#binding = binding;
    this.#handle = handle;
    this.#owner = owner;
    const name: SocketName = {};
    handle.getpeername(name);
    this.remoteAddress = name.address ?? '';
    handle.onread = (bytes) => this.#onRead(bytes);
  }

  /** A system call. */
  get localAddress(): string {
    const name: SocketName = {};
    this.#handle?.getsockname(name);
    return name.address ?? '';
  }

  get isOpen(): boolean {
    return this.#handle !== null;
  }

  /** What it sends is under way, or kept here. */
  get isWriting(): boolean {
    return this.#isWriting;
  }

  start(): void {
    if (this.#handle?.readStart() !== 0) this.close();
  }

  /** Reads nothing until `start`. */
  pause(): void {
    this.#handle?.readStop();
  }

  /**
   * Sends; at most one write at a time, and nothing is read until the kernel has taken all of it. Returns whether
   * `bytes` may be used again now; if not, they belong to the socket.
   */
  write(bytes: Buffer): boolean {
    const handle = this.#handle;
    if (handle === null) return true;
    const request = takeRequest(this.#binding);
    if (handle.writeBuffer(request, bytes) !== 0) {
      this.close();
      return true;
    }
    if (this.#binding.streamBaseState[this.#binding.kLastWriteWasAsync] !== 0) {
      request.bytes = bytes;
      request.socket = this;
      this.#isWriting = true;
      handle.readStop();
      return false;
    }
    spareRequest = request;
    return true;
  }

  /** Closes as soon as everything is written. */
  end(): void {
    if (this.#isWriting) this.#endsWhenWritten = true;
    else this.close();
  }

  close(): void {
    const handle = this.#detach();
    if (handle === null) return;
    handle.close();
    this.#owner.onClose(this);
  }

  /** Makes it an ordinary socket: what it sends next is read there, what is being written goes out first. */
  giveTo(adopt: (handle: TcpHandle) => void): void {
    const handle = this.#detach();
    if (handle === null) return;
    handle.readStop();
    adopt(handle);
  }

  /** Of its write. @param status negative: it failed. */
  written(status: number): void {
    this.#isWriting = false;
    this.silentTicks = 0;
    if (status < 0 || this.#endsWhenWritten) this.close();
    else this.#owner.onWritten(this);
  }

  #detach(): TcpHandle | null {
    const handle = this.#handle;
    this.#handle = null;
    this.unread = null;
    return handle;
  }

  #onRead(bytes: ArrayBuffer | undefined): void {
    const { streamBaseState, kReadBytesOrError, kArrayBufferOffset } = this.#binding;
    const length = streamBaseState[kReadBytesOrError]!;
    if (length === 0 || !this.isOpen) return;
    if (length < 0 || bytes === undefined) {
      // The other side has said all it had to say, or is gone.
      this.end();
      return;
    }
    this.#owner.onBytes(this, Buffer.from(bytes, streamBaseState[kArrayBufferOffset], length));
  }
}

/** A request that the kernel took at once is as good as new: nearly all are. */
let spareRequest: WriteRequest | null = null;

function takeRequest(binding: StreamBinding): WriteRequest {
  const request = spareRequest ?? new binding.WriteWrap();
  spareRequest = null;
  request.oncomplete = onWritten;
  return request;
}

function onWritten(this: WriteRequest, status: number): void {
  const { socket } = this;
  this.socket = null;
  this.bytes = null;
  if (socket?.isOpen) socket.written(status);
}

export interface Intercepted {
  /**
   * Passes a connection on to the server, as if it had just been accepted. Its 'connection' event comes before this
   * returns.
   */
  readonly adopt: (socket: RawSocket) => void;
}

/**
 * From now on `onSocket` gets the connections of a listening server, not reading yet, and the server gets none of its
 * own. Null: not possible here.
 */
export function interceptConnections(
  server: Server,
  owner: RawSocketOwner,
  onSocket: (socket: RawSocket) => void,
): Intercepted | null {
  const binding = findBinding();
  const listening = (server as Server & { _handle?: { onconnection?: OnConnection } | null })._handle;
  const original = listening?.onconnection;
  if (binding === null || listening == null || typeof original !== 'function') return null;
  listening.onconnection = (status, handle) => {
    if (status !== 0 || handle === undefined) original.call(listening, status, handle);
    else onSocket(new RawSocket(binding, handle, owner));
  };
  return { adopt: (socket) => socket.giveTo((handle) => original.call(listening, 0, handle)) };
}

/** What both kinds of sockets tell about themselves. */
export type Endpoints = Pick<Socket, 'remoteAddress' | 'localAddress'>;
