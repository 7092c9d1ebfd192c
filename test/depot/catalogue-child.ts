/**
 * Changes a catalogue without end, and says each change before it asks for it and when it was acknowledged:
 * "ask NAME BLOB", "done NAME BLOB"; without a blob: removed. Arguments: folder, seed.
 */
import { writeSync } from 'node:fs';
import { openLevelCatalogue } from '../../src/depot/catalogue/level.js';
import { makeRandom } from '../../src/random.js';
import { OVERWRITE, rowOf } from './catalogue-conformance.js';

const [folder = '', seed = '0'] = process.argv.slice(2);
const random = makeRandom(Number(seed));
const catalogue = await openLevelCatalogue(folder);

/** Who reads may be late; a pipe that is full is no end. */
function say(line: string): void {
  for (;;) {
    try {
      writeSync(1, `${line}\n`);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
  }
}

/** Each has names of its own, so that there is one change of a name at a time; blobs are shared. */
async function work(worker: number): Promise<never> {
  for (let round = 0; ; round++) {
    const name = `artifacts/${worker}/${Math.floor(random() * 20)}`;
    const blob = random() < 0.7 ? `${Math.floor(random() * 30)}` : null;
    const line = blob === null ? name : `${name} ${blob}`;
    say(`ask ${line}`);
    if (blob === null) await catalogue.remove(name);
    else await catalogue.put(rowOf(name, blob, { contentType: blob, expiresMs: round }), OVERWRITE);
    say(`done ${line}`);
  }
}

await Promise.all(Array.from({ length: 8 }, (_, worker) => work(worker)));
