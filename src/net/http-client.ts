/**
 * The HTTP connections of undici, loaded with the first request, and of its hundred files only the twenty-six that make
 * one: all of it takes 150 ms of a processor that a short download does not have.
 */
import { createRequire } from 'node:module';
import type { Agent, buildConnector, Dispatcher } from 'undici';
import { asSystemLimit } from '../errors.js';
import { type ConnectOptions, connectFrom } from './connect-from.js';
import type { Own } from './own-host.js';

/** What is needed of an undici `Agent`; a whole one will do. */
export interface Requests {
  request(options: Dispatcher.RequestOptions): Promise<Dispatcher.ResponseData>;
}

/** Answers that are streamed: undici's own way, without a stream between. */
export interface Dispatches {
  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean;
}

type Request = (this: Dispatcher, options: Dispatcher.RequestOptions) => Promise<Dispatcher.ResponseData>;

interface Loaded {
  readonly Agent: new (options?: Agent.Options) => Agent;
  readonly request: Request;
  readonly buildConnector: typeof buildConnector;
}

let loaded: Loaded | null = null;

function load(): Loaded {
  const require = createRequire(import.meta.url);
  try {
    return {
      Agent: require('undici/lib/dispatcher/agent.js') as Loaded['Agent'],
      request: require('undici/lib/api/api-request.js') as Request,
      buildConnector: require('undici/lib/core/connect.js') as Loaded['buildConnector'],
    };
  } catch {
    // Its parts have other places in this version.
    const { Agent, buildConnector } = require('undici') as typeof import('undici');
    return { Agent, request: Agent.prototype.request as Request, buildConnector };
  }
}

export class HttpClient implements Requests, Dispatches {
  readonly #options: Agent.Options;
  readonly #own: Own | undefined;
  #agent: Agent | null = null;
  #isDestroyed = false;

  /** @param own from which of our addresses, known with the first request; default: whichever the system takes */
  constructor(options: Agent.Options = {}, own?: Own) {
    this.#options = options;
    this.#own = own;
  }

  /**
   * @throws errors of undici and of the system, see their `code`; UND_ERR_DESTROYED after `destroy`; HaulError
   * SYSTEM_LIMIT
   */
  async request(options: Dispatcher.RequestOptions): Promise<Dispatcher.ResponseData> {
    const { agent, request } = this.#open();
    try {
      return await request.call(agent, options);
    } catch (error) {
      // Its parser is WebAssembly, for which Node reserves ten gigabytes of addresses.
      const limit = asSystemLimit(error);
      throw limit?.facts.resource === 'address space' ? limit : error;
    }
  }

  /** @throws UND_ERR_DESTROYED after `destroy`; what goes wrong later goes to the handler */
  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    return this.#open().agent.dispatch(options, handler);
  }

  #open(): { readonly agent: Agent; readonly request: Request } {
    if (this.#isDestroyed) throw Object.assign(new Error('the client is destroyed'), { code: 'UND_ERR_DESTROYED' });
    loaded ??= load();
    this.#agent ??= new loaded.Agent(this.#optionsOf(loaded));
    return { agent: this.#agent, request: loaded.request };
  }

  #optionsOf({ buildConnector }: Loaded): Agent.Options {
    const own = this.#own?.();
    if (own?.isBound !== true) return this.#options;
    return { ...this.#options, connect: connectFrom(own, this.#options.connect as ConnectOptions, buildConnector) };
  }

  /** Ends what is under way and closes all connections. Idempotent. */
  async destroy(): Promise<void> {
    this.#isDestroyed = true;
    await this.#agent?.destroy();
  }
}

/** Options of `connect`: certificates (PEM) that are trusted besides those of Node. */
export function trusting(ca: readonly string[] | undefined): { readonly ca?: string[] } {
  if (ca === undefined) return {};
  // Given alone they would replace the others. Loaded here, for few name any.
  const { rootCertificates } = process.getBuiltinModule('node:tls');
  return { ca: [...rootCertificates, ...ca] };
}

let shared: HttpClient | null = null;

/** The connections of whoever brings none. */
export function sharedClient(): HttpClient {
  shared ??= new HttpClient();
  return shared;
}
