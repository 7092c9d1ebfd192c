/** Whom the tracker of this process knows of a torrent: asked as a leech that does not listen, and is not listed. */
import { type Address, ipText, makeAddress } from '../../net/address.js';
import type { PeerTable } from '../../tracker/peer-table.js';
import type { Swarms } from '../../tracker/swarms.js';

/** Of this machine: it is told of peers here, too. Port 0: nobody can be sent there. */
const HERE = Uint8Array.of(127, 0, 0, 1, 0, 0);

export function trackerPeers(
  swarms: Pick<Swarms, 'announce'>,
  nowMs: number,
  infoHash: Buffer,
  limit: number,
): Address[] {
  const view = swarms.announce(
    {
      infoHash: infoHash.toString('latin1'),
      peerId: '\0'.repeat(20),
      port: 0,
      isSeed: false,
      event: '',
      numwant: limit,
      isCompact: true,
      noPeerId: true,
    },
    HERE,
    nowMs,
  );
  if (typeof view === 'string') return [];
  const found: Address[] = [];
  const take = (table: PeerTable, picks: readonly number[], count: number): void => {
    for (const slot of picks.slice(0, count)) {
      const compact = table.address(slot);
      const ipBytes = compact.length - 2;
      const port = (compact[ipBytes]! << 8) | compact[ipBytes + 1]!;
      const address = makeAddress(ipText(compact, 0, ipBytes), port);
      if (address !== null) found.push(address);
    }
  };
  take(view.table4, view.picks4, view.count4);
  take(view.table6, view.picks6, view.count6);
  return found;
}
