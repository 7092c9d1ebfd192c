/** The config file: where the depot is, and who we are to it. Loaded only where there is one: it brings zod. */
import { readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { DEPOT_LIMITS } from '../depot/limits.js';
import { fromSystemError, HaulError } from '../errors.js';

const httpUrl = z.url({ protocol: /^https?$/ });

export const CONFIG = z.strictObject({
  depot: z
    .union([httpUrl, z.array(httpUrl).min(1).max(16)])
    .optional()
    .describe('URL of the depot; or a list of those of several that share what they have'),
  agent: httpUrl.optional().describe('URL of the agent of this host, which is asked instead'),
  token: z.string().min(1).optional().describe('token for the depot; then nobody else may read this file'),
  tokenFile: z.string().min(1).optional().describe('a file that holds the token; relative to the config file'),
  ca: z.string().min(1).optional().describe('certificates (PEM) that the depot may be signed with; relative, too'),
  retentionDays: z
    .int()
    .min(1)
    .max(DEPOT_LIMITS.retentionDays)
    .optional()
    .describe('of `haul publish`, unless it is told another'),
});

export type Config = z.infer<typeof CONFIG>;

/** $SWARMHAUL_CONFIG, else haul/config.json in $XDG_CONFIG_HOME or ~/.config. Null: there is no such place. */
export function configPath(env: NodeJS.ProcessEnv = process.env, home: () => string = homedir): string | null {
  if (env.SWARMHAUL_CONFIG) return env.SWARMHAUL_CONFIG;
  if (env.XDG_CONFIG_HOME) return join(env.XDG_CONFIG_HOME, 'haul', 'config.json');
  try {
    return join(home(), '.config', 'haul', 'config.json');
  } catch {
    return null;
  }
}

/** @throws HaulError NOT_FOUND, NO_PERMISSION, IO, BAD_ARGUMENT: each fault in a line of `facts.details` */
export function readConfig(path: string): Config {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw fromSystemError(error, 'read config', path);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new HaulError('BAD_ARGUMENT', `config ${path}: it is not JSON`, { path }, error);
  }
  const parsed = CONFIG.safeParse(json);
  if (!parsed.success) {
    const details = parsed.error.issues.map(({ path: where, message }) => `${where.join('.') || 'config'}: ${message}`);
    throw new HaulError('BAD_ARGUMENT', `config ${path}: ${details[0]}`, { path, details: details.join('\n') });
  }
  const { token, tokenFile, ca } = parsed.data;
  if (token !== undefined && tokenFile !== undefined)
    throw new HaulError('BAD_ARGUMENT', `config ${path}: token and tokenFile exclude each other`, { path });
  if (token !== undefined && (statSync(path).mode & 0o044) !== 0)
    throw new HaulError('NO_PERMISSION', `config ${path}: it holds a token, and others can read it; chmod 600`, {
      path,
    });
  const beside = (file: string | undefined, name: string) => {
    return file === undefined ? {} : { [name]: resolve(dirname(path), file) };
  };
  return { ...parsed.data, ...beside(tokenFile, 'tokenFile'), ...beside(ca, 'ca') };
}
