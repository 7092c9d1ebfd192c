/** A depository whose changes are told to whoever listens. */
import type { Artifacts } from './http/inside.js';
import type { Listeners } from './http/listeners.js';
import { shortName } from './names.js';

export function telling(inner: Artifacts, listeners: Listeners): Artifacts {
  return {
    publish: async (request) => {
      const published = await inner.publish(request);
      const { name, sha256, lengthBytes, infoHash } = published.row;
      const { kind } = published;
      listeners.tell({ type: 'publish', name, data: { name: shortName(name), kind, sha256, lengthBytes, infoHash } });
      return published;
    },
    find: (name) => inner.find(name),
    read: (row, range) => inner.read(row, range),
    remove: async (name, onlyIf) => {
      const row = await inner.remove(name, onlyIf);
      if (row !== null) listeners.tell({ type: 'remove', name, data: { name: shortName(name), sha256: row.sha256 } });
      return row;
    },
    pin: async (name, isPinned) => {
      const row = await inner.pin(name, isPinned);
      if (row !== null) listeners.tell({ type: 'pin', name, data: { name: shortName(name), isPinned } });
      return row;
    },
    torrent: (row, announceUrl, webSeedUrl) => inner.torrent(row, announceUrl, webSeedUrl),
  };
}
