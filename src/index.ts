/** The library door of Swarmhaul. */
export type {
  AddOptions,
  AddressFailure,
  BannedPeer,
  Engine,
  EngineOptions,
  EngineStats,
  HealthCode,
  HealthProblem,
  PeerStats,
  Torrent,
  TorrentEvents,
  TorrentSources,
  TorrentState,
  TorrentStats,
  TrackerReport,
  WakeDormant,
  WokenTorrent,
} from './api.js';
export { createEngine } from './engine.js';
export { type ErrorCode, type ErrorFacts, HaulError } from './errors.js';
export type { FileEntry, Metainfo } from './metainfo/metainfo.js';
export type { FilePriorities, FilePriority } from './metainfo/selection.js';
export { parseTorrent, withTrackers } from './metainfo/torrent.js';
export type { FileStamp } from './storage/file-stamp.js';
export { VERSION } from './version.js';
