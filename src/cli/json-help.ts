/**
 * What the lines of --json hold, as `--help` shows it. A test runs every command and compares. Loaded for help: light.
 */

const WIDTH = 116;
const TITLE = 11;

export const TORRENT_FIELDS =
  'verifiedBytes wantedBytes lengthBytes downloadedBytes uploadedBytes webSeedBytes downloadBytesPerSec ' +
  'uploadBytesPerSec wastedBytes corruptBytes peers seeds knownAddresses waitingFor ' +
  'health[code,isBlocking,message,facts]';
export const RESOURCE_FIELDS = 'cpuUserSec cpuSystemSec peakMemoryBytes';

/** With --super, when super-seeding ends. */
export const SPREAD_FIELDS = 'infoHash seconds uploadedBytes lengthBytes';

const PROGRESS_FIELDS = 'phase doneBytes totalBytes percent bytesPerSec secondsLeft';

/** Progress of work on a torrent: once a second, once in ten while nothing moves. */
export const TORRENT_PROGRESS = { progress: `${PROGRESS_FIELDS} ${TORRENT_FIELDS}` };
/** Progress of hashing alone. */
export const PLAIN_PROGRESS = { progress: PROGRESS_FIELDS };

const ALWAYS = { warning: 'message code url facts', error: 'code message facts' };

/** A help text: one paragraph for each type of line, in the order in which they come. */
export function jsonHelp(types: Readonly<Record<string, string>>): string {
  const lines = Object.entries({ ...types, ...ALWAYS }).flatMap(([type, fields]) => paragraph(type, fields.split(' ')));
  const head = 'Lines of --json, by their field type; each has command and time, too; null is for what is not known:';
  return `\n\n${head}\n${lines.join('\n')}`;
}

function paragraph(type: string, fields: readonly string[]): string[] {
  const lines: string[] = [];
  let line = `  ${type.padEnd(TITLE)}`;
  for (const field of fields) {
    if (line.length + field.length + 1 > WIDTH) {
      lines.push(line.trimEnd());
      line = ' '.repeat(TITLE + 2);
    }
    line += `${field} `;
  }
  return [...lines, line.trimEnd()];
}
