/** What README.md tells a newcomer to type, from a checkout to the first artifact by an agent. Its lines, not ours. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { PACKAGE_ROOT } from '../../lab/root.js';

export interface FirstSteps {
  /** The lines below "Install". */
  readonly install: readonly string[];
  /** The file that is put. */
  readonly image: string;
  depot(dataFolder: string): string;
  put(depotUrl: string): string;
  agent(depotUrl: string, cacheFolder: string): string;
  fetch(agentUrl: string): string;
}

/** Lines of code below a heading, without comments. @throws when there is no such heading */
function codeBelow(readme: string, heading: string): string[] {
  const section = readme.split(/^## /m).find((text) => text.startsWith(`${heading}\n`));
  if (section === undefined) throw new Error(`README.md has no heading ${heading}`);
  const blocks = [...section.matchAll(/^```\n(.*?)^```/gms)];
  return blocks.flatMap(([, text = '']) => text.split('\n').map((line) => line.replace(/ +#.*/, ''))).filter(Boolean);
}

/** @throws when a line is not there, or has not what is to be replaced in it */
export async function readFirstSteps(): Promise<FirstSteps> {
  const readme = await readFile(path.join(PACKAGE_ROOT, 'README.md'), 'utf8');
  const install = codeBelow(readme, 'Install');
  const lines = codeBelow(readme, 'Keep artifacts');
  const find = (begin: string, pattern: RegExp): ((...by: string[]) => string) => {
    const line = lines.find((text) => text.startsWith(begin));
    if (line === undefined || !pattern.test(line)) throw new Error(`README.md has no ${begin} as is looked for`);
    return (...by) =>
      line.replace(pattern, (_, ...found) =>
        found
          .slice(0, by.length)
          .map((text, index) => `${text}${by[index]}`)
          .join(''),
      );
  };
  const url = String.raw`http:\/\/[^/ ]+`;
  const image = /^curl -T (\S+)/m.exec(lines.join('\n'))?.[1];
  if (image === undefined) throw new Error('README.md has no curl -T');
  return {
    install,
    image,
    depot: find('haul depot ', /(--data )\S+/),
    put: find('curl -T ', new RegExp(`()${url}`)),
    agent: find('haul agent ', new RegExp(`(--depot )${url}( --cache )\\S+`)),
    fetch: find('curl -O ', new RegExp(`()${url}`)),
  };
}
