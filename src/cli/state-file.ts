/** Where a tracker keeps its peers, and the DHT its nodes, between two runs, unless it is told. */
import { homedir, hostname } from 'node:os';
import { join } from 'node:path';
import { Option } from 'commander';

/** For `haul track` and `haul share`. */
export function stateOptions(): Option[] {
  return [
    new Option(
      '--state <file>',
      'keep the peers of the tracker over a restart in this file (default: one per host name, address and port, in ' +
        '$STATE_DIRECTORY, $XDG_STATE_HOME/haul or ~/.local/state/haul)',
    ),
    new Option('--no-state', 'keep them in memory only'),
  ];
}

/**
 * The file for `--state`, or for nothing said; null for none. A service has STATE_DIRECTORY (systemd), a user
 * XDG_STATE_HOME. The name has host and port in it, since folders of users may be shared by machines. A tracker on any
 * free port is never the same again, and a user without a home (a container with any number for a user) has no place:
 * nothing is kept.
 */
export function stateFileOf(
  {
    state,
    host,
    port,
  }: { readonly state?: string | boolean; readonly host?: string | undefined; readonly port: number },
  env: NodeJS.ProcessEnv = process.env,
  home: () => string = homedir,
): string | null {
  if (typeof state === 'string') return state;
  if (state === false || port === 0) return null;
  const base = stateFolder(env, home);
  if (base === null) return null;
  const place = `${hostname()}-${host ?? 'all'}-${port}`.replace(/[^A-Za-z0-9.-]/g, '_');
  return join(base, `tracker-${place}`);
}

/** Where the nodes of the DHT are kept: one file for all commands of a user; null: there is no place. */
export function dhtStateFile(env: NodeJS.ProcessEnv = process.env, home: () => string = homedir): string | null {
  const base = stateFolder(env, home);
  return base === null ? null : join(base, 'dht-nodes');
}

function stateFolder(env: NodeJS.ProcessEnv, home: () => string): string | null {
  const service = env.STATE_DIRECTORY?.split(':', 1)[0];
  if (service) return service;
  if (env.XDG_STATE_HOME) return join(env.XDG_STATE_HOME, 'haul');
  try {
    return join(home(), '.local', 'state', 'haul');
  } catch {
    // Neither HOME nor an entry in the list of users.
    return null;
  }
}
