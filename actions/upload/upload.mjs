// Publishes files of a job below the name of the run: as one tar, or a single file as it is.
// Inputs come as HAUL_…, see action.yml.
import { AS_IT_IS, checkName, flag, folderOfRun, haul, idOf, input, main, oneLine, setOutput } from '../haul.mjs';

/** A line is a path; what is empty or behind a "#" at its begin is none. */
function pathsOf(text) {
  return text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.replace(/^(!?)~(?=\/|$)/, (_, mark) => `${mark}${process.env.HOME ?? '~'}`));
}

await main(async () => {
  const archives = input('archive') === '' || flag('archive');
  // As in the original: what is uploaded as it is has the name of the file.
  const given = archives ? checkName(input('name') || 'artifact') : '';
  const paths = pathsOf(input('path'));
  if (!paths.some((path) => !path.startsWith('!'))) throw new Error('path names no file');
  const missing = input('if-no-files-found') || 'warn';
  if (!['warn', 'error', 'ignore'].includes(missing)) throw new Error('if-no-files-found is warn, error or ignore');
  const days = input('retention-days') || '0';
  const words = ['--name', folderOfRun() + (archives ? `${given}.tar` : AS_IT_IS), '--if-no-files-found', missing];
  if (days !== '0') words.push('--retention-days', days);
  if (archives) words.push('--archive', '--compression-level', input('compression-level') || '0');
  else words.push('--single');
  if (flag('overwrite')) words.push('--overwrite');
  if (flag('include-hidden-files')) words.push('--include-hidden-files');
  const lines = await haul('publish', ...words, '--', ...paths);
  const published = lines.find(({ type }) => type === 'published');
  if (published === undefined) return;
  const { sha256, lengthBytes, url } = published;
  const key = archives ? given : published.name.slice(folderOfRun().length);
  const name = archives ? given : key.slice(AS_IT_IS.length);
  setOutput('artifact-id', idOf(key));
  setOutput('artifact-url', url);
  setOutput('artifact-digest', sha256);
  process.stdout.write(`artifact ${oneLine(name)}: ${lengthBytes} bytes, sha256 ${sha256}\n  ${oneLine(url)}\n`);
});
