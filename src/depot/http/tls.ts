/** Certificate and key of the depot: read at the start, and again when a file of them has changed. */
import { readFileSync, statSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { fromSystemError, HaulError } from '../../errors.js';
import type { Log } from '../../log.js';

export interface Pair {
  readonly cert: Buffer;
  readonly key: Buffer;
}

export interface Certificate {
  readonly current: Pair;
  onChange(take: (pair: Pair) => void): void;
  /** Now and then: looks whether the files are others. */
  look(): void;
}

function read(certFile: string, keyFile: string): Pair {
  const one = (file: string): Buffer => {
    try {
      return readFileSync(file);
    } catch (error) {
      throw fromSystemError(error, 'read', file);
    }
  };
  const pair = { cert: one(certFile), key: one(keyFile) };
  try {
    createSecureContext(pair);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new HaulError('BAD_ARGUMENT', `${certFile} and ${keyFile} are no certificate and its key: ${why}`, {}, error);
  }
  return pair;
}

function stampOf(...files: readonly string[]): string {
  return files
    .map((file) => {
      try {
        const stat = statSync(file, { throwIfNoEntry: false, bigint: true });
        return stat === undefined ? 'none' : `${stat.ino} ${stat.size} ${stat.mtimeNs}`;
      } catch (error) {
        // A folder above it may not be looked into any more: whoever reads the file says why.
        return `none: ${(error as NodeJS.ErrnoException).code}`;
      }
    })
    .join(' ');
}

/** @throws HaulError NOT_FOUND, NO_PERMISSION, IO, BAD_ARGUMENT (not PEM, or not a pair) */
export function openCertificate(certFile: string, keyFile: string, log: Log | undefined): Certificate {
  let stamp = stampOf(certFile, keyFile);
  let current = read(certFile, keyFile);
  let take: (pair: Pair) => void = () => {};
  return {
    get current() {
      return current;
    },
    onChange: (taker) => {
      take = taker;
    },
    look: () => {
      const now = stampOf(certFile, keyFile);
      if (now === stamp) return;
      stamp = now;
      try {
        current = read(certFile, keyFile);
        take(current);
        log?.('info', `TLS: ${certFile} was read again`);
      } catch (error) {
        // Half of a renewal: the old one serves on.
        log?.('warn', `TLS: the old certificate stays: ${error instanceof Error ? error.message : String(error)}`);
      }
    },
  };
}
