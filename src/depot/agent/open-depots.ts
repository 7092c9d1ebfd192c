/** The depots of an agent, be it one or several, and what its log says of them. */
import type { Log } from '../../log.js';
import { VERSION } from '../../version.js';
import type { AgentOptions } from './api.js';
import { DepotClient } from './depot-client.js';
import { checkDepotUrls } from './depot-list.js';
import type { DepotPort } from './depot-port.js';
import { Depots } from './depots.js';

export interface OpenDepots {
  readonly client: DepotPort;
  /** From now on the log is told; and who is given when another one is asked first, or it is there again. */
  listen(onOther: () => void): void;
}

const LOOPBACK = /^http:\/\/(?:127\.|localhost[:/]|localhost$|\[::1\])/;

/** @throws HaulError BAD_ARGUMENT */
export function openDepots(options: AgentOptions, log: Log): OpenDepots {
  const urls = checkDepotUrls(options.depot);
  const token = options.token ?? null;
  const common = { token, ca: options.engine?.ca, userAgent: `Swarmhaul-agent/${VERSION}` };
  if (token !== null && urls.some((url) => url.startsWith('https:')))
    for (const url of urls.filter((one) => one.startsWith('http:') && !LOOPBACK.test(one)))
      log('warn', `the token goes to ${url} without TLS, beside depots that have it`, { code: 'PLAIN_TOKEN' });
  return urls.length === 1
    ? openOne(new DepotClient({ ...common, url: urls[0]! }), log)
    : openSeveral(common, urls, log);
}

function openOne(client: DepotClient, log: Log): OpenDepots {
  return {
    client,
    listen: (onOther) => {
      client.onChange = (isAway) => {
        if (isAway)
          log('warn', `the depot ${client.url} cannot be reached; what is cached is served`, { code: 'DEPOT_AWAY' });
        else log('info', `the depot ${client.url} answers`);
        if (isAway) return;
        onOther();
        client.warmUp();
      };
    },
  };
}

function openSeveral(
  common: Omit<ConstructorParameters<typeof Depots>[0], 'urls'>,
  urls: readonly string[],
  log: Log,
): OpenDepots {
  const client = new Depots({ ...common, urls });
  return {
    client,
    listen: (onOther) => {
      client.onDepot = (url, isAway) => {
        const then = client.isAway === true ? 'what is cached is served' : `${client.url} is asked`;
        if (isAway) log('warn', `the depot ${url} cannot be reached; ${then}`, { code: 'DEPOT_AWAY' });
        else log('info', `the depot ${url} answers`);
        if (!isAway) onOther();
      };
      client.onLie = (url) =>
        log('warn', `the depot ${url} gave bytes that are not those of the artifact`, { code: 'BAD_DEPOT' });
      client.onFirst = () => {
        log('debug', `the depot ${client.url} is asked first`);
        onOther();
        client.warmUp();
      };
    },
  };
}
