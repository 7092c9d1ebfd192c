/** The library door of Swarmhaul. */
export type {
  AddOptions,
  AddressFailure,
  BannedPeer,
  ContentSource,
  DhtOptions,
  DhtStats,
  Engine,
  EngineEvents,
  EngineOptions,
  EngineStats,
  FileProgress,
  HealthCode,
  HealthProblem,
  LsdDropped,
  LsdStats,
  MagnetDownload,
  MagnetEvents,
  MagnetOptions,
  MagnetState,
  MagnetStats,
  MoveDataOptions,
  MoveDataResult,
  NatOptions,
  NatStats,
  PeerFilterOptions,
  PeerFilterStats,
  PeerStats,
  PieceOrder,
  RateGate,
  RateLimits,
  ReadOptions,
  RecheckOptions,
  RemoveOptions,
  RemoveResult,
  ShareGate,
  Torrent,
  TorrentEvents,
  TorrentSources,
  TorrentState,
  TorrentStats,
  TrackerReport,
  WakeDormant,
  WebSeedReport,
  WokenTorrent,
} from './api.js';
export { startAgent } from './depot/agent/agent.js';
export type {
  Agent,
  AgentDepot,
  AgentOptions,
  AgentReceipt,
  AgentRequest,
  AgentStats,
} from './depot/agent/api.js';
export type {
  AnonymousAccess,
  Depot,
  DepotOptions,
  DepotRequest,
  DepotStats,
} from './depot/api.js';
export { startDepot } from './depot/depot.js';
export { createEngine } from './engine/engine.js';
export { type ErrorCode, type ErrorFacts, HaulError } from './errors.js';
export {
  type CreatedTorrent,
  type CreateTorrentOptions,
  createTorrent,
  type TorrentFields,
} from './library/create.js';
export { type Share, type ShareOptions, share } from './library/share.js';
export { type StartTrackerOptions, startTracker, type TrackerSettings } from './library/tracker.js';
export {
  type VerifiedFile,
  type VerifyResult,
  type VerifyTorrentOptions,
  verifyTorrent,
} from './library/verify.js';
export type { Log, LogLevel } from './log.js';
export {
  type FileRange,
  formatMagnet,
  isMagnet,
  type Magnet,
  type MagnetFields,
  parseMagnet,
} from './magnet/link.js';
export type { BlockIndex, Geometry, PieceIndex } from './metainfo/geometry.js';
export type { FileEntry, Metainfo } from './metainfo/metainfo.js';
export type { FilePriorities, FilePriority } from './metainfo/selection.js';
export { type ParseOptions, parseTorrent, withTrackers } from './metainfo/torrent.js';
export type { Address } from './net/address.js';
export type { StorageKind } from './storage/port.js';
export type { SharedFile } from './tracker/data-shelf.js';
export type { UploadLimit } from './tracker/data-stream.js';
export type { TrackerOptions, TrackerServer } from './tracker/server.js';
export type { TrackerCounts } from './tracker/service.js';
export { VERSION } from './version.js';
export type { FileStamp } from './work/file-stamp.js';
