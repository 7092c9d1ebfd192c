/** `move-child FROM TO KIND STEPS`: moves the scene and kills itself after so many steps. Prints each step. */
import { writeSync } from 'node:fs';
import { type MoveKind, move } from './move-scene.js';

const [from, to, kind, steps] = process.argv.slice(2);
let left = Number(steps);
await move(from!, to!, kind as MoveKind, {
  onStep: (step) => {
    writeSync(1, `${step}\n`);
    if (--left === 0) process.kill(process.pid, 'SIGKILL');
  },
});
