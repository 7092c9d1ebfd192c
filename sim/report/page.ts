/** One self-contained HTML page of simulated scenarios: no script, no asset from elsewhere. Pure. */
import { STYLE } from '../../bench/report/style.js';
import { COLOURS, escapeText } from '../../bench/report/svg.js';
import { shortNumber } from '../../bench/support/results.js';
import type { Curve, Outcome } from '../scenario.js';
import { completionSvg } from './completion-svg.js';
import type { ScenarioRun, SimReport } from './record.js';
import { barText, effortText, figuresText, figureText, parametersText, verdict } from './table.js';

const VERDICTS = `.met { color: var(--c2); } .missed { color: var(--c4); font-weight: 700; }
td.text { text-align: left; }
i.d1 { border-top: 2px dashed; display: inline-block; width: 1.4rem; margin: 0 .35rem .25rem .8rem; }`;
const HEAD = ['scenario', 'figure', 'value', 'bar', '', 'seed', 'command'];

function row(cells: readonly string[], verdictText: string): string {
  const kind = verdictText === 'met' ? 'met' : verdictText === 'small' ? 'soft' : 'missed';
  const shown = cells.map((cell, column) => {
    const isText = column === 1 || column === 6;
    const text = column === 6 ? `<code>${escapeText(cell)}</code>` : escapeText(cell);
    if (column === 4) return `<td class="${kind}">${text}</td>`;
    return isText ? `<td class="text">${text}</td>` : `<td>${text}</td>`;
  });
  return `<tr>${shown.join('')}</tr>`;
}

function rows({ scenario, seed, command, isSmall, outcome }: ScenarioRun): string[] {
  if (outcome === null) return [row([scenario, 'the run', '', '', 'FAILED', String(seed), command], 'FAILED')];
  return outcome.checks.map((check) => {
    const text = verdict(check, isSmall);
    const value = figureText(check.value, check.unit);
    return row([scenario, check.name, value, barText(check), text, String(seed), command], text);
  });
}

function table(runs: readonly ScenarioRun[]): string {
  const head = HEAD.map((name) => `<th>${name}</th>`).join('');
  return (
    `<div class="wide"><table><thead><tr>${head}</tr></thead>\n` +
    `<tbody>\n${runs.flatMap(rows).join('\n')}\n</tbody></table></div>`
  );
}

function legend(curves: readonly Curve[]): string {
  const lines = curves.map(({ label, idealSeconds }, index) => {
    const key = `<span class="key c${index % COLOURS}"></span>${escapeText(label)}`;
    const ideal = idealSeconds === undefined ? '' : `<i class="d1"></i>ideal ${shortNumber(idealSeconds)} s`;
    return `<div>${key}${ideal}</div>`;
  });
  return `<figcaption>${lines.join('')}</figcaption>`;
}

function plot({ title, curves }: Outcome): string {
  const shown = curves.filter(({ seconds }) => seconds.length > 0);
  if (shown.length === 0) return '';
  const name = `${title}: share of hosts that are done`;
  return `<div class="plots"><figure>${completionSvg(name, shown)}\n${legend(shown)}</figure></div>`;
}

function section(run: ScenarioRun): string {
  const { scenario, command, outcome, failure, isSmall } = run;
  const title = escapeText(outcome?.title ?? run.title);
  const facts =
    outcome === null
      ? [`<p class="missed">${escapeText(failure ?? 'failed')}</p>`]
      : [parametersText(outcome), figuresText(outcome), effortText(run, outcome)].map(
          (fact) => `<p class="soft">${escapeText(fact)}</p>`,
        );
  return [
    `<section id="${escapeText(scenario)}"><h2>${title}${isSmall ? ' (small)' : ''}</h2>`,
    `<p><code>${escapeText(command)}</code></p>`,
    ...facts,
    outcome === null ? '' : plot(outcome),
    '</section>',
  ].join('\n');
}

export function simPage({ runs, commit, node, startedAt }: SimReport): string {
  const links = runs.map(({ scenario }) => `<a href="#${escapeText(scenario)}">${escapeText(scenario)}</a>`);
  const facts = [startedAt, `commit ${commit ?? 'unknown'}`, `Node ${node}`];
  return [
    '<!doctype html>',
    '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
    `<title>Swarmhaul: simulated swarms</title><style>${STYLE}${VERDICTS}</style></head><body>`,
    '<h1>Swarmhaul: simulated swarms</h1>',
    `<p class="soft">${escapeText(facts.join(' · '))}</p>`,
    '<p class="soft">Virtual time. The ideal is what sizes and caps allow; bars hold for the full size.</p>',
    `<nav>${links.join(' ')}</nav>`,
    table(runs),
    ...runs.map(section),
    '</body></html>\n',
  ].join('\n');
}
