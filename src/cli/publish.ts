/** `haul publish`: sends files and folders to a depot. */
import { Command, Option } from 'commander';
import type { DepotArtifact, DepotClient } from './depot-client.js';
import { addDepotOptions, type DepotPlaceOptions } from './depot-options.js';
import { count, formatBytes, formatRate, formatSeconds, printable } from './format.js';
import { jsonHelp, PLAIN_PROGRESS, RESOURCE_FIELDS } from './json-help.js';
import { argument, type CommonOptions, examples } from './options.js';
import type { Output } from './output.js';
import type { Body, BodyDigest } from './publish-body.js';
import type { Giving } from './publish-p2p.js';
import { addPeerOptions, checkGiving, type GiveOptions, gaveUp, openGiving } from './publish-peers.js';
import type { Context, Outcome, Runner } from './run.js';
import type { Sample } from './sample.js';
import { resourceFields } from './usage.js';
import { parseDays, parseLevel, parseReplicas } from './values.js';

interface PublishOptions extends CommonOptions, DepotPlaceOptions, GiveOptions {
  readonly name: string;
  readonly ifNoFilesFound?: 'warn' | 'error' | 'ignore';
  readonly retentionDays?: number;
  readonly replicas?: number;
  readonly overwrite?: boolean;
  readonly includeHiddenFiles?: boolean;
  readonly archive?: boolean;
  readonly single?: boolean;
  readonly compressionLevel?: number;
  /** False: no torrent is asked for. */
  readonly folderTorrent?: boolean;
}

const UPLOADS_AT_ONCE = 4;

export function publishCommand(run: Runner): Command {
  const command = new Command('publish')
    .description('Send files or folders to a depot')
    .argument('<paths...>', 'files, folders, globs; "!" before what is left out; "-": standard input')
    .requiredOption('--name <name>', 'of a single file; of more, or with a slash at its end, what all is below')
    .addOption(
      new Option(
        '--if-no-files-found <what>',
        'when there is nothing to send (default: warn, and what is named plainly has to be there)',
      ).choices(['warn', 'error', 'ignore']),
    )
    .addOption(
      new Option(
        '--retention-days <n>',
        'days that it stays (default: as the depot or the config file says)',
      ).argParser(argument(parseDays)),
    )
    .addOption(
      new Option('--replicas <n>', 'goes for want of space only while so many others seed it').argParser(
        argument(parseReplicas),
      ),
    )
    .option('--overwrite', 'replace what has the name; needs the scope delete, too')
    .option('--include-hidden-files', 'also what begins with a dot')
    .option('--no-folder-torrent', 'ask for no torrent of all that is below NAME')
    .addOption(new Option('--archive', 'send all as one tar, called NAME').conflicts('single'))
    .option('--single', 'fail where more than one file is found; below NAME/ it keeps its file name')
    .addOption(
      new Option('--compression-level <0-9>', 'of the archive, by gzip (default: 0, none)').argParser(
        argument(parseLevel),
      ),
    );
  return addDepotOptions(addPeerOptions(command))
    .addHelpText(
      'after',
      examples(
        'haul publish image.raw --name ci/42/image.raw --depot http://depot:7070',
        'haul publish dist/ --name ci/42 --retention-days 14',
        'haul publish dist/ --name ci/42/dist.tar --archive',
        "haul publish 'dist/**/*.deb' '!dist/old/**' --name ci/42/debs/",
        'tar c rootfs | haul publish - --name ci/42/rootfs.tar',
        'haul publish image.raw --name ci/42/image.raw --p2p   # seed it until the depot has it',
      ) +
        `

The SHA-256 of each file is computed here, sent along and verified there. What the depot has already under its name
is not sent again, so the same command continues where one broke off. With --p2p it continues in the middle of a file:
the depot fetches files of 4 MiB and more from here as a peer, from whoever else seeds them too, and keeps what came.
Exit codes: 0 done, 1 failed, 2 usage, 3 nothing came to the depot for --timeout, 5 not the bytes of the digest.

Of several files the depot makes one torrent beside those of each, of all that is below NAME then: its magnet link is
told at the end. It goes when one of them is removed or replaced; who asks again gets that of the new files.` +
        jsonHelp({
          ...PLAIN_PROGRESS,
          seeding: 'name infoHash port arrival',
          published: 'name sha256 lengthBytes expires infoHash url torrentUrl magnet wasThere byPeers seconds',
          folder: 'prefix infoHash files lengthBytes torrentUrl magnet',
          result: `outcome artifacts sentBytes seconds ${RESOURCE_FIELDS}`,
        }),
    )
    .action((paths: string[], options: PublishOptions) =>
      run('publish', options, (context) => publish(context, paths, options).catch((error) => gaveUp(context, error))),
    );
}

async function publish(
  { output, signal }: Context,
  paths: readonly string[],
  options: PublishOptions,
): Promise<Outcome> {
  const [{ needPlace }, { DepotClient: Client }, { findFiles }, { archiveBody, fileBody }] = await Promise.all([
    import('./agent-place.js'),
    import('./depot-client.js'),
    import('./publish-files.js'),
    import('./publish-body.js'),
  ]);
  const place = await needPlace(options, output);
  const below = options.archive === true ? '/' : options.name;
  const level = options.compressionLevel ?? 0;
  if (level > 0 && options.archive !== true) {
    const { HaulError } = await import('../errors.js');
    throw new HaulError('BAD_ARGUMENT', '--compression-level is of --archive', { option: 'compression-level' });
  }
  const input = paths.includes('-') ? await keptInput(paths, options, signal) : null;
  if (options.p2p === true) await checkGiving(options, place);
  const what = options.ifNoFilesFound;
  const withHidden = options.includeHiddenFiles === true;
  const finding = { withHidden, missing: what ?? 'error', isSingle: options.single === true };
  const { files, warnings } =
    input === null ? await findFiles(paths, below, finding) : { files: [input], warnings: [] };
  for (const warning of warnings) output.warn(warning);
  if (files.length === 0) return nothingFound(output, what ?? 'warn');
  const grown = (path: string): void =>
    output.warn(`${path} has grown meanwhile: sent as long as it was when it was found`);
  const bodies = options.archive === true ? [archiveBody(options.name, files, level, grown)] : files.map(fileBody);
  const client = await Client.open(place, signal, (error) =>
    output.warn(`${error.message}; trying again`, { code: error.code }),
  );
  const started = performance.now();
  const retentionDays = options.retentionDays ?? place.retentionDays;
  const { replicas = null } = options;
  const rules = { retentionDays, replicas, overwrite: options.overwrite === true, signal };
  const giving = options.p2p === true ? await openGiving(output, client, options, rules) : null;
  const pathOf = new Map(files.map(({ name, path }) => [name, path]));
  const give = giving && { by: giving, pathOf: (name: string) => pathOf.get(name)! };
  const sending = new Sending(output, client, rules, give);
  try {
    await sending.all(bodies);
    const isFolder = bodies.length > 1 && !place.isAgent && options.folderTorrent !== false;
    if (isFolder) await (await import('./publish-folder.js')).tellFolder(output, client, options.name, signal);
  } finally {
    output.stopProgress();
    await giving?.close();
    await input?.close();
    client.close();
  }
  const seconds = (performance.now() - started) / 1000;
  const { sentBytes } = sending;
  const rate = sentBytes === 0 ? '' : `, ${formatRate(sentBytes / seconds)}`;
  output.event(
    'result',
    { outcome: 'done', artifacts: bodies.length, sentBytes, seconds, ...resourceFields() },
    bodies.length === 1
      ? ''
      : `${count(bodies.length, 'artifact')}, ${formatBytes(sentBytes)} sent in ${formatSeconds(seconds)}${rate}`,
  );
  return 'done';
}

async function keptInput(
  paths: readonly string[],
  options: PublishOptions,
  signal: AbortSignal,
): Promise<import('./publish-input.js').KeptInput> {
  const { checkInput, keepInput } = await import('./publish-input.js');
  checkInput(paths, options);
  return keepInput(options.name, process.stdin, signal);
}

/** The depot tells of its URL. */
function asOption(message: string): string {
  return message.replace(/; \?overwrite=true.*$/, '');
}

async function nothingFound(output: Output, what: 'warn' | 'error' | 'ignore'): Promise<Outcome> {
  const message = 'there is no file to publish';
  if (what === 'error') {
    const { HaulError } = await import('../errors.js');
    throw new HaulError('NOT_FOUND', message);
  }
  if (what === 'warn') output.warn(message, { code: 'no-files-found' });
  output.event('result', { outcome: 'done', artifacts: 0, sentBytes: 0, seconds: 0, ...resourceFields() }, '');
  return 'done';
}

interface SendRules {
  readonly retentionDays: number | null;
  readonly replicas: number | null;
  readonly overwrite: boolean;
  readonly signal: AbortSignal;
}

/** With `--p2p`. */
interface Give {
  readonly by: Giving;
  /** On the disk. */
  readonly pathOf: (name: string) => string;
}

/** Some at once, each hashed, then sent unless it is there. */
class Sending {
  sentBytes = 0;
  #hashedBytes = 0;
  #doneBytes = 0;
  #totalBytes = 0;
  readonly #output: Output;
  readonly #client: DepotClient;
  readonly #rules: SendRules;
  readonly #give: Give | null;

  constructor(output: Output, client: DepotClient, rules: SendRules, give: Give | null) {
    this.#give = give;
    this.#output = output;
    this.#client = client;
    this.#rules = rules;
  }

  async all(bodies: readonly Body[]): Promise<void> {
    this.#totalBytes = bodies.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
    this.#output.progress(this.#sampler());
    const left = [...bodies].reverse();
    const worker = async (): Promise<void> => {
      for (let body = left.pop(); body !== undefined; body = left.pop()) await this.#one(body);
    };
    const workers = Array.from({ length: Math.min(UPLOADS_AT_ONCE, bodies.length) }, worker);
    try {
      await Promise.all(workers);
    } catch (error) {
      left.length = 0;
      await Promise.allSettled(workers);
      throw error;
    }
  }

  #sampler(): () => Sample {
    const started = performance.now();
    return () => {
      const doneBytes = this.#doneBytes;
      const isHashing = doneBytes === 0 && this.#hashedBytes < this.#totalBytes;
      const shown = isHashing ? this.#hashedBytes : doneBytes;
      const bytesPerSec = shown / Math.max(0.001, (performance.now() - started) / 1000);
      const secondsLeft = bytesPerSec === 0 ? Number.POSITIVE_INFINITY : (this.#totalBytes - shown) / bytesPerSec;
      const phase = isHashing ? 'hashing' : this.#give === null ? 'sending' : 'seeding';
      return { phase, doneBytes: shown, totalBytes: this.#totalBytes, bytesPerSec, secondsLeft };
    };
  }

  async #one(body: Body): Promise<void> {
    const { digestOf } = await import('./publish-body.js');
    const started = performance.now();
    const onHashed = (bytes: number): void => {
      this.#hashedBytes += bytes;
    };
    if (this.#give !== null && (await this.#given(body, this.#give, onHashed, started))) return;
    const digest = await digestOf(body, onHashed, this.#rules.signal);
    const { sha256, lengthBytes } = digest;
    this.#totalBytes += lengthBytes - body.lengthBytes;
    const known = await this.#client.find(body.name).catch((error: unknown) => {
      // A token may be for writing alone.
      if ((error as { code?: unknown }).code === 'NO_PERMISSION') return null;
      throw error;
    });
    // A term that is asked for has to be told, and is with the bytes.
    const wasThere = known?.sha256 === sha256 && this.#rules.retentionDays === null && this.#rules.replicas === null;
    if (wasThere) this.#doneBytes += lengthBytes;
    const artifact = wasThere ? known : await this.#client.trying(() => this.#put(body, digest));
    this.#say(artifact, { wasThere, byPeers: false, seconds: (performance.now() - started) / 1000 });
  }

  /** False: it has to be sent. */
  async #given(body: Body, give: Give, hashed: (bytes: number) => void, started: number): Promise<boolean> {
    if (!give.by.isLong(body.lengthBytes)) return false;
    const { artifact, wasThere } = await give.by.give(give.pathOf(body.name), body.name, {
      hashed,
      received: (bytes) => {
        this.#doneBytes += bytes;
      },
      given: (bytes) => {
        this.sentBytes += bytes;
      },
    });
    if (artifact === null) {
      this.#hashedBytes -= body.lengthBytes;
      return false;
    }
    if (wasThere) this.#doneBytes += artifact.lengthBytes;
    this.#say(artifact, { wasThere, byPeers: !wasThere, seconds: (performance.now() - started) / 1000 });
    return true;
  }

  async #put(body: Body, { sha256, lengthBytes }: BodyDigest): Promise<DepotArtifact> {
    const [{ DepotClient: Client, readAnswer }, { HaulError }] = await Promise.all([
      import('./depot-client.js'),
      import('../errors.js'),
    ]);
    const { retentionDays, replicas, overwrite } = this.#rules;
    const query = new URLSearchParams({
      ...(retentionDays === null ? {} : { 'retention-days': String(retentionDays) }),
      ...(replicas === null ? {} : { replicas: String(replicas) }),
      ...(overwrite ? { overwrite: 'true' } : {}),
    });
    let sent = 0;
    try {
      const response = await this.#client.ask('PUT', `${Client.path(body.name)}?${query}`, {
        headers: {
          'content-length': lengthBytes,
          'repr-digest': `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:`,
        },
        send: async (write) => {
          for await (const chunk of body.read()) {
            await write(chunk);
            sent += chunk.length;
            this.sentBytes += chunk.length;
            this.#doneBytes += chunk.length;
          }
        },
      });
      return this.#client.artifactOf(await readAnswer(response));
    } catch (error) {
      this.#doneBytes -= sent;
      if (HaulError.is(error) && error.facts.statusCode === 409 && !overwrite)
        throw new HaulError(error.code, `${asOption(error.message)}; --overwrite replaces it`, error.facts, error);
      if (HaulError.is(error) && error.code === 'MISMATCH')
        throw new HaulError(error.code, `${error.message}: was a file changed meanwhile?`, error.facts, error);
      throw error;
    }
  }

  #say(
    artifact: DepotArtifact,
    { wasThere, byPeers, seconds }: { wasThere: boolean; byPeers: boolean; seconds: number },
  ): void {
    const { name, sha256, lengthBytes, expires, infoHash, url, torrentUrl, magnet } = artifact;
    const how = wasThere ? 'was there already' : `${byPeers ? 'given' : 'sent'} in ${formatSeconds(seconds)}`;
    const lines = [`${printable(name, 2000)}: ${formatBytes(lengthBytes)}, ${how}`, `  ${url}`, `  sha256 ${sha256}`];
    if (magnet !== null) lines.push(`  ${magnet}`);
    const fields = {
      name,
      sha256,
      lengthBytes,
      expires,
      infoHash,
      url,
      torrentUrl,
      magnet,
      wasThere,
      byPeers,
      seconds,
    };
    this.#output.event('published', fields, lines.join('\n'));
  }
}
