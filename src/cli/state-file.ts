/** Where a tracker keeps its peers between two runs, unless it is told. */
import { homedir, hostname } from 'node:os';
import { join } from 'node:path';
import { Option } from 'commander';

/** For `haul track` and `haul share`. */
export function stateOptions(): Option[] {
  return [
    new Option(
      '--state <file>',
      'keep the peers of the tracker over a restart in this file (default: one per port in ~/.local/state/haul)',
    ),
    new Option('--no-state', 'keep them in memory only'),
  ];
}

/**
 * The file for `--state`, or for nothing said; null for none. A service has STATE_DIRECTORY (systemd), a user XDG_STATE_HOME. The name has
 * host and port in it, since folders of users may be shared by machines. A tracker on any free port is never the same again: nothing is kept.
 */
export function stateFileOf(
  {
    state,
    host,
    port,
  }: { readonly state?: string | boolean; readonly host?: string | undefined; readonly port: number },
  env: NodeJS.ProcessEnv = process.env,
): string | null {
  if (typeof state === 'string') return state;
  if (state === false || port === 0) return null;
  const service = env.STATE_DIRECTORY?.split(':', 1)[0];
  const base = service || join(env.XDG_STATE_HOME || join(homedir(), '.local', 'state'), 'haul');
  const place = `${hostname()}-${host ?? 'all'}-${port}`.replace(/[^A-Za-z0-9.-]/g, '_');
  return join(base, `tracker-${place}`);
}
