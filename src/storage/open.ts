/** The door of storage: makes the one that fits. */
import { HaulError } from '../errors.js';
import { PART_ALIGN_BYTES } from '../metainfo/layout.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import type { Selection } from '../metainfo/selection.js';
import * as mmap from '../native/mmap-io.js';
import type { WorkPool } from '../work/port.js';
import { type Budgets, DEFAULT_BUDGETS } from './budgets.js';
import { chooseStorage } from './choose.js';
import { DataFiles } from './files.js';
import { MappedStorage } from './mapped.js';
import { ownMemory, type StorageMemory } from './memory.js';
import type { Storage, StorageKind } from './port.js';
import { PositionalStorage } from './positional.js';

export interface OpenStorageOptions {
  readonly metainfo: Metainfo;
  /** Folder that receives the data; need not exist. */
  readonly output: string;
  readonly pool: WorkPool;
  /** 'auto' chooses by file system. */
  readonly kind: StorageKind | 'auto';
  /** What `prepare` will be told; 'auto' wants to know. */
  readonly forWriting: boolean;
  /** Files that are left out; default: none. */
  readonly selection?: Selection | null;
  readonly budgets?: Partial<Budgets>;
  /** Of the engine; default: one of its own. */
  readonly memory?: StorageMemory;
}

/**
 * Touches nothing yet but a probe file: `prepare` does.
 * @throws HaulError BAD_ARGUMENT when this platform cannot do it
 */
export async function openStorage(options: OpenStorageOptions): Promise<Storage> {
  const { metainfo, output, pool, forWriting } = options;
  if (!mmap.isSupported()) throw new HaulError('BAD_ARGUMENT', `open storage: ${mmap.unsupportedText()}`);
  const kind = options.kind === 'auto' ? (await chooseStorage(metainfo, output, forWriting)).kind : options.kind;
  const { memory, selection } = options;
  const files = new DataFiles(metainfo, output, selection, memory?.files, memory?.space);
  const budgets = { ...DEFAULT_BUDGETS, ...options.budgets };
  const canMap = files.layout.partFileBytes === 0 || mmap.pageSize() <= PART_ALIGN_BYTES;
  const own = memory === undefined ? ownMemory(pool, metainfo.geometry, budgets) : null;
  const parts = { files, pool, budgets, memory: memory ?? own!, closeMemory: () => own?.close() };
  return kind === 'mapped' && canMap ? new MappedStorage(parts) : new PositionalStorage(parts);
}
