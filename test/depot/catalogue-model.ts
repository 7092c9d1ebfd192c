/** What a catalogue does, as simply as it can be said: a map. Commands for it and for a real one, from a seed. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import type { ArtifactRow, Catalogue, PutRules } from '../../src/depot/catalogue/port.js';

export type Model = Map<string, ArtifactRow>;

export type Command =
  | { readonly does: 'put'; readonly row: ArtifactRow; readonly rules: PutRules }
  | { readonly does: 'remove'; readonly name: string; readonly onlyIf: string | null }
  | { readonly does: 'pin'; readonly name: string; readonly isPinned: boolean }
  | { readonly does: 'touch'; readonly name: string; readonly usedMs: number };

export function byName(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** Few names and blobs, so that they meet. */
const name = fc.constantFrom('a', 'a/b', 'a/\u{10ffff}', 'é', 'b', 'a\u0000', `i${'0'.repeat(40)}`);
const sha256 = fc.nat(4).map((blob) => createHash('sha256').update(`${blob}`).digest('hex'));
const time = fc.oneof(fc.nat(20), fc.constantFrom(1e12, Number.MAX_SAFE_INTEGER));

const row: fc.Arbitrary<ArtifactRow> = fc.record(
  {
    name,
    sha256,
    lengthBytes: fc.constant(100),
    infoHash: fc.option(fc.nat(3).map((digit) => String(digit).repeat(40))),
    contentType: fc.option(fc.string({ maxLength: 10 })),
    createdMs: time,
    expiresMs: fc.option(time),
    usedMs: time,
    isPinned: fc.boolean(),
    replicas: fc.option(fc.nat(5)),
  },
  { noNullPrototype: true },
);

const rules = fc.record({ overwrite: fc.boolean(), onlyIfNew: fc.boolean() });

const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ does: fc.constant('put' as const), row, rules }) },
  {
    weight: 2,
    arbitrary: fc.record({ does: fc.constant('remove' as const), name, onlyIf: fc.option(sha256) }),
  },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('pin' as const), name, isPinned: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('touch' as const), name, usedMs: time }) },
);

/** Those of one inner list are begun together. */
export const commands = fc.array(fc.array(command, { minLength: 1, maxLength: 8 }), { maxLength: 8 });

/** What the command answers; the model is changed. */
function apply(model: Model, command: Command): unknown {
  if (command.does === 'put') return put(model, command.row, command.rules);
  const row = model.get(command.name) ?? null;
  if (command.does === 'touch') {
    if (row !== null && row.usedMs < command.usedMs) model.set(row.name, { ...row, usedMs: command.usedMs });
    return undefined;
  }
  if (row === null) return null;
  if (command.does === 'remove') {
    if (command.onlyIf !== null && command.onlyIf !== row.sha256) return null;
    model.delete(row.name);
    return row;
  }
  model.set(row.name, { ...row, isPinned: command.isPinned });
  return model.get(row.name);
}

function put(model: Model, row: ArtifactRow, { overwrite, onlyIfNew }: PutRules): unknown {
  const old = model.get(row.name);
  if (old === undefined) {
    model.set(row.name, row);
    return { kind: 'created' };
  }
  const isSame = old.sha256 === row.sha256;
  if (onlyIfNew || (!isSame && !overwrite)) return { kind: 'conflict', row: old };
  const stored = { ...row, isPinned: row.isPinned || old.isPinned };
  model.set(row.name, stored);
  return isSame ? { kind: 'unchanged', row: stored } : { kind: 'replaced', row: old };
}

function ask(catalogue: Catalogue, command: Command): Promise<unknown> {
  if (command.does === 'put') return catalogue.put(command.row, command.rules);
  if (command.does === 'pin') return catalogue.pin(command.name, command.isPinned);
  if (command.does === 'touch') return catalogue.touch(new Map([[command.name, command.usedMs]]));
  return catalogue.remove(command.name, command.onlyIf === null ? undefined : { sha256: command.onlyIf });
}

/** Runs them on both, and compares what each answers. */
export async function runCommands(catalogue: Catalogue, list: readonly (readonly Command[])[]): Promise<Model> {
  const model: Model = new Map();
  for (const together of list) {
    const answers = await Promise.all(together.map((one) => ask(catalogue, one)));
    assert.deepEqual(
      answers,
      together.map((one) => apply(model, one)),
    );
  }
  return model;
}

/** Everything that can be asked of a catalogue is as the model says. */
export async function checkAgainst(catalogue: Catalogue, model: Model): Promise<void> {
  const rows = [...model.values()].sort((a, b) => byName(a.name, b.name));
  assert.deepEqual((await catalogue.list({ prefix: '', cursor: null, limit: 1000 })).rows, rows);
  for (const row of rows) {
    assert.deepEqual(await catalogue.get(row.name), row);
    assert.equal(await catalogue.isNamed(row.sha256), true);
    if (row.infoHash === null) continue;
    assert.equal((await catalogue.byInfoHash(row.infoHash))?.infoHash, row.infoHash);
  }
  const blobs = new Set(rows.map((row) => row.sha256));
  assert.deepEqual(await catalogue.counts(), { names: rows.length, blobs: blobs.size, blobBytes: blobs.size * 100 });
  const hashes: string[] = [];
  for await (const infoHash of catalogue.infoHashes()) hashes.push(infoHash);
  assert.deepEqual(hashes.sort(), [...new Set(rows.flatMap((row) => row.infoHash ?? []))].sort());
  const free = rows.filter((row) => !row.isPinned);
  assert.deepEqual(
    await catalogue.leastUsed(1000),
    [...free].sort((a, b) => a.usedMs - b.usedMs),
  );
  const expire = free.filter((row) => row.expiresMs !== null).sort((a, b) => a.expiresMs! - b.expiresMs!);
  assert.deepEqual(await catalogue.expiring(Infinity, 1000), expire);
  assert.deepEqual(
    await catalogue.expiring(10, 1000),
    expire.filter((row) => row.expiresMs! < 10),
  );
}
