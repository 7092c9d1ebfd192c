/** Which depot is meant, and by which token: the options, else the environment, else the config file. */
import { existsSync } from 'node:fs';
import { HaulError } from '../errors.js';
import { readCertificates } from './certificates.js';
import type { DepotPlaceOptions } from './depot-options.js';
import { readSmallFile } from './small-file.js';

export interface DepotPlace {
  /** An agent, which asks the depot: it gets the token only for what is passed on. */
  readonly isAgent: boolean;
  /** Without a slash at its end; the first of `urls`. */
  readonly url: string;
  /** Of depots that share what they have: any of them does. One at least, each once. */
  readonly urls: readonly string[];
  readonly token: string | null;
  /** PEM, beside the usual ones. */
  readonly ca: string | null;
  readonly retentionDays: number | null;
}

/** That may be named: as many as an agent knows. */
const DEPOTS_MAX = 16;
/** What an Authorization header can hold. */
const TOKEN = /^[A-Za-z0-9._~+/=-]{1,512}$/;

/** Null: nobody names one. @throws HaulError BAD_ARGUMENT, and those of files that are named */
export async function findDepot(
  options: DepotPlaceOptions,
  env: NodeJS.ProcessEnv = process.env,
): Promise<DepotPlace | null> {
  const config = await ownConfig(env);
  const [given, from] =
    options.depot !== undefined ? [options.depot, '--depot'] : [env.SWARMHAUL_DEPOT || config.depot, 'depot'];
  const urls = given === undefined ? [] : checkUrls(given, from);
  const [url] = urls;
  return url === undefined ? null : { ...credentialsOf(options, env, config), url, urls, isAgent: false };
}

/** Each once, without slashes at their ends. A text may name several, commas between. @throws HaulError BAD_ARGUMENT */
function checkUrls(given: string | readonly string[], from: string): readonly string[] {
  const named = typeof given === 'string' ? given.split(/[\s,]+/).filter((text) => text !== '') : given;
  for (const text of named) checkUrl(text, from);
  const urls = new Set(named.map((text) => new URL(text).href.replace(/\/+$/, '')));
  if (urls.size > DEPOTS_MAX)
    throw new HaulError('BAD_ARGUMENT', `${from}: ${urls.size} depots are named, ${DEPOTS_MAX} may be`, {
      option: from,
    });
  return [...urls];
}

/** @throws HaulError BAD_ARGUMENT, and those of files that are named */
export function credentialsOf(
  options: DepotPlaceOptions,
  env: NodeJS.ProcessEnv,
  config: Partial<import('./config-file.js').Config>,
): Pick<DepotPlace, 'token' | 'ca' | 'retentionDays'> {
  // What a secret was read from mostly ends with a line.
  const given = (options.token ?? (env.SWARMHAUL_TOKEN?.trim() || config.token))?.trim();
  const file = given === undefined ? config.tokenFile : given.startsWith('@') ? given.slice(1) : undefined;
  const token = file === undefined ? given : readSmallFile(file, 'read token', '--token').trim();
  if (token !== undefined && !TOKEN.test(token))
    throw new HaulError('BAD_ARGUMENT', 'the token has characters that no token has', { option: 'token' });
  const ca = options.ca ?? config.ca;
  return {
    token: token ?? null,
    ca: ca === undefined ? null : readCertificates(ca),
    retentionDays: config.retentionDays ?? null,
  };
}

/** @throws HaulError BAD_ARGUMENT: nobody names one */
export async function needDepot(options: DepotPlaceOptions): Promise<DepotPlace> {
  const place = await findDepot(options);
  if (place !== null) return place;
  throw new HaulError('BAD_ARGUMENT', 'which depot? Give --depot URL, or set SWARMHAUL_DEPOT', { option: 'depot' });
}

/** Empty where there is none. @throws HaulError BAD_ARGUMENT */
export async function ownConfig(env: NodeJS.ProcessEnv): Promise<Partial<import('./config-file.js').Config>> {
  const path = env.SWARMHAUL_CONFIG || plainPath(env);
  if (path === null || (!env.SWARMHAUL_CONFIG && !existsSync(path))) return {};
  return (await import('./config-file.js')).readConfig(path);
}

/** As `configPath`, without loading what reads it. */
function plainPath(env: NodeJS.ProcessEnv): string | null {
  const base = env.XDG_CONFIG_HOME || (env.HOME ? `${env.HOME}/.config` : null);
  return base === null ? null : `${base}/haul/config.json`;
}

/** @throws HaulError BAD_ARGUMENT */
export function checkUrl(url: string, option: string): void {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (parsed === null || !/^https?:$/.test(parsed.protocol) || parsed.search !== '' || parsed.hash !== '')
    throw new HaulError('BAD_ARGUMENT', `${option}: it is an http:// or https:// URL without a query`, { option });
  if (parsed.username !== '' || parsed.password !== '')
    throw new HaulError('BAD_ARGUMENT', `${option}: the token goes into --token or SWARMHAUL_TOKEN`, { option });
}
