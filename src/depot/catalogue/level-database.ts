/**
 * LevelDB as the catalogue uses it: it is opened, and mended where a write failed.
 *
 * After a write that failed (a full disk) LevelDB takes nothing more, or would lose what comes behind the torn end of
 * its log; it can be read. It is opened anew, which cuts that end off and needs some room: that of the ballast. What
 * failed may show up then all the same, and is taken back before anybody is told: who is told no may act on it. Where
 * it cannot be taken back at once, what does it is kept in a file, and nothing is written before it was done.
 */
import { type BigIntStats, existsSync } from 'node:fs';
import { mkdir, readdir, stat, statfs } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, resolve } from 'node:path';
import type { ClassicLevel } from 'classic-level';
import { fromSystemError, HaulError } from '../../errors.js';
import { forceFolder } from '../../storage/force.js';
import { Ballast, REOPEN_BYTES } from './ballast.js';
import { decodeCounts, encodeCounts } from './counts.js';
import { CATALOGUE_VERSION, COUNTS_KEY, VERSION_KEY } from './keys.js';
import { damagedCatalogue, fromLevelError } from './level-errors.js';
import { dropUndo, readUndo, writeUndo } from './undo-file.js';
import type { Batch, Operation } from './writer.js';

/** What LevelDB leaves in its folder beside CURRENT, which names the first of them. */
const LEVEL_FILE = /^(?:MANIFEST-\d+|\d+\.(?:ldb|sst|log))$/;

const OWN_FILE = /^(?:CURRENT|LOCK|LOG|LOG\.old|undo|ballast|MANIFEST-\d+|\d+\.(?:ldb|sst|log))$/;

type Level = ClassicLevel<string, string>;

/** Only the depot needs it, and it is native: it is loaded when the first catalogue is opened. */
function loadLevel(): typeof ClassicLevel {
  return (createRequire(import.meta.url)('classic-level') as typeof import('classic-level')).ClassicLevel;
}

/** @throws HaulError as `openLevelCatalogue` */
export async function openLevelDatabase(folder: string): Promise<LevelDatabase> {
  const place = resolve(folder);
  const files = await filesIn(place);
  if (!files.includes('CURRENT') && files.some((name) => LEVEL_FILE.test(name))) {
    throw damagedCatalogue(place, 'its file CURRENT is missing');
  }
  const ballast = new Ballast(place);
  const level = await openLevel(place, ballast);
  try {
    await undoWhatFailed(level, place);
    const isNew = await readHead(level, place);
    await ballast.lay();
    return new LevelDatabase(level, await PlaceOf.open(place), ballast, isNew);
  } catch (error) {
    await level.close().catch(() => {});
    throw fromLevelError(error, 'open', place);
  }
}

/** On a full disk the ballast goes: without some room it cannot be opened. */
async function openLevel(place: string, ballast: Ballast): Promise<Level> {
  const Level = loadLevel();
  for (;;) {
    const level = new Level<string, string>(place);
    try {
      await level.open();
      return level;
    } catch (error) {
      await level.close().catch(() => {});
      const failure = fromLevelError(error, 'open', place);
      if (failure.code !== 'NO_SPACE' || !(await ballast.drop())) throw failure;
    }
  }
}

/** The process before ended while it was not certain what became of a batch that had failed. */
async function undoWhatFailed(level: Level, place: string): Promise<void> {
  const undo = await readUndo(place).catch((error: unknown) => {
    if (error instanceof SyntaxError) throw damagedCatalogue(place, 'its file undo cannot be read', error);
    throw fromSystemError(error, 'open catalogue', place);
  });
  if (undo === null) return;
  await level.batch(undo, { sync: true });
  await dropUndo(place);
}

/** Of its folder, which is made where it is not there. */
async function filesIn(place: string): Promise<string[]> {
  try {
    if (!existsSync(place)) {
      // LevelDB makes files that a umask of 0 lets others write to.
      await mkdir(place, { recursive: true, mode: 0o700 });
      await forceFolder(dirname(place));
    }
    const entries = await readdir(place, { withFileTypes: true });
    // Of a pipe LevelDB would wait for the other end, and never come to an end itself.
    const other = entries.find((entry) => OWN_FILE.test(entry.name) && !entry.isFile() && !entry.isSymbolicLink());
    if (other !== undefined) throw damagedCatalogue(place, `${other.name} is no file`);
    return entries.map(({ name }) => name);
  } catch (error) {
    throw fromSystemError(error, 'open catalogue', place);
  }
}

/** @returns whether it is new */
async function readHead(level: Level, place: string): Promise<boolean> {
  const [version, counts] = await level.getMany([VERSION_KEY, COUNTS_KEY]);
  if (version === undefined) {
    const [first] = await level.keys({ limit: 1 }).all();
    if (first !== undefined) throw damagedCatalogue(place, 'it names no version');
    const head = [
      { type: 'put' as const, key: VERSION_KEY, value: String(CATALOGUE_VERSION) },
      { type: 'put' as const, key: COUNTS_KEY, value: encodeCounts({ names: 0, blobs: 0, blobBytes: 0 }) },
    ];
    await level.batch(head, { sync: true });
    return true;
  }
  if (!/^[1-9]\d{0,8}$/.test(version)) throw damagedCatalogue(place, 'its version is none');
  if (Number(version) > CATALOGUE_VERSION) {
    const message =
      `the catalogue ${place} is of version ${version}, and this program knows up to ${CATALOGUE_VERSION}: ` +
      'use the newer program that wrote it';
    throw new HaulError('BAD_DATA', message, { version: Number(version) });
  }
  decodeCounts(counts);
  return false;
}

/** Which folder was opened: its disk may be unmounted, and another one mounted there. */
class PlaceOf {
  readonly path: string;
  readonly #inode: bigint;
  readonly #device: bigint;

  private constructor(path: string, { dev, ino }: BigIntStats) {
    this.path = path;
    this.#device = dev;
    this.#inode = ino;
  }

  static async open(path: string): Promise<PlaceOf> {
    return new PlaceOf(path, await stat(path, { bigint: true }));
  }

  /** What went wrong, seen with what is there now. */
  async failure(error: unknown, operation: string): Promise<HaulError> {
    return (await this.#moved(operation)) ?? fromLevelError(error, operation, this.path);
  }

  /** An empty one would be made in another folder, and believed. @throws HaulError IO */
  async check(): Promise<void> {
    const moved = await this.#moved('open');
    if (moved !== null) throw moved;
  }

  async #moved(operation: string): Promise<HaulError | null> {
    try {
      const { dev, ino } = await stat(this.path, { bigint: true });
      if (dev === this.#device && ino === this.#inode) return null;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return fromLevelError(error, operation, this.path);
    }
    const message =
      `${operation} catalogue ${this.path}: it is not the folder that was opened: it was unmounted or moved, or ` +
      'something is mounted over it; bring it back, or start anew';
    return new HaulError('IO', message, { operation, where: this.path });
  }
}

export class LevelDatabase {
  /** It was not there when it was opened: where blobs are, it was lost. */
  readonly isNew: boolean;
  readonly #level: Level;
  readonly #place: PlaceOf;
  readonly #ballast: Ballast;
  /** So often it was opened again. */
  #reopened = 0;
  #mending: Promise<void> | null = null;
  /** What takes a write back that failed; null: none did. */
  #undo: readonly Operation[] | null = null;
  /** It was opened anew, and may show what failed. */
  #isMisleading = false;
  #isClosing = false;

  constructor(level: Level, place: PlaceOf, ballast: Ballast, isNew: boolean) {
    this.#level = level;
    this.#place = place;
    this.#ballast = ballast;
    this.isNew = isNew;
  }

  /** One read; where it fell into a moment in which all is opened anew, it is done again behind that. */
  async reading<T>(read: (level: Level) => Promise<T>): Promise<T> {
    for (;;) {
      await this.#mending?.catch(() => {});
      const reopened = this.#reopened;
      if (this.#isClosing && this.#level.status !== 'open') throw new HaulError('CLOSED', 'the catalogue is closed');
      if (this.#level.status !== 'open' || this.#isMisleading) await this.#mend();
      try {
        return await read(this.#level);
      } catch (error) {
        if (this.#mending !== null || this.#reopened !== reopened) continue;
        throw await this.#place.failure(error, 'read');
      }
    }
  }

  /** Resolves when all that was written before is there, or was taken back. @throws HaulError where it cannot be */
  async settle(): Promise<void> {
    if (this.#undo !== null) await this.#mend();
    else await this.#ballast.lay();
  }

  /** Rejects when it is taken back, or when not even that can be done: then `settle` rejects until it is. */
  async write({ operations, undo }: Batch, sync: boolean): Promise<void> {
    for (;;) {
      try {
        await this.#level.batch(operations, { sync });
        return;
      } catch (error) {
        const failure = await this.#place.failure(error, 'write');
        const isFreed = failure.code === 'NO_SPACE' && (await this.#ballast.drop());
        await this.#takeBack(undo);
        // In the room that the ballast had there is enough for it.
        if (!isFreed || this.#undo !== null) throw failure;
      }
    }
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    // Where it cannot be done now the file says it to the next process.
    await this.settle().catch(() => {});
    await this.#level.close();
  }

  /** Never rejects. */
  async #takeBack(undo: readonly Operation[]): Promise<void> {
    this.#undo = undo;
    // Another catalogue that is in its place now would believe it.
    const written = this.#place.check().then(() => writeUndo(this.#place.path, undo));
    await written.catch(() => {});
    await this.#mend().catch(() => {});
  }

  #mend(): Promise<void> {
    this.#mending ??= this.#reopen().finally(() => {
      this.#mending = null;
    });
    return this.#mending;
  }

  async #reopen(): Promise<void> {
    try {
      await this.#place.check();
      await this.#makeRoom();
      await this.#level.close();
      await this.#level.open({ createIfMissing: false });
      this.#reopened++;
      if (this.#undo === null) return;
      this.#isMisleading = true;
      if (this.#undo.length > 0) await this.#level.batch([...this.#undo], { sync: true });
      this.#isMisleading = false;
      await dropUndo(this.#place.path);
      this.#undo = null;
    } catch (error) {
      throw await this.#place.failure(error, 'write');
    }
  }

  async #makeRoom(): Promise<void> {
    const hasRoom = async (): Promise<boolean> => {
      const { bavail, bsize } = await statfs(this.#place.path);
      return bavail * bsize >= REOPEN_BYTES;
    };
    if ((await hasRoom()) || ((await this.#ballast.drop()) && (await hasRoom()))) return;
    const message = `write catalogue ${this.#place.path}: no space left on the device; free some`;
    throw new HaulError('NO_SPACE', message, { operation: 'write', where: this.#place.path });
  }
}
