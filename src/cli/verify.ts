/** `haul verify`: hashes all data on all cores and says which pieces and files are bad. */
import { Command } from 'commander';
import type { Metainfo } from '../metainfo/metainfo.js';
import { count, formatBytes, formatRanges, formatRate, formatSeconds, printable } from './format.js';
import { jsonHelp, PLAIN_PROGRESS, RESOURCE_FIELDS } from './json-help.js';
import { type CommonOptions, examples } from './options.js';
import type { Context, Outcome, Runner } from './run.js';
import { Pace } from './sample.js';
import { resourceFields } from './usage.js';

interface VerifyOptions extends CommonOptions {
  readonly data: string;
}

/** Ranges of bad pieces shown to people; machines get all of them. */
const SHOWN_RANGES = 20;
/** Bad files shown to people. */
const SHOWN_FILES = 100;

export function verifyCommand(run: Runner): Command {
  return new Command('verify')
    .description('Check data against a .torrent; exit code 1 if anything is bad')
    .argument('<torrent>', 'a .torrent file, or an http(s) URL of one')
    .requiredOption('--data <dir>', 'the folder that holds the file, or the torrent’s folder')
    .addHelpText(
      'after',
      examples('haul verify image.iso.torrent --data /srv/images') +
        jsonHelp({
          ...PLAIN_PROGRESS,
          result:
            'outcome isGood name infoHash lengthBytes pieceCount goodPieces badPieces files[path state] seconds ' +
            RESOURCE_FIELDS,
        }),
    )
    .action((torrent: string, options: VerifyOptions) =>
      run('verify', options, (context) => verify(context, torrent, options)),
    );
}

async function verify({ output, signal }: Context, source: string, options: VerifyOptions): Promise<Outcome> {
  const [{ loadTorrent }, { checkDataFolder }, { verifyTorrent }] = await Promise.all([
    import('./torrent-file.js'),
    import('./folders.js'),
    import('../library/verify.js'),
  ]);
  const metainfo = await loadTorrent(source, signal);
  for (const warning of metainfo.warnings) output.warn(warning);
  const folder = await checkDataFolder(options.data, metainfo);
  const started = performance.now();
  const { geometry, name } = metainfo;
  const { lengthBytes } = geometry;
  const pace = new Pace();
  let done = 0;
  const view = output.progress(() => ({
    name,
    phase: 'checking',
    totalBytes: lengthBytes,
    ...pace.at(done, lengthBytes),
  }));
  const onProgress = (doneBytes: number): void => {
    done = doneBytes;
  };
  const { isGood, goodPieces, badPieces, files } = await verifyTorrent(metainfo, folder, { onProgress, signal });
  view.stop();
  const seconds = (performance.now() - started) / 1000;
  const badFiles = files.filter((file) => file.state !== 'ok');
  output.event(
    'result',
    {
      outcome: isGood ? 'done' : 'failed',
      isGood,
      name: metainfo.name,
      infoHash: metainfo.infoHashHex,
      lengthBytes: geometry.lengthBytes,
      pieceCount: geometry.pieceCount,
      goodPieces,
      badPieces,
      files,
      seconds,
      ...resourceFields(),
    },
    isGood
      ? `${printable(metainfo.name)}: ${allPieces(geometry.pieceCount)} good, ` +
          `${formatBytes(geometry.lengthBytes)} in ${formatSeconds(seconds)}, ` +
          formatRate(geometry.lengthBytes / seconds)
      : badText(metainfo, badPieces, badFiles),
  );
  return isGood ? 'done' : 'failed';
}

function allPieces(pieceCount: number): string {
  return pieceCount === 1 ? 'its only piece is' : `all ${count(pieceCount, 'piece')} are`;
}

const STATE_TEXT: Readonly<Record<string, string>> = {
  bad: 'has bad pieces',
  missing: 'is missing',
  'wrong-length': 'has the wrong length',
};

function badText(
  metainfo: Metainfo,
  badPieces: readonly number[],
  badFiles: readonly { path: string; state: string }[],
): string {
  const lines = badFiles
    .slice(0, SHOWN_FILES)
    .map((file) => `${printable(file.path, 4000)} ${STATE_TEXT[file.state] ?? file.state}`);
  if (badFiles.length > SHOWN_FILES) lines.push(`… and ${badFiles.length - SHOWN_FILES} more files`);
  const total = metainfo.geometry.pieceCount;
  if (badPieces.length > 0) {
    lines.push(`bad pieces: ${formatRanges(badPieces, SHOWN_RANGES)}`);
  }
  const are = badPieces.length === 1 ? 'is' : 'are';
  lines.push(`${printable(metainfo.name)}: ${badPieces.length} of ${count(total, 'piece')} ${are} bad`);
  return lines.join('\n');
}
