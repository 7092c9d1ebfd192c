/** The magnet links of an engine whose metadata is not here yet. Part of the composition root. */
import { resolve } from 'node:path';
import type { MagnetOptions } from '../api.js';
import { HaulError } from '../errors.js';
import { checkAddOptions, checkMagnetOptions } from '../library/engine-options.js';
import { isMagnet, parseMagnet } from '../magnet/link.js';
import type { Door } from '../peer/handshakes.js';
import { loadKeptTorrent, saveKeptTorrent } from '../storage/kept-torrent.js';
import { MagnetHandle, type MagnetHost } from '../torrent/magnet/magnet-handle.js';

type EngineParts = Pick<MagnetHost, 'environment' | 'dialler' | 'add'>;

export class Magnets {
  readonly #host: () => EngineParts;
  readonly #handles = new Map<string, MagnetHandle>();

  /** @param host known once the engine is open */
  constructor(host: () => EngineParts) {
    this.#host = host;
  }

  get all(): readonly MagnetHandle[] {
    return [...this.#handles.values()];
  }

  /** @throws HaulError BAD_ARGUMENT, LIMIT */
  add(text: string, options: MagnetOptions, isThere: (infoHashHex: string) => boolean): MagnetHandle {
    if (!isMagnet(text)) {
      const message = 'torrent must be a magnet link, what parseTorrent gives, or the bytes of a .torrent; ';
      throw new HaulError('BAD_ARGUMENT', `${message}read the file first`, { call: 'add', option: 'torrent' });
    }
    const magnet = parseMagnet(text);
    checkMagnetOptions(options);
    const { infoHashHex } = magnet;
    if (isThere(infoHashHex) || this.#handles.has(infoHashHex)) throw alreadyThere(infoHashHex);
    const { environment, dialler, add } = this.#host();
    for (const warning of magnet.warnings) environment.log('warn', `magnet link: ${warning}`);
    const own = { ...options, output: resolve(options.output) };
    const handle: MagnetHandle = new MagnetHandle(magnet, own, {
      environment,
      dialler,
      check: checkAddOptions,
      add,
      loadKept: loadKeptTorrent,
      saveKept: saveKeptTorrent,
      onEnded: () => this.#handles.delete(infoHashHex),
    });
    this.#handles.set(infoHashHex, handle);
    return handle;
  }

  /** @throws HaulError BAD_ARGUMENT */
  refuse(infoHashHex: string): void {
    if (this.#handles.has(infoHashHex)) throw alreadyThere(infoHashHex);
  }

  doorOf(infoHashHex: string): Door | null {
    return this.#handles.get(infoHashHex)?.door ?? null;
  }

  tick(nowMs: number, isSecond: boolean): void {
    for (const handle of this.#handles.values()) handle.tick(nowMs, isSecond);
  }

  async close(): Promise<void> {
    await Promise.all(this.all.map((handle) => handle.stop()));
  }
}

/** @param name of what is added */
export function alreadyThere(infoHashHex: string, name = 'a magnet link'): HaulError {
  const facts = { infoHash: infoHashHex };
  return new HaulError('BAD_ARGUMENT', `add ${name}: torrent ${infoHashHex} is already there`, facts);
}
