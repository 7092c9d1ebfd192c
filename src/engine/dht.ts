/** The DHT of an engine, as its options say. Part of the composition root. */
import type { EngineOptions } from '../api.js';
import type { Dht } from '../dht/dht.js';
import type { Log } from '../log.js';
import { makeAddress } from '../net/address.js';

/**
 * Loaded when it is asked for.
 * @param hosts our addresses, one of each family at most; empty: all
 * @param peerPort of TCP; by the same number of UDP others guess it
 * @throws HaulError PORT_IN_USE, NO_PERMISSION, IO
 */
export async function openDht(
  { dht = {} }: EngineOptions,
  hosts: readonly string[],
  peerPort: number | null,
  random: () => number,
  log: Log,
): Promise<Dht> {
  const { Dht: Opened } = await import('../dht/dht.js');
  const { port, nodes = [], stateFile, readOnly = false } = dht;
  return Opened.open({
    ports: port === undefined ? [peerPort ?? 0, 0] : [port],
    hosts,
    nodes: nodes.flatMap((node) => makeAddress(node.host, node.port) ?? []),
    stateFile,
    isReadOnly: readOnly,
    random,
    log,
  });
}
