/** Outcomes as text. Pure. */
import { shortNumber } from '../../bench/support/results.js';
import { type Check, isMet, type Outcome } from '../scenario.js';
import type { ScenarioRun } from './record.js';

/** 'met', 'MISSED', or 'small' where the bar does not hold. */
export function verdict(check: Check, isSmall: boolean): string {
  if (isSmall) return 'small';
  return isMet(check) ? 'met' : 'MISSED';
}

export function figureText(value: number, unit: string): string {
  return unit === '%' ? `${shortNumber(value)} %` : `${shortNumber(value)} ${unit}`.trimEnd();
}

export function barText({ comparison, bar, unit }: Check): string {
  return `${comparison === '<=' ? '≤' : '≥'} ${figureText(bar, unit)}`;
}

export function parametersText({ parameters }: Outcome): string {
  return Object.entries(parameters)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
}

export function figuresText({ figures }: Outcome): string {
  return Object.entries(figures)
    .map(([name, value]) => `${name} ${shortNumber(value)}`)
    .join(', ');
}

export function effortText({ realSeconds }: ScenarioRun, { events, eventHash, virtualSeconds }: Outcome): string {
  const virtual = `${shortNumber(virtualSeconds)} virtual s in ${shortNumber(realSeconds)} s`;
  return `${events.toLocaleString('en')} events, hash ${eventHash}, ${virtual}`;
}

/** What is known of one run besides its checks. */
export function runText(run: ScenarioRun): string {
  const { scenario, title, seed, outcome, failure, command } = run;
  if (outcome === null) return `${scenario}: ${title}\n  FAILED: ${failure}\n  replay: ${command}\n`;
  const facts = [parametersText(outcome), figuresText(outcome), effortText(run, outcome)];
  return `${scenario}: ${outcome.title}, seed ${seed}\n${facts.map((fact) => `  ${fact}\n`).join('')}`;
}

const HEAD = ['scenario', 'figure', 'value', 'bar', '', 'seed', 'command'];

/** A row per check, and one per run that failed. */
export function checksTable(runs: readonly ScenarioRun[]): string {
  const rows = runs.flatMap(({ scenario, seed, command, isSmall, outcome, failure }) => {
    if (outcome === null) return [[scenario, failure ?? '', '', '', 'FAILED', String(seed), command]];
    return outcome.checks.map((check) => {
      const value = figureText(check.value, check.unit);
      return [scenario, check.name, value, barText(check), verdict(check, isSmall), String(seed), command];
    });
  });
  const all = [HEAD, ...rows];
  const widths = HEAD.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd();
  return `${all.map(line).join('\n')}\n`;
}
