/** `haul create`: hashes a file or folder on all cores and writes the .torrent. */
import { access, constants, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { LIMITS } from '../config.js';
import { fromSystemError, HaulError } from '../errors.js';
import { formatMagnet } from '../magnet/link.js';
import { explainNoSpace } from '../storage/no-space.js';
import { count, formatBinary, formatBytes, formatRate, formatSeconds, printable } from './format.js';
import { jsonHelp, PLAIN_PROGRESS, RESOURCE_FIELDS } from './json-help.js';
import { argument, type CommonOptions, examples, excludeOption, repeated, trackerOption } from './options.js';
import type { Output } from './output.js';
import type { Context, Outcome, Runner } from './run.js';
import { Pace } from './sample.js';
import { resourceFields } from './usage.js';
import { parsePieceLength, parseWebSeedUrl } from './values.js';

interface CreateOptions extends CommonOptions {
  readonly output?: string;
  readonly tracker?: readonly string[];
  readonly webSeed?: readonly string[];
  readonly pieceLength?: number;
  readonly private?: boolean;
  readonly magnet?: boolean;
  readonly comment?: string;
  readonly force?: boolean;
  readonly exclude?: readonly string[];
}

export function createCommand(run: Runner): Command {
  const parsePiece = argument((text) => parsePieceLength(text, LIMITS.pieceLengthBytes));
  return new Command('create')
    .description('Make a .torrent of a file or folder')
    .argument('<path>', 'the file or folder')
    .option('-o, --output <file>', 'where to write it (default: NAME.torrent in the current folder)')
    .option('--force', 'overwrite the .torrent when it is already there')
    .addOption(excludeOption())
    .addOption(trackerOption())
    .addOption(
      new Option('--web-seed <url>', 'http(s) URL of the same data; may be repeated').argParser(
        repeated(parseWebSeedUrl),
      ),
    )
    .addOption(new Option('--piece-length <size>', 'power of two, e.g. 1MiB (default: by size)').argParser(parsePiece))
    .option('--private', 'peers only from the trackers (BEP 27)')
    .option('--comment <text>', 'free text')
    .option('--magnet', 'print a magnet link too')
    .addHelpText(
      'after',
      examples(
        'haul create image.iso --tracker http://tracker.example:6969/announce',
        'haul create image.iso --tracker udp://tracker.example:6969 --magnet',
        'haul create build/ -o build-42.torrent --piece-length 4MiB --private',
        "haul create build/ --exclude '*.tmp' --exclude .git",
      ) +
        jsonHelp({
          ...PLAIN_PROGRESS,
          result:
            'outcome torrentFile magnet name infoHash lengthBytes pieceLengthBytes pieceCount fileCount seconds ' +
            RESOURCE_FIELDS,
        }),
    )
    .action((path: string, options: CreateOptions) =>
      run('create', options, (context) => create(context, path, options)),
    );
}

async function create({ output, signal }: Context, path: string, options: CreateOptions): Promise<Outcome> {
  const { checkSource, hashSource } = await import('../library/create.js');
  const source = await checkSource(path);
  const target = resolve(options.output ?? `${basename(source)}.torrent`);
  await checkTarget(target, options.force === true);
  const started = performance.now();
  const { tracker, webSeed, pieceLength, comment, exclude } = options;
  const created = await hashSource(source, {
    trackers: (tracker ?? []).map((url) => [url]),
    ...(webSeed === undefined ? {} : { webSeeds: webSeed }),
    ...(pieceLength === undefined ? {} : { pieceLengthBytes: pieceLength }),
    ...(comment === undefined ? {} : { comment }),
    ...(exclude === undefined ? {} : { exclude }),
    isPrivate: options.private === true,
    onProgress: showHashing(output, basename(source)),
    signal,
  });
  output.stopProgress();
  for (const warning of created.warnings) output.warn(warning);
  const { bytes, name, infoHashHex, lengthBytes, pieceLengthBytes, pieceCount, fileCount } = created;
  try {
    await writeFile(target, bytes, { flag: options.force === true ? 'w' : 'wx' });
  } catch (error) {
    throw explainNoSpace(fromSystemError(error, 'write torrent', target), dirname(target));
  }
  const seconds = (performance.now() - started) / 1000;
  const fields = { infoHash: created.infoHash, displayName: name, trackers: tracker ?? [], webSeeds: webSeed ?? [] };
  const magnet = formatMagnet(fields);
  output.event(
    'result',
    {
      outcome: 'done',
      torrentFile: target,
      magnet,
      name,
      infoHash: infoHashHex,
      lengthBytes,
      pieceLengthBytes,
      pieceCount,
      fileCount,
      seconds,
      ...resourceFields(),
    },
    `${printable(target)}: ${formatBytes(lengthBytes)} in ${count(fileCount, 'file')}, ` +
      `${count(pieceCount, 'piece')} of ${formatBinary(pieceLengthBytes)}, ` +
      `${formatSeconds(seconds)}, ${formatRate(lengthBytes / seconds)}\ninfo-hash ${infoHashHex}` +
      (options.magnet === true ? `\n${magnet}` : ''),
  );
  return 'done';
}

/** Shows how far the hashing is, from the first report on: until the folder has been walked there is no total. */
export function showHashing(output: Output, name: string): (doneBytes: number, totalBytes: number) => void {
  const pace = new Pace();
  let done = 0;
  let isShown = false;
  return (doneBytes, totalBytes) => {
    done = doneBytes;
    if (!isShown) output.progress(() => ({ name, phase: 'hashing', totalBytes, ...pace.at(done, totalBytes) }));
    isShown = true;
  };
}

/** Where the .torrent shall go, looked at before the hashing, which may take minutes. */
async function checkTarget(target: string, isForced: boolean): Promise<void> {
  const found = await stat(target).catch(() => null);
  if (found?.isDirectory() === true) {
    throw new HaulError('BAD_ARGUMENT', `-o ${target} is a folder; name the .torrent file to write`, { target });
  }
  if (found !== null && !isForced) {
    throw new HaulError('BAD_ARGUMENT', `${target} is already there; choose another with -o, or give --force`, {
      target,
    });
  }
  try {
    await access(found === null ? dirname(target) : target, constants.W_OK);
  } catch (error) {
    throw fromSystemError(error, 'write torrent', target);
  }
}
