/** The marks of notes in PostgreSQL: they are written with the rows (`group.ts`), found and removed here. */
import type { MarkQuery, NoteMark } from '../port.js';
import { Company } from './company.js';
import type { Connections, Row } from './connections.js';
import { sql } from './migrations.js';
import { bytesOf } from './row-text.js';

const GROUP_MARKS = 500;

interface Removal {
  readonly mark: NoteMark;
  resolve(): void;
  reject(error: unknown): void;
}

export class PgNoteMarks {
  readonly #connections: Connections;
  readonly #removals = new Company<Removal>(GROUP_MARKS, (group) => this.#removeGroup(group));

  constructor(connections: Connections) {
    this.#connections = connections;
  }

  /** @throws HaulError */
  async find({ sha256, after, limit }: MarkQuery): Promise<readonly NoteMark[]> {
    const values: unknown[] = [limit];
    let which = 'length(sha256) = 32 and length(mark) = 8';
    if (sha256 !== undefined) which += ` and sha256 = $${values.push(Buffer.from(sha256, 'hex'))}`;
    if (after !== null) {
      const places = columnsOfMarks([after]).map(([value]) => `$${values.push(value)}::bytea`);
      which += ` and (sha256, mark, name) > (${places.join(', ')})`;
    }
    const text = `select sha256, mark, name from haul.note_marks where ${which} order by sha256, mark, name limit $1`;
    const { rows } = await this.#connections.read(sql(text, this.#connections.schema), values);
    return rows.map(markOf);
  }

  /** @throws HaulError */
  remove(mark: NoteMark): Promise<void> {
    return new Promise((resolve, reject) => this.#removals.add({ mark, resolve, reject }));
  }

  /** Resolves when all that were to be removed are told. */
  idle(): Promise<void> {
    return this.#removals.idle();
  }

  /** Never rejects: each is told. */
  async #removeGroup(group: readonly Removal[]): Promise<void> {
    const text = `delete from haul.note_marks where (sha256, mark, name) in
      (select * from unnest($1::bytea[], $2::bytea[], $3::bytea[]))`;
    const marks = group.map(({ mark }) => mark);
    try {
      await this.#connections.read(sql(text, this.#connections.schema), columnsOfMarks(marks), 'write');
      for (const { resolve } of group) resolve();
    } catch (error) {
      for (const { reject } of group) reject(error);
    }
  }
}

/** Arrays of blobs, marks and names. */
export function columnsOfMarks(marks: readonly NoteMark[]): Buffer[][] {
  return [
    marks.map(({ sha256 }) => Buffer.from(sha256, 'hex')),
    marks.map(({ mark }) => Buffer.from(mark, 'hex')),
    marks.map(({ name }) => Buffer.from(name)),
  ];
}

function markOf([sha256, mark, name]: Row): NoteMark {
  return {
    sha256: bytesOf(sha256).toString('hex'),
    mark: bytesOf(mark).toString('hex'),
    name: bytesOf(name).toString('utf8'),
  };
}
