/** What others than users may change in an engine. */
import type { WorkPool } from '../work/port.js';
import type { OpenStorage } from './content.js';
import type { OutsideOptions } from './outside.js';

/**
 * Parts that the bench suite takes out or replaces to see what they cost, or that a command made before; not exported
 * by the package.
 */
export interface EngineInternals {
  /** Made with `makeEnginePool`; the engine closes it. */
  readonly pool?: WorkPool;
  readonly wrapPool?: (pool: WorkPool) => WorkPool;
  readonly openStorage?: OpenStorage;
  /** A name for each connection, so that two engines may hold many between them. */
  readonly makePeerId?: () => Buffer;
  readonly dialsPerSecond?: number;
  /** Default: `DEFAULTS.restAfterMs`. */
  readonly restAfterMs?: number;
  /** Default: what speaks to the gateway of the system. */
  readonly makeMappers?: OutsideOptions['makeMappers'];
}
