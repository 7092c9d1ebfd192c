/** A terminal for tests: the rows that a person would see. */
import assert from 'node:assert/strict';
import type { Stream } from '../../src/cli/progress.js';

/** Escape sequences and single characters. */
const ESC = '\u001b';
const PARTS = new RegExp(`${ESC}\\[[0-9;?]*[A-Za-z]|${ESC}.?|[^${ESC}]`, 'gsu');

/** As much of a terminal as a few lines at the bottom need. Any other escape sequence is an error. */
export class Screen implements Stream {
  readonly isTTY = true;
  columns: number;
  /** Rows from the first to the one of the cursor; a row that goes on in the next is marked. */
  readonly lines: string[] = [''];
  readonly #goesOn = new Set<number>();
  readonly #listeners = new Set<() => void>();
  #column = 0;

  on(_event: 'resize', listener: () => void): void {
    this.#listeners.add(listener);
  }

  off(_event: 'resize', listener: () => void): void {
    this.#listeners.delete(listener);
  }

  get listenerCount(): number {
    return this.#listeners.size;
  }

  /** Breaks long rows anew, as most terminals do, and tells who listens. */
  resize(columns: number, isReflowing = true): void {
    this.columns = columns;
    const all: string[] = [];
    for (const [row, line] of this.lines.entries()) {
      if (this.#goesOn.has(row - 1)) all[all.length - 1] += line;
      else all.push(line);
    }
    this.lines.length = 0;
    this.#goesOn.clear();
    for (const line of all) {
      const rows = isReflowing ? Math.max(1, Math.ceil(line.length / columns)) : 1;
      for (let row = 0; row < rows; row++) {
        if (row > 0) this.#goesOn.add(this.lines.length - 1);
        this.lines.push(line.slice(row * columns, (row + 1) * columns));
      }
    }
    this.#column = this.lines.at(-1)!.length;
    for (const listener of this.#listeners) listener();
  }

  constructor(columns: number) {
    this.columns = columns;
  }

  write(text: string): boolean {
    for (const [part] of text.matchAll(PARTS)) this.#take(part);
    return true;
  }

  #take(part: string): void {
    const line = this.lines.at(-1)!;
    if (part === '\n') {
      this.lines.push('');
      this.#column = 0;
    } else if (part === '\r' || part === '\u001b[1G') this.#column = 0;
    else if (part === '\u001b[K' || part === '\u001b[0K')
      this.lines[this.lines.length - 1] = line.slice(0, this.#column);
    else if (part === '\u001b[2K') this.lines[this.lines.length - 1] = '';
    else if (part === '\u001b[J') this.lines[this.lines.length - 1] = line.slice(0, this.#column);
    else if (part.startsWith('\u001b[') && part.endsWith('A')) {
      // What is below is erased next, or the test fails by what is left.
      const up = Number(part.slice(2, -1));
      const below = this.lines.splice(this.lines.length - up, up);
      assert.ok(
        below.every((_, row) => this.#goesOn.has(this.lines.length - 1 + row)),
        'only its own rows go',
      );
    } else if (part.startsWith('\u001b')) assert.fail(`the screen does not know ${JSON.stringify(part)}`);
    else if (this.#column === this.columns) {
      this.#goesOn.add(this.lines.length - 1);
      this.lines.push(part);
      this.#column = 1;
    } else {
      this.lines[this.lines.length - 1] =
        line.slice(0, this.#column).padEnd(this.#column) + part + line.slice(this.#column + 1);
      this.#column++;
    }
  }
}
