/**
 * Globs of listings: `*`, `?`, `[…]` within a part of a name, `**` across parts, `{a,b}`. Pure. Matched by walking all
 * states at once, in time of pattern × name: patterns come from strangers, and a regular expression made of one can be
 * made to run for years.
 */
import { DEPOT_HTTP_LIMITS } from './limits.js';

type Step =
  | { readonly kind: 'one'; readonly isOne: (character: string) => boolean }
  /** Any number of characters; with slashes or without. */
  | { readonly kind: 'many'; readonly crosses: boolean };

export interface NameTest {
  (name: string): boolean;
  /** States of all its machines: the work of a name is so many times its characters, at most. */
  readonly steps: number;
}

/** @returns the test, or what is wrong with the pattern */
export function namePattern(pattern: string): NameTest | string {
  if (pattern.length > DEPOT_HTTP_LIMITS.patternCharacters)
    return `a pattern has at most ${DEPOT_HTTP_LIMITS.patternCharacters} characters`;
  const plain = alternativesOf(pattern);
  if (plain === null)
    return `the braces of a pattern make at most ${DEPOT_HTTP_LIMITS.patternAlternatives} alternatives`;
  const machines = plain.map(stepsOf);
  const total = machines.reduce((sum, steps) => sum + steps.length, 0);
  if (total > DEPOT_HTTP_LIMITS.patternSteps)
    return `the alternatives of a pattern have at most ${DEPOT_HTTP_LIMITS.patternSteps} characters together`;
  return Object.assign((name: string) => machines.some((steps) => matches(steps, name)), { steps: total });
}

/** Braces taken apart, the innermost first; null: too many. A brace without its other half is itself. */
function alternativesOf(pattern: string): readonly string[] | null {
  const done: string[] = [];
  const open = [pattern];
  while (open.length > 0) {
    const text = open.pop()!;
    const braces = /\{([^{}]*,[^{}]*)\}/.exec(text);
    if (braces === null) done.push(text);
    else {
      const before = text.slice(0, braces.index);
      const after = text.slice(braces.index + braces[0].length);
      for (const choice of braces[1]!.split(',')) open.push(before + choice + after);
    }
    if (done.length + open.length > DEPOT_HTTP_LIMITS.patternAlternatives) return null;
  }
  return done;
}

function stepsOf(pattern: string): readonly Step[] {
  const characters = [...pattern];
  const steps: Step[] = [];
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at]!;
    if (character === '*') {
      const crosses = characters[at + 1] === '*';
      while (characters[at + 1] === '*') at++;
      steps.push({ kind: 'many', crosses });
      // `**/x` is x at the top as well.
      if (crosses && characters[at + 1] === '/' && (at < 2 || characters[at - 2] === '/')) at++;
    } else if (character === '?') steps.push({ kind: 'one', isOne: (other) => other !== '/' });
    else if (character === '\\' && at + 1 < characters.length) steps.push(literal(characters[++at]!));
    else {
      const close = character === '[' ? characters.indexOf(']', at + 2) : -1;
      if (close < 0) steps.push(literal(character));
      else {
        steps.push(classOf(characters.slice(at + 1, close)));
        at = close;
      }
    }
  }
  return steps;
}

function literal(character: string): Step {
  return { kind: 'one', isOne: (other) => other === character };
}

function classOf(inside: readonly string[]): Step {
  const isNegated = inside[0] === '!' || inside[0] === '^';
  const members = isNegated ? inside.slice(1) : inside;
  const ranges: [from: string, to: string][] = [];
  for (let at = 0; at < members.length; at++) {
    const isRange = members[at + 1] === '-' && at + 2 < members.length;
    ranges.push([members[at]!, members[isRange ? at + 2 : at]!]);
    if (isRange) at += 2;
  }
  const isMember = (other: string): boolean => ranges.some(([from, to]) => other >= from && other <= to);
  return { kind: 'one', isOne: (other) => other !== '/' && isMember(other) !== isNegated };
}

function matches(steps: readonly Step[], name: string): boolean {
  let now = new Uint8Array(steps.length + 1);
  let next = new Uint8Array(steps.length + 1);
  now[0] = 1;
  const skipStars = (states: Uint8Array): void => {
    for (let at = 0; at < steps.length; at++) if (states[at] === 1 && steps[at]!.kind === 'many') states[at + 1] = 1;
  };
  skipStars(now);
  for (const character of name) {
    next.fill(0);
    for (let at = 0; at < steps.length; at++) {
      if (now[at] !== 1) continue;
      const step = steps[at]!;
      if (step.kind === 'one') {
        if (step.isOne(character)) next[at + 1] = 1;
      } else if (step.crosses || character !== '/') next[at] = 1;
    }
    skipStars(next);
    [now, next] = [next, now];
    if (!now.includes(1)) return false;
  }
  return now[steps.length] === 1;
}
