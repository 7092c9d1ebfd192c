/** How the page looks, in the light and in the dark. */
export const PAGE_STYLE = `:root {
  color-scheme: light dark;
  --back: #fbfbf9; --front: #1d211f; --soft: #565d59; --line: #cdd3cf; --lift: #ffffff;
  --mark: #1f6b47; --mark-front: #ffffff; --bad: #a11d1d; --some: #8fc7a9;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #141716; --front: #e6eae8; --soft: #a9b2ad; --line: #3a423e; --lift: #1c201e;
    --mark: #7fd1a5; --mark-front: #10201a; --bad: #ff9c94; --some: #2f6f4f;
  }
}
* { box-sizing: border-box }
body {
  font: 1rem/1.5 system-ui, sans-serif; color: var(--front); background: var(--back);
  max-width: 72rem; margin: 0 auto; padding: 0 1rem 2rem;
}
header { display: flex; flex-wrap: wrap; justify-content: space-between; align-items: center; gap: 0 1rem }
h1 { font-size: 1.4rem; margin: .8rem 0 }
h1 small { color: var(--soft); font-size: .9rem; font-weight: normal }
h2 { font-size: 1.1rem; margin: 0 0 .5rem }
h3 { font-size: 1rem; margin: .8rem 0 .3rem; overflow-wrap: anywhere }
section {
  background: var(--lift); border: 1px solid var(--line); border-radius: .5rem;
  padding: .8rem 1rem; margin: 0 0 1rem; min-width: 0;
}
p { margin: .4rem 0 }
#said:empty { margin: 0 }
ul, ol { margin: .3rem 0; padding-left: 1.3rem }
#uploads, #own-uploads, #problems, #map-text { list-style: none; padding: 0 }
li { overflow-wrap: anywhere }
dl { display: flex; flex-wrap: wrap; gap: .5rem 1.8rem; margin: 0 }
dl div { min-width: 6.5rem }
dt { color: var(--soft); font-size: .85rem }
dd { margin: 0; font-size: 1.15rem; font-variant-numeric: tabular-nums }
.scroll { overflow-x: auto }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line) }
th { color: var(--soft); font-size: .85rem; font-weight: 600 }
td { font-variant-numeric: tabular-nums; white-space: nowrap }
td.name, th.name {
  white-space: normal; overflow-wrap: anywhere; min-width: 12rem; font-weight: normal; font-size: 1rem;
}
.name { unicode-bidi: isolate }
a { color: var(--mark) }
button, input {
  font: inherit; color: inherit; background: var(--back); border: 1px solid var(--soft); border-radius: .3rem;
  padding: .15rem .6rem; max-width: 100%;
}
button { cursor: pointer }
button:disabled { color: var(--soft); cursor: default; border-color: var(--line) }
:focus-visible { outline: 3px solid var(--mark); outline-offset: 2px }
.hint, .soft { color: var(--soft) }
.bad { color: var(--bad) }
.state { border: 1px solid var(--line); border-radius: 1rem; padding: .1rem .6rem; font-size: .85rem }
.state.live { background: var(--mark); color: var(--mark-front); border-color: var(--mark) }
.state.lost { color: var(--bad); border-color: var(--bad) }
.bar { height: .5rem; background: var(--line); border-radius: .25rem; overflow: hidden }
.bar span { display: block; height: 100%; width: 0; background: var(--mark) }
progress { width: 12rem; max-width: 100%; accent-color: var(--mark) }
canvas { display: block; width: 100%; border: 1px solid var(--line) }
dialog {
  color: var(--front); background: var(--lift); border: 1px solid var(--line); border-radius: .5rem; max-width: 32rem;
}
dialog p { overflow-wrap: anywhere }
dialog::backdrop { background: rgb(0 0 0 / .5) }
.skip { position: absolute; left: -100vw }
.skip:focus { left: 1rem; top: .2rem; background: var(--lift); padding: .3rem }
body.drop { outline: 4px dashed var(--mark); outline-offset: -8px }
footer { color: var(--soft) }
@media (max-width: 40rem) {
  body { padding: 0 .5rem 1rem }
  section { padding: .6rem }
  td.name, th.name { min-width: 9rem }
}
@media (prefers-reduced-motion: no-preference) { .bar span { transition: width .3s } }
`;
