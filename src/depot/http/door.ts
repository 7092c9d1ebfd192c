/** The depot's HTTP server put together: routes, handler, socket. Knows nothing of what is behind `Inside`. */

import type { IncomingMessage } from 'node:http';
import { hostname } from 'node:os';
import { urlHost } from '../../net/address.js';
import type { RateGate } from '../../rates-api.js';
import type { DepotRequest } from '../api.js';
import { INFO_HEADER } from '../depot-said.js';
import { arrivalRoutes } from './arrival-routes.js';
import { artifactRoutes } from './artifact-routes.js';
import { folderRoutes } from './folder-routes.js';
import type { GuardRules } from './guard.js';
import { Handler } from './handler.js';
import type { Inside } from './inside.js';
import { listingRoutes } from './listing-routes.js';
import type { Route } from './route.js';
import { type ConnectionGuard, type HttpServer, startServer } from './server.js';
import { serviceRoutes, withOpenApi } from './service-routes.js';
import { pinRoutes, statusRoutes } from './status-routes.js';
import { swarmRoutes } from './swarm-routes.js';
import type { Certificate } from './tls.js';
import type { Anonymous, TokenTable } from './tokens.js';

export interface DoorOptions {
  readonly host: string;
  readonly port: number;
  /** Names by which it may be reached, beside addresses, localhost and the name of this machine. */
  readonly allowHosts: readonly string[];
  /** Origins whose pages may read and write. */
  readonly corsOrigins: readonly string[];
  /** "https://depot.example.org": what links begin with; null: as the client reached us. */
  readonly publicUrl: string | null;
  readonly tokens: () => TokenTable;
  readonly anonymous: Anonymous;
  readonly certificate: Certificate | null;
  readonly connections: ConnectionGuard;
  /** Protocols of others: they are no part of our OpenAPI. */
  readonly otherRoutes?: readonly Route[];
  readonly onRequest: (record: DepotRequest) => void;
  readonly onTrouble: (error: unknown, method: string, path: string) => void;
  readonly wallClockMs: () => number;
  readonly now: () => number;
  /** What is sent passes it. */
  readonly gate?: RateGate;
}

export function routesOf(inside: Inside, anonymous: Anonymous): Route[] {
  return withOpenApi(
    [
      ...serviceRoutes(inside, { [INFO_HEADER]: '1' }),
      ...(inside.status === undefined ? [] : statusRoutes(inside.status)),
      ...listingRoutes(inside),
      ...artifactRoutes(inside),
      ...arrivalRoutes(inside),
      ...pinRoutes(inside),
      ...swarmRoutes(inside),
      ...folderRoutes(inside),
    ],
    inside,
    anonymous,
  );
}

/** @throws HaulError PORT_IN_USE, NO_PERMISSION, IO */
export function openDoor(inside: Inside, options: DoorOptions): Promise<HttpServer> {
  const { certificate, publicUrl } = options;
  const scheme = certificate === null ? 'http' : 'https';
  const baseOf = (authority: string, _request: IncomingMessage): string => publicUrl ?? `${scheme}://${authority}`;
  const handler = new Handler({
    ...options,
    routes: [...routesOf(inside, options.anonymous), ...(options.otherRoutes ?? [])],
    rules: rulesOf(options),
    isBehindProxy: publicUrl !== null,
    baseOf,
  });
  return startServer({ ...options, handler });
}

function rulesOf({ allowHosts, corsOrigins, publicUrl }: DoorOptions): GuardRules {
  const hosts = ownHosts(allowHosts);
  if (publicUrl !== null) hosts.add(new URL(publicUrl).hostname.toLowerCase());
  return { hosts, origins: new Set(corsOrigins) };
}

/** Names by which this machine is reached, and those that its user names. */
export function ownHosts(allowHosts: readonly string[]): Set<string> {
  const machine = hostname().toLowerCase();
  return new Set([machine, machine.split('.', 1)[0]!, ...allowHosts.map((name) => name.toLowerCase())]);
}

/** Where it can be reached from this machine. */
export function localUrl({ host, port }: HttpServer, isTls: boolean): string {
  const reached = host === '::' || host === '0.0.0.0' ? '127.0.0.1' : host;
  return `${isTls ? 'https' : 'http'}://${urlHost(reached)}:${port}`;
}
