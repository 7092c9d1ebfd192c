/** The page: draws what is, listens to what happens, and draws again. */
import type { Status } from '../status.js';
import { refreshArtifacts, watchArtifacts } from './artifacts.js';
import { byId, say } from './dom.js';
import { shown } from './format.js';
import { askToken, json, onToken } from './http.js';
import { type LinkState, listen } from './live.js';
import { openMap, refreshMap, watchMap } from './map.js';
import { draw } from './status.js';
import { watchUploads } from './upload.js';

/** However much happens: so often is asked, */
const BETWEEN_MS = 1_000;
/** and so often when nothing does: ages go on. */
const IDLE_MS = 30_000;

/** Runs now or soon, never twice at once, and not while nobody looks. */
class Repeated {
  readonly #run: () => Promise<void>;
  #isWanted = false;
  #isRunning = false;

  constructor(run: () => Promise<void>) {
    this.#run = run;
  }

  want(): void {
    this.#isWanted = true;
    if (!this.#isRunning && !document.hidden) void this.#go();
  }

  async #go(): Promise<void> {
    this.#isRunning = true;
    while (this.#isWanted && !document.hidden) {
      this.#isWanted = false;
      await this.#run().catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, BETWEEN_MS));
    }
    this.#isRunning = false;
  }
}

const status = new Repeated(async () => {
  draw(await json<Status>('/status'), ({ infoHash }) => openMap(infoHash));
  await refreshMap();
});
const artifacts = new Repeated(refreshArtifacts);

function all(): void {
  status.want();
  artifacts.want();
}

const WORDS: Readonly<Record<LinkState, string>> = {
  live: 'live',
  lost: 'not connected, trying again',
  refused: 'a token is needed',
};

let state: LinkState | null = null;
function onState(now: LinkState): void {
  const element = byId('link');
  element.textContent = WORDS[now];
  element.className = `state ${now === 'live' ? 'live' : 'lost'}`;
  if (state !== null && state !== now) say(now === 'live' ? 'Connected again' : WORDS[now], now !== 'live');
  state = now;
  // What happened meanwhile was not told.
  if (now === 'live') all();
}

const TOLD: Readonly<Record<string, string>> = { publish: 'Published', remove: 'Deleted' };

function onEvent(type: string, data: unknown): void {
  status.want();
  if (type === 'figures') return;
  artifacts.want();
  const { name } = data as { name?: unknown };
  if (TOLD[type] !== undefined && typeof name === 'string') say(`${TOLD[type]}: ${shown(name)}`);
}

watchArtifacts();
watchUploads(all);
watchMap();
onToken(all);
byId('token-button').addEventListener('click', () => void askToken(''));
document.addEventListener('visibilitychange', all);
setInterval(all, IDLE_MS);
listen({ onEvent, onState });
all();
