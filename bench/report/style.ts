function coloursOf(index: number): string {
  const colour = `var(--c${index})`;
  return (
    `svg rect.c${index} { fill: ${colour}; } .curve.c${index} { color: ${colour}; } ` +
    `.key.c${index} { background: ${colour}; }`
  );
}

/** The page's whole style: system fonts, light and dark by the reader's setting, nothing loaded. */
export const STYLE = `
:root { color-scheme: light dark; --back: #fff; --card: #f6f7f9; --text: #1b1f24; --soft: #59636e; --line: #d5dae0;
  --c0: #0b66c3; --c1: #c2570c; --c2: #1a7f37; --c3: #8a3fc7;
  --c4: #b3261e; --c5: #0e7c86; --c6: #7a6400; --c7: #a0307a; }
@media (prefers-color-scheme: dark) { :root {
  --back: #0f1318; --card: #171c23; --text: #e6e9ed; --soft: #9aa5b1; --line: #303842;
  --c0: #58a6ff; --c1: #f0883e; --c2: #56d364; --c3: #c297ff;
  --c4: #ff7b72; --c5: #4fd1d9; --c6: #e3c341; --c7: #f778ba; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 76rem; background: var(--back); color: var(--text);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; }
h2 { font-size: 1.3rem; margin: 2.8rem 0 .2rem; border-top: 1px solid var(--line); padding-top: 1.4rem; }
h3 { font-size: .95rem; margin: 0 0 .5rem; font-family: ui-monospace, monospace; }
p { margin: .2rem 0; } .soft { color: var(--soft); } code { font-family: ui-monospace, monospace; font-size: .92em; }
a { color: var(--c0); } nav a { margin-right: .9rem; white-space: nowrap; }
.wide { overflow-x: auto; margin: .9rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .86rem; }
th, td { padding: .3rem .7rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { font-weight: 600; vertical-align: bottom; } th:first-child, td:first-child { text-align: left; }
td small { display: block; color: var(--soft); } tbody tr:hover { background: var(--card); }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 30rem), 1fr)); gap: 1rem; }
figure { margin: 0; padding: .8rem; background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
figcaption { font-size: .85rem; color: var(--soft); margin-top: .4rem; }
summary { cursor: pointer; margin: .8rem 0; color: var(--c0); }
svg { width: 100%; height: auto; display: block; font: 12px system-ui, sans-serif; } svg text { fill: var(--text); }
svg .tick, svg .value { fill: var(--soft); font-variant-numeric: tabular-nums; }
svg .axis, svg .grid, svg .spread { fill: none; stroke: var(--soft); }
svg .grid { stroke: var(--line); } svg .spread { stroke: var(--text); }
svg .curve path { fill: none; stroke: currentColor; stroke-width: 2; } svg .curve circle { fill: currentColor; }
svg .curve .whisker { stroke-width: 1; } .d1 .line, i.d1 { stroke-dasharray: 6 3; } .d2 .line { stroke-dasharray: 2 3; }
.d3 .line { stroke-dasharray: 8 3 2 3; }
.key { display: inline-block; width: .8rem; height: .8rem; border-radius: 2px; margin: 0 .35rem -.05rem 0; }
${Array.from({ length: 8 }, (_, index) => coloursOf(index)).join('\n')}
@media print { nav { display: none; } figure { break-inside: avoid; } }
`;
