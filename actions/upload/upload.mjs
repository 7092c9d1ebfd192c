// Publishes files of a job as one tar below the name of the run. Inputs come as HAUL_…, see action.yml.
import { checkName, flag, folderOfRun, haul, idOf, input, main, oneLine, setOutput } from '../haul.mjs';

/** A line is a path; what is empty or behind a "#" at its begin is none. */
function pathsOf(text) {
  return text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.replace(/^(!?)~(?=\/|$)/, (_, mark) => `${mark}${process.env.HOME ?? '~'}`));
}

await main(async () => {
  const name = checkName(input('name') || 'artifact');
  const paths = pathsOf(input('path'));
  if (!paths.some((path) => !path.startsWith('!'))) throw new Error('path names no file');
  const missing = input('if-no-files-found') || 'warn';
  if (!['warn', 'error', 'ignore'].includes(missing)) throw new Error('if-no-files-found is warn, error or ignore');
  if (input('archive') !== '' && !flag('archive'))
    throw new Error('archive: an artifact is always one tar here; send a file as it is with haul publish');
  const days = input('retention-days') || '0';
  const words = ['--archive', '--name', `${folderOfRun()}${name}.tar`, '--if-no-files-found', missing];
  if (days !== '0') words.push('--retention-days', days);
  words.push('--compression-level', input('compression-level') || '0');
  if (flag('overwrite')) words.push('--overwrite');
  if (flag('include-hidden-files')) words.push('--include-hidden-files');
  const lines = await haul('publish', ...words, '--', ...paths);
  const published = lines.find(({ type }) => type === 'published');
  if (published === undefined) return;
  const { sha256, lengthBytes, url } = published;
  setOutput('artifact-id', idOf(name));
  setOutput('artifact-url', url);
  setOutput('artifact-digest', sha256);
  process.stdout.write(`artifact ${name}: ${lengthBytes} bytes, sha256 ${sha256}\n  ${oneLine(url)}\n`);
});
