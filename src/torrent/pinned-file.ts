/**
 * A download whose one file must have a given SHA-256. It is hashed while it arrives, as far as it is verified from its
 * begin on, and compared when all is on the device. A file that is another one is set aside under another name: who
 * looks for it by its name must not find it, and what is there belongs to the user.
 */
import { linkSync, lstatSync, renameSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { FileSha256, type Sha256Answer } from '../content/file-sha256.js';
import { fromSystemError, HaulError } from '../errors.js';
import type { PieceIndex } from '../metainfo/geometry.js';
import { onlyFile } from '../metainfo/selection.js';
import type { Session } from './session.js';

const ASIDE = 'mismatch';

export type PinnedSession = Pick<Session, 'metainfo' | 'output' | 'have' | 'selection'>;

export class PinnedFile {
  readonly #session: PinnedSession;
  readonly #expected: string;
  readonly #path: string;
  readonly #beginBytes: number;
  readonly #lengthBytes: number;
  /** Pieces before this one hold the verified begin of the file. */
  #piece: number;
  readonly #endPiece: number;
  readonly #hash: FileSha256;

  private constructor(session: PinnedSession, file: number, expected: string) {
    const { metainfo, output } = session;
    const { path, beginBytes, lengthBytes } = metainfo.files[file]!;
    this.#session = session;
    this.#expected = expected;
    this.#path = join(output, ...path);
    this.#beginBytes = beginBytes;
    this.#lengthBytes = lengthBytes;
    const { first, end } = metainfo.geometry.piecesIn(beginBytes, lengthBytes);
    this.#piece = first;
    this.#endPiece = end;
    this.#hash = new FileSha256(this.#path);
  }

  /** Null: nothing is pinned, or not one file alone is wanted any more. */
  static of(session: PinnedSession, sha256: string | undefined): PinnedFile | null {
    const file = sha256 === undefined ? -1 : onlyFile(session.metainfo, session.selection);
    return file < 0 ? null : new PinnedFile(session, file, sha256!.toLowerCase());
  }

  /** Another piece is good. */
  pieceVerified(): void {
    const { have, metainfo } = this.#session;
    const before = this.#piece;
    while (this.#piece < this.#endPiece && have.has(this.#piece)) this.#piece++;
    if (this.#piece === before) return;
    const goodBytes = metainfo.geometry.pieceEnd((this.#piece - 1) as PieceIndex) - this.#beginBytes;
    this.#hash.advance(Math.min(this.#lengthBytes, goodBytes));
  }

  /** All of it is on the device. @throws HaulError MISMATCH: it is set aside; trouble in reading; CLOSED */
  async prove(): Promise<void> {
    const found = await this.#hash.digest(this.#lengthBytes);
    this.#checkPlace(found);
    if (found.digest === this.#expected) return;
    // In one turn of the event loop with the end of the torrent: nobody sees its file missing before that.
    const aside = setAside(this.#path);
    const isMoved = typeof aside === 'string';
    const now = isMoved ? `the file is now ${aside}` : `the file is still there (${aside.message})`;
    const message = `${this.#path}: its SHA-256 is ${found.digest}, not ${this.#expected}; ${now}`;
    const facts = { path: isMoved ? aside : this.#path, sha256: found.digest, expected: this.#expected };
    throw new HaulError('MISMATCH', message, facts);
  }

  close(): void {
    this.#hash.close();
  }

  #checkPlace({ device, inode }: Sha256Answer): void {
    const now = lstatSync(this.#path, { bigint: true, throwIfNoEntry: false });
    if (now !== undefined && now.dev === device && now.ino === inode) return;
    throw new HaulError('BAD_DATA', `${this.#path}: replaced by another file while it was hashed`, {
      path: this.#path,
    });
  }
}

/** Under a name that nothing has. Returns the new path, or why it is still where it was. */
function setAside(path: string): string | HaulError {
  for (let number = 1; ; number++) {
    const aside = number === 1 ? `${path}.${ASIDE}` : `${path}.${ASIDE}-${number}`;
    // A link and not a rename: that would replace what somebody puts there at this moment.
    const failure = attempt(() => linkSync(path, aside));
    if (failure?.code === 'EEXIST') continue;
    const last = failure === null ? attempt(() => unlinkSync(path)) : attempt(() => renameSync(path, aside));
    return last === null ? aside : fromSystemError(last, 'rename', path);
  }
}

function attempt(step: () => void): NodeJS.ErrnoException | null {
  try {
    step();
    return null;
  } catch (error) {
    return error as NodeJS.ErrnoException;
  }
}
