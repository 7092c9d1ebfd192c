/** `haul inspect`: what a .torrent says. Everything in it comes from outside and is shown with escapes visible. */
import { Command } from 'commander';
import { HaulError } from '../errors.js';
import { isMagnet } from '../magnet/link.js';
import type { FileEntry, Metainfo } from '../metainfo/metainfo.js';
import { shownUrl } from '../net/url.js';
import { count, formatBinary, formatBytes, printable } from './format.js';
import { jsonHelp } from './json-help.js';
import { type CommonOptions, caOption, examples } from './options.js';
import type { Context, Outcome, Runner } from './run.js';
import type { Scraped } from './scrape.js';

interface InspectOptions extends CommonOptions {
  readonly scrape?: boolean;
  readonly ca?: string;
}

export function inspectCommand(run: Runner): Command {
  return new Command('inspect')
    .description('Show what is in a .torrent, or what a magnet link says')
    .argument('<torrent>', 'a .torrent file, an http(s) URL of one, or a magnet link')
    .option('--scrape', 'ask its trackers how many seeds, leeches and completed downloads they know')
    .addOption(caOption())
    .addHelpText(
      'after',
      examples(
        'haul inspect image.iso.torrent',
        'haul inspect image.iso.torrent --scrape --json',
        "haul inspect 'magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&dn=image.iso'",
      ) +
        MAGNET_HELP +
        jsonHelp({
          result:
            'outcome name infoHash lengthBytes pieceLengthBytes pieceCount isMultiFile isPrivate trackers webSeeds ' +
            'comment createdBy creationDate warnings scrape[url complete incomplete downloaded error] ' +
            'files[path pathInTorrent lengthBytes isPad isExecutable isHidden symlinkTo]',
        }),
    )
    .action((torrent: string, options: InspectOptions) =>
      run('inspect', options, (context) => inspect(context, torrent, options)),
    );
}

/** Nothing is fetched: a link is inspected before one trusts it. */
const MAGNET_HELP = `

URLs are shown without what may be secret (passkeys, passwords, queries); with --json they are whole.
Of a magnet link only the link is shown: no peer and no tracker is asked. With --json its result has name (the hint
dn), infoHash, trackers, webSeeds and warnings as below, and peers and selectOnly (the files that so names).`;

async function inspect({ output, signal }: Context, source: string, options: InspectOptions): Promise<Outcome> {
  if (isMagnet(source)) {
    if (options.scrape === true) throw new HaulError('BAD_ARGUMENT', '--scrape is of a .torrent: a link is only shown');
    const { describeMagnet } = await import('./inspect-magnet.js');
    const { fields, text } = describeMagnet(source);
    output.event('result', fields, output.isJson ? '' : text);
    return 'done';
  }
  const { loadTorrent } = await import('./torrent-file.js');
  const metainfo = await loadTorrent(source, signal);
  const scraped = options.scrape === true ? await scrape(metainfo, signal, options.ca) : null;
  const fields = { ...metainfoFields(metainfo), ...(scraped === null ? {} : { scrape: scraped }) };
  const text = [metainfoText(metainfo), ...(scraped ?? []).map(scrapedLine)].join('\n');
  output.event('result', fields, output.isJson ? '' : text);
  return 'done';
}

async function scrape(metainfo: Metainfo, signal: AbortSignal, ca?: string): Promise<readonly Scraped[]> {
  const [{ scrapeAll }, { readCertificates }] = await Promise.all([import('./scrape.js'), import('./certificates.js')]);
  return scrapeAll(metainfo, signal, ca === undefined ? undefined : [readCertificates(ca)]);
}

function scrapedLine({ url, complete, incomplete, downloaded, error }: Scraped): string {
  const known = `${count(complete ?? 0, 'seed')}, ${incomplete} downloading, ${downloaded} completed`;
  return row('tracker', error === undefined ? `${url}: ${known}` : error.includes(url) ? error : `${url}: ${error}`);
}

function metainfoFields(metainfo: Metainfo): Record<string, unknown> {
  const { geometry } = metainfo;
  return {
    outcome: 'done',
    name: metainfo.name,
    infoHash: metainfo.infoHashHex,
    lengthBytes: geometry.lengthBytes,
    pieceLengthBytes: geometry.pieceLengthBytes,
    pieceCount: geometry.pieceCount,
    isMultiFile: metainfo.isMultiFile,
    isPrivate: metainfo.isPrivate,
    trackers: metainfo.trackers,
    webSeeds: metainfo.webSeeds,
    comment: metainfo.comment,
    createdBy: metainfo.createdBy,
    creationDate: metainfo.creationDate,
    warnings: metainfo.warnings,
    files: metainfo.files.map(fileFields),
  };
}

function fileFields(file: FileEntry): Record<string, unknown> {
  return {
    path: file.path.join('/'),
    ...(file.pathInTorrent === undefined ? {} : { pathInTorrent: file.pathInTorrent.join('/') }),
    lengthBytes: file.lengthBytes,
    ...(file.isPad ? { isPad: true } : {}),
    ...(file.isExecutable ? { isExecutable: true } : {}),
    ...(file.isHidden ? { isHidden: true } : {}),
    ...(file.symlinkPath === null ? {} : { symlinkTo: file.symlinkPath.join('/') }),
  };
}

function metainfoText(metainfo: Metainfo): string {
  const { geometry } = metainfo;
  const shown = metainfo.files.filter((file) => !file.isPad);
  const lines = [
    row('name', printable(metainfo.name)),
    row('info-hash', metainfo.infoHashHex),
    row(
      'size',
      `${formatBytes(geometry.lengthBytes)} (${geometry.lengthBytes} bytes) in ${count(shown.length, 'file')}`,
    ),
    row('pieces', `${geometry.pieceCount} of ${formatBinary(geometry.pieceLengthBytes)}`),
    row('private', metainfo.isPrivate ? 'yes' : 'no'),
  ];
  metainfo.trackers.forEach((tier, index) => {
    lines.push(row(index === 0 ? 'trackers' : '', tier.map((url) => printable(shownUrl(url))).join(', ')));
  });
  metainfo.webSeeds.forEach((url, index) => {
    lines.push(row(index === 0 ? 'web seeds' : '', printable(shownUrl(url))));
  });
  if (metainfo.comment !== null) lines.push(row('comment', printable(metainfo.comment)));
  const by = metainfo.createdBy === null ? '' : ` by ${printable(metainfo.createdBy)}`;
  const date = showDate(metainfo.creationDate);
  if (date !== '' || by !== '') lines.push(row('created', `${date}${by}`.trim()));
  for (const warning of metainfo.warnings) lines.push(row('warning', printable(warning)));
  lines.push('', ...shown.map(fileLine));
  return lines.join('\n');
}

function row(title: string, value: string): string {
  return `${title.padEnd(10)} ${value}`;
}

function fileLine(file: FileEntry): string {
  const target = file.symlinkPath === null ? '' : ` -> ${printable(file.symlinkPath.join('/'))}`;
  const mark = file.isExecutable ? ' *' : '';
  const given =
    file.pathInTorrent === undefined ? '' : `  (in the torrent: ${printable(file.pathInTorrent.join('/'))})`;
  return `${String(file.lengthBytes).padStart(14)}  ${printable(file.path.join('/'), 4000)}${target}${mark}${given}`;
}

/** Any integer may stand in a torrent: dates outside what a Date holds are shown as the number. */
function showDate(seconds: number | null): string {
  if (seconds === null) return '';
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? String(seconds) : date.toISOString().replace('.000Z', 'Z');
}
