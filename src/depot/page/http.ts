/** Requests to where the page came from, with the token of the user: kept for this tab, and sent nowhere else. */
import { byId } from './dom.js';

const KEY = 'swarmhaul-token';

export function token(): string | null {
  return sessionStorage.getItem(KEY);
}

/** What was answered instead of what was asked for. */
export class Refused extends Error {
  readonly status: number;

  constructor(status: number, detail: string) {
    super(detail);
    this.status = status;
  }
}

export function authorization(): Record<string, string> {
  const secret = token();
  return secret === null ? {} : { authorization: `Bearer ${secret}` };
}

let asking: Promise<boolean> | null = null;
/** The user has said no: what runs by itself does not ask again. */
let isDeclined = false;
const watchers = new Set<() => void>();

/** Told when there is another token, or none any more. */
export function onToken(watcher: () => void): void {
  watchers.add(watcher);
}

/** Resolves with whether there is another one now. */
export function askToken(why: string): Promise<boolean> {
  asking ??= ask(why).finally(() => {
    asking = null;
  });
  return asking;
}

function ask(why: string): Promise<boolean> {
  const dialog = byId<HTMLDialogElement>('token-dialog');
  const input = byId<HTMLInputElement>('token');
  byId('token-why').textContent = `${why}${why === '' ? '' : ' '}It is kept for this tab alone, until that is closed.`;
  input.value = '';
  dialog.returnValue = '';
  dialog.showModal();
  input.focus();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(taken(dialog.returnValue, input)), { once: true });
  });
}

function taken(answer: string, input: HTMLInputElement): boolean {
  const secret = input.value.trim();
  input.value = '';
  const before = token();
  if (answer === 'drop') sessionStorage.removeItem(KEY);
  // Others cannot stand in a header.
  else if (answer === 'use' && /^[\x21-\x7e]+$/.test(secret)) sessionStorage.setItem(KEY, secret);
  else {
    isDeclined = true;
    return false;
  }
  isDeclined = false;
  if (token() !== before) for (const watcher of watchers) watcher();
  return answer === 'use';
}

/** Waits for the user where a token is missing, and tries again. @throws Refused, TypeError: nobody answers */
export async function request(path: string, init: RequestInit = {}, isOfUser = false): Promise<Response> {
  for (;;) {
    // Without credentials of the browser's own, which would ask in a window of its own.
    const headers = { ...authorization(), ...(init.headers as Record<string, string> | undefined) };
    const response = await fetch(path, { ...init, headers, credentials: 'omit', cache: 'no-store' });
    if (response.ok) return response;
    const refused = await refusedOf(response);
    const isAsked = response.status === 401 && (isOfUser || !isDeclined);
    if (!isAsked || !(await askToken(`${refused.message}.`))) throw refused;
  }
}

async function refusedOf(response: Response): Promise<Refused> {
  return new Refused(response.status, detailOf(await response.text().catch(() => ''), response.status));
}

/** What a problem says (RFC 9457). */
export function detailOf(body: string, status: number): string {
  try {
    const { detail } = JSON.parse(body) as { detail?: unknown };
    if (typeof detail === 'string' && detail !== '') return detail;
  } catch {
    // It is none.
  }
  return `answered with ${status}`;
}

export async function json<T>(path: string): Promise<T> {
  return (await request(path)).json() as Promise<T>;
}
