/** What the dispatcher of the benches says of them. A bench is described by the comment that opens its module. */
import { existsSync, readFileSync } from 'node:fs';
import { COMMAND } from './place.js';

/** The opening comment of the bench's module without its marks, or null. */
export function descriptionOf(name: string): string | null {
  const places = [`../${name}.js`, `../micro/${name}.js`].map((place) => new URL(place, import.meta.url));
  const file = places.find((place) => existsSync(place));
  const comment = file === undefined ? null : /^\/\*\*(.*?)\*\//s.exec(readFileSync(file, 'utf8'));
  if (comment === null) return null;
  const text = comment[1]!.replace(/^ \* ?/gm, '').trim();
  return `${text.replaceAll('npm run bench --', COMMAND)}\n`;
}

export function usage(abouts: Readonly<Record<string, string>>): string {
  const list = Object.entries(abouts).map(([name, about]) => `  ${name.padEnd(12)} ${about}\n`);
  return `Usage: ${COMMAND} NAME [options]
       ${COMMAND} NAME --help     the options of one bench and the meaning of its figures
       ${COMMAND} --small         every bench for a moment: does it work here

Benches:
${list.join('')}
Examples:
  $ ${COMMAND} loopback --size 2G --connections 4,1000
  $ ${COMMAND} rivals --roles pair --only swarmhaul,libtorrent
  $ ${COMMAND} report
`;
}
