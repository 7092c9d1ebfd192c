/** How many connections to a port are open at once, at most, counted from outside (Linux, /proc/net/tcp). */
import { readFileSync } from 'node:fs';

const LOOK_MS = 100;
const ESTABLISHED = '01';

/** Connections whose far end is that port: each is counted once, at the end that dialled. */
export function countConnections(table: string, port: number): number {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return table.split('\n').filter((line) => {
    const [, , remote = '', state] = line.trim().split(/\s+/);
    return state === ESTABLISHED && remote.endsWith(wanted);
  }).length;
}

function heldNow(port: number): number {
  let held = 0;
  // An IPv6 socket that dials an IPv4 address is in the second table.
  for (const file of ['/proc/net/tcp', '/proc/net/tcp6']) {
    try {
      held += countConnections(readFileSync(file, 'latin1'), port);
    } catch {
      // A kernel without IPv6, or no Linux.
    }
  }
  return held;
}

/** Call the result when the time is over. */
export function watchConnections(port: number): () => number {
  let most = heldNow(port);
  const timer = setInterval(() => {
    most = Math.max(most, heldNow(port));
  }, LOOK_MS);
  return () => {
    clearInterval(timer);
    return most;
  };
}
