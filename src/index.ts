/** The library door of Swarmhaul. */
export type {
  AddOptions,
  Engine,
  EngineOptions,
  EngineStats,
  PeerStats,
  Torrent,
  TorrentEvents,
  TorrentState,
  TorrentStats,
} from './api.js';
export { createEngine } from './engine.js';
export { type ErrorCode, type ErrorFacts, HaulError } from './errors.js';
export type { FileEntry, Metainfo } from './metainfo/metainfo.js';
export type { FilePriorities, FilePriority } from './metainfo/selection.js';
export { parseTorrent, withTrackers } from './metainfo/torrent.js';
export { VERSION } from './version.js';
