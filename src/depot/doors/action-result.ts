/**
 * What Bazel keeps under `/ac`: an ActionResult (remote_execution.proto of the Remote Execution API, v2), of which only
 * the digests of outputs are looked at. Pure. Others keep what they like there: that is null, and nobody's business.
 */

/** A blob under `/cas`. */
export interface OutputDigest {
  readonly sha256: string;
  readonly lengthBytes: number;
}

export interface ActionOutputs {
  readonly files: readonly OutputDigest[];
  /** Blobs that list the files of a folder. */
  readonly trees: readonly OutputDigest[];
}

interface Field {
  readonly number: number;
  /** Of a number. */
  readonly value: number;
  /** Null: it is a number. */
  readonly bytes: Buffer | null;
}

/** Fields of the messages that are known have lower numbers. */
const NUMBER_MAX = 31;
const HEX64 = /^[0-9a-f]{64}$/;
const [VARINT, FIXED64, BYTES, FIXED32] = [0, 1, 2, 5];

/** Null: they are no ActionResult with digests by SHA-256. */
export function outputsOf(bytes: Buffer): ActionOutputs | null {
  return orNull(() => {
    const fields = fieldsOf(bytes);
    const files: OutputDigest[] = [];
    const trees: OutputDigest[] = [];
    for (const { number, bytes: part } of fields) {
      if (part === null) continue;
      // stdout and stderr are digests themselves.
      if (number === 6 || number === 8) files.push(digestOf(part));
      if (number !== 2 && number !== 3) continue;
      const output = fieldsOf(part);
      const isHere = number === 2 && output.some((field) => field.number === 5);
      const digest = output.find((field) => field.number === number)?.bytes ?? null;
      if (digest !== null && !isHere) (number === 2 ? files : trees).push(digestOf(digest));
    }
    const isSome = files.length + trees.length > 0;
    return isSome ? { files: files.filter(isLong), trees: trees.filter(isLong) } : null;
  });
}

/** Null: they are no Tree. */
export function filesOfTree(bytes: Buffer): readonly OutputDigest[] | null {
  return orNull(() => {
    const folders = fieldsOf(bytes).flatMap((field) => (field.number <= 2 && field.bytes ? [field.bytes] : []));
    const nodes = folders.flatMap((folder) => fieldsOf(folder).filter(({ number }) => number === 1));
    const digests = nodes.flatMap(({ bytes: node }) => fieldsOf(node!).find(({ number }) => number === 2)?.bytes ?? []);
    return digests.map(digestOf).filter(isLong);
  });
}

/** Nobody puts what is empty. */
function isLong({ lengthBytes }: OutputDigest): boolean {
  return lengthBytes > 0;
}

function digestOf(bytes: Buffer): OutputDigest {
  const fields = fieldsOf(bytes);
  const sha256 = fields.find(({ number }) => number === 1)?.bytes?.toString('latin1') ?? '';
  if (!HEX64.test(sha256)) throw new NoSuchMessage();
  return { sha256, lengthBytes: fields.find(({ number }) => number === 2)?.value ?? 0 };
}

class NoSuchMessage extends Error {}

function orNull<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof NoSuchMessage) return null;
    throw error;
  }
}

/** @throws NoSuchMessage */
function fieldsOf(bytes: Buffer): Field[] {
  const fields: Field[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[at++];
      if (byte === undefined || factor > 2 ** 63) throw new NoSuchMessage();
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const [number, kind] = [Math.floor(tag / 8), tag % 8];
    if (number < 1 || number > NUMBER_MAX) throw new NoSuchMessage();
    if (kind === VARINT) fields.push({ number, value: varint(), bytes: null });
    else {
      const length = kind === BYTES ? varint() : kind === FIXED64 ? 8 : kind === FIXED32 ? 4 : Number.NaN;
      if (!(at + length <= bytes.length)) throw new NoSuchMessage();
      fields.push({ number, value: 0, bytes: kind === BYTES ? bytes.subarray(at, at + length) : null });
      at += length;
    }
  }
  return fields;
}
