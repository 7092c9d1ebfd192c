/**
 * Server-sent events, read by hand: a stream of the browser's own sends no token. Comes again when it is cut off, each
 * time a little later.
 */
import { onToken, Refused, request } from './http.js';

const AGAIN_MS = 1_000;
const AGAIN_MAX_MS = 15_000;
/** Nothing for so long, not even the comment that keeps a connection: it is dead. */
const SILENCE_MS = 40_000;
/** Longer is no event of ours. */
const EVENT_CHARACTERS_MAX = 1 << 20;

export type LinkState = 'live' | 'lost' | 'refused';

export interface LiveEvents {
  /** @param data as JSON was; anything */
  onEvent(type: string, data: unknown): void;
  onState(state: LinkState): void;
}

export function listen(events: LiveEvents): void {
  let abort = new AbortController();
  let wake = (): void => {};
  onToken(() => {
    abort.abort();
    wake();
  });
  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  const run = async (): Promise<never> => {
    let delayMs = AGAIN_MS;
    for (;;) {
      abort = new AbortController();
      try {
        const { body } = await request('/events', { signal: abort.signal });
        events.onState('live');
        delayMs = AGAIN_MS;
        await read(body!, abort, events);
        events.onState('lost');
      } catch (error) {
        events.onState(error instanceof Refused && [401, 403].includes(error.status) ? 'refused' : 'lost');
      }
      await pause(delayMs);
      delayMs = Math.min(AGAIN_MAX_MS, delayMs * 2);
    }
  };
  void run();
}

async function read(body: ReadableStream<Uint8Array>, abort: AbortController, events: LiveEvents): Promise<void> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let text = '';
  for (;;) {
    const timer = setTimeout(() => abort.abort(), SILENCE_MS);
    const { done, value } = await reader.read().finally(() => clearTimeout(timer));
    if (done) return;
    text += value;
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      tell(text.slice(0, end), events);
      text = text.slice(end + 2);
    }
    if (text.length > EVENT_CHARACTERS_MAX) {
      abort.abort();
      return;
    }
  }
}

function tell(block: string, { onEvent }: LiveEvents): void {
  let type = '';
  let data = '';
  for (const line of block.split('\n')) {
    if (line.startsWith('event: ')) type = line.slice(7);
    else if (line.startsWith('data: ')) data = line.slice(6);
  }
  if (type === '') return;
  try {
    onEvent(type, JSON.parse(data));
  } catch {
    // Half an event is none.
  }
}
