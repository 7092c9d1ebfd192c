/** How a gateway is asked to let peers in from outside, whatever protocol it speaks. Types, and what they share. */
import { HaulError } from '../errors.js';

export type Protocol = 'tcp' | 'udp';

export interface MappingRequest {
  readonly protocol: Protocol;
  /** The port of ours that is listened on. */
  readonly internalPort: number;
  /** The one that we would like outside; the gateway may give another. */
  readonly externalPort: number;
  readonly lifetimeSeconds: number;
}

export interface Mapping {
  readonly externalPort: number;
  /** For how long the gateway keeps it; Infinity: until it is deleted. */
  readonly lifetimeSeconds: number;
}

/** Every call rejects when its signal fires. Errors are `HaulError`s of one line. */
export interface PortMapper {
  /** "NAT-PMP": how lines for people name it. */
  readonly name: string;
  /** Whether there is a gateway that speaks this protocol. @throws HaulError there is none */
  find(signal: AbortSignal): Promise<void>;
  /** Makes or renews a mapping. @throws HaulError refused, or no answer */
  map(request: MappingRequest, signal: AbortSignal): Promise<Mapping>;
  /** @throws HaulError as `map` */
  unmap(request: MappingRequest, signal: AbortSignal): Promise<void>;
  /**
   * The address of the gateway outside, canonical. `isRestarted`: it has forgotten what it mapped.
   * @throws HaulError no answer
   */
  check(signal: AbortSignal): Promise<{ readonly externalHost: string | null; readonly isRestarted: boolean }>;
  close(): Promise<void>;
}

export interface NatClock {
  /** Milliseconds. */
  now(): number;
  /** Calls once after that time; the result calls it off. */
  later(ms: number, call: () => void): () => void;
}

/** @param what one line */
export function natError(what: string, code: 'NETWORK' | 'TIMEOUT' = 'NETWORK', cause?: unknown): HaulError {
  return new HaulError(code, what, {}, cause);
}

export function natAborted(what: string): HaulError {
  return new HaulError('ABORTED', `${what}: given up`);
}
