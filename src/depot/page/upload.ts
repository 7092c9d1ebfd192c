/** Publishing by file picker, and by files that are dropped on the page: one after the other, with their progress. */
import { byId, make, say } from './dom.js';
import { bytes, encodePath, percent, shown } from './format.js';
import { askToken, authorization, detailOf, Refused, request, token } from './http.js';
import { nameOf } from './status.js';

let last: Promise<void> = Promise.resolve();
/** Lines of uploads that are over; the oldest go. */
const LINES_MAX = 20;

export function watchUploads(onDone: () => void): void {
  const input = byId<HTMLInputElement>('upload-files');
  input.addEventListener('change', () => {
    enqueue([...(input.files ?? [])], onDone);
    input.value = '';
  });
  byId('upload').addEventListener('submit', (event) => event.preventDefault());
  const { body } = document;
  addEventListener('dragover', (event) => {
    if (event.dataTransfer?.types.includes('Files') !== true) return;
    event.preventDefault();
    body.classList.add('drop');
  });
  addEventListener('dragleave', (event) => {
    if (event.relatedTarget === null) body.classList.remove('drop');
  });
  addEventListener('drop', (event) => {
    body.classList.remove('drop');
    if (event.dataTransfer === null || event.dataTransfer.files.length === 0) return;
    event.preventDefault();
    enqueue([...event.dataTransfer.files], onDone);
  });
}

function enqueue(files: readonly File[], onDone: () => void): void {
  const prefix = byId<HTMLInputElement>('upload-prefix')
    .value.split('/')
    .filter((part) => part !== '');
  for (const file of files) {
    const name = [...prefix, file.name].join('/');
    const line = lineOf(name);
    last = last.then(() => publish(file, name, line)).then(onDone);
  }
}

interface Line {
  readonly item: HTMLElement;
  readonly bar: HTMLProgressElement;
  readonly text: HTMLElement;
  readonly stop: HTMLButtonElement;
}

function lineOf(name: string): Line {
  const bar = make('progress', { max: '100', value: '0', 'aria-label': `Uploading ${shown(name)}` });
  const text = make('span', {}, ' waiting ');
  const stop = make('button', { type: 'button', 'aria-label': `Stop the upload of ${shown(name)}` }, 'Stop');
  const item = make('li', {}, nameOf(name), text, bar, ' ', stop);
  const list = byId('own-uploads');
  list.append(item);
  while (list.children.length > LINES_MAX && list.firstElementChild?.querySelector('progress') === null)
    list.firstElementChild.remove();
  return { item, bar, text, stop };
}

async function publish(file: File, name: string, { item, bar, text, stop }: Line): Promise<void> {
  const abort = new AbortController();
  stop.addEventListener('click', () => abort.abort());
  const onProgress = (sentBytes: number): void => {
    bar.value = percent(sentBytes, file.size);
    text.textContent = ` ${bytes(sentBytes)} of ${bytes(file.size)} `;
  };
  const path = `/artifacts/${encodePath(name)}`;
  let result: string;
  let isBad = false;
  try {
    if (token() === null) await mayWrite(path);
    await send(file, path, abort.signal, onProgress);
    result = `published, ${bytes(file.size)}`;
  } catch (error) {
    isBad = true;
    result = abort.signal.aborted ? 'stopped' : (error as Error).message;
  }
  const hadFocus = document.activeElement === stop;
  bar.remove();
  stop.remove();
  text.textContent = ` ${result}`;
  item.classList.toggle('bad', isBad);
  if (hadFocus) byId('upload-files').focus();
  say(`${shown(name)}: ${result}`, isBad);
}

/**
 * Asks for a token before the bytes are sent: the condition never holds, so that nothing is written.
 * @throws Refused, but for that condition
 */
async function mayWrite(path: string): Promise<void> {
  try {
    await request(path, { method: 'PUT', headers: { 'if-match': '"none"' } }, true);
  } catch (error) {
    if (!(error instanceof Refused) || error.status !== 412) throw error;
  }
}

/** By the old interface: the new one does not tell how much has left. */
async function send(file: File, path: string, signal: AbortSignal, onProgress: (sent: number) => void): Promise<void> {
  for (;;) {
    const { status, body } = await sendOnce(file, path, signal, onProgress);
    if (status >= 200 && status < 300) return;
    const detail = detailOf(body, status);
    if (status !== 401 || !(await askToken(`${detail}.`))) throw new Refused(status, detail);
  }
}

function sendOnce(
  file: File,
  path: string,
  signal: AbortSignal,
  onProgress: (sent: number) => void,
): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(new Error('stopped'));
      return;
    }
    const call = new XMLHttpRequest();
    call.open('PUT', path);
    for (const [name, value] of Object.entries(authorization())) call.setRequestHeader(name, value);
    call.setRequestHeader('content-type', file.type === '' ? 'application/octet-stream' : file.type);
    call.upload.addEventListener('progress', ({ loaded }) => onProgress(loaded));
    call.addEventListener('load', () => resolve({ status: call.status, body: call.responseText }));
    call.addEventListener('error', () => reject(new Error('the connection ended before there was an answer')));
    call.addEventListener('abort', () => reject(new Error('stopped')));
    signal.addEventListener('abort', () => call.abort(), { once: true });
    call.send(file);
  });
}
