/** What one invocation has to tell: every scenario it ran, met or not, with what is needed to run it again. */
import { currentCommit } from '../../bench/support/machine.js';
import { isMet, type Outcome } from '../scenario.js';

export interface ScenarioRun {
  readonly scenario: string;
  readonly title: string;
  readonly seed: number;
  readonly isSmall: boolean;
  /** The line that prints the same figures and the same event hash. */
  readonly command: string;
  readonly realSeconds: number;
  /** Null when the run did not come to its end. */
  readonly outcome: Outcome | null;
  readonly failure: string | null;
}

export interface SimReport {
  /** Ends in `+changes` when the sources differ from it; null without git. */
  readonly commit: string | null;
  readonly node: string;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  readonly runs: readonly ScenarioRun[];
}

export function reportOf(startedAt: Date, runs: readonly ScenarioRun[]): SimReport {
  return { commit: currentCommit(), node: process.version, startedAt: startedAt.toISOString(), runs };
}

export function commandOf(scenario: string, seed: number, isSmall: boolean): string {
  return `npm run sim -- ${scenario} --seed ${seed}${isSmall ? ' --small' : ''}`;
}

/** The run ended, and every bar that holds for it is met. Bars are for the full size. */
export function isGood({ outcome, isSmall }: ScenarioRun): boolean {
  return outcome !== null && (isSmall || outcome.checks.every(isMet));
}
