/** `haul token`: makes, lists and revokes the tokens of a depot, in the file that the depot reads. */
import { Argument, Command, Option } from 'commander';
import type { Scope } from '../depot/http/tokens.js';
import { printable } from './format.js';
import { jsonHelp } from './json-help.js';
import { argument, type CommonOptions, examples } from './options.js';
import type { Context, Outcome, Runner } from './run.js';
import { parseDuration, ValueError } from './values.js';

interface TokenOptions extends CommonOptions {
  readonly tokens: string;
  readonly scope: readonly Scope[];
  readonly prefix?: string;
  /** Milliseconds. */
  readonly expires?: number;
  readonly note?: string;
}

const SCOPE_NAMES: readonly Scope[] = ['read', 'write', 'delete', 'admin'];
const TOKEN_FIELDS = 'id scopes prefix created expires isExpired note';

export function tokenCommand(run: Runner): Command {
  return new Command('token')
    .description('Make, list or revoke tokens of a depot')
    .addArgument(new Argument('<action>', 'what to do').choices(['create', 'list', 'revoke']))
    .argument('[id]', 'of the token to revoke')
    .requiredOption('--tokens <file>', 'the file of haul depot --tokens; made when missing, for its owner alone')
    .addOption(
      new Option('--scope <scopes>', `what it may do: ${SCOPE_NAMES.join(', ')}, with commas between`)
        .argParser(argument(parseScopes))
        .default(['read', 'write'] satisfies Scope[], 'read,write'),
    )
    .option(
      '--prefix <path>',
      'only names below this, e.g. ci/; /cas and /ac name what build tools keep (default: all)',
    )
    .addOption(
      new Option('--expires <duration>', 'how long it is good: 12h, 90d, forever').argParser(argument(parseDuration)),
    )
    .option('--note <text>', 'for people: whose it is')
    .addHelpText(
      'after',
      examples(
        'haul token create --tokens tokens.json --scope read,write --prefix ci/ --expires 90d --note "runner 7"',
        'haul token list --tokens tokens.json',
        'haul token revoke 3f2a9c01d4 --tokens tokens.json',
      ) + jsonHelp({ token: TOKEN_FIELDS, result: `outcome ${TOKEN_FIELDS} token` }),
    )
    .action((action: string, id: string | undefined, options: TokenOptions) =>
      run('token', options, (context) => token(context, action, id, options)),
    );
}

function parseScopes(text: string): Scope[] {
  const scopes = text.split(',').map((word) => SCOPE_NAMES.find((scope) => scope === word.trim()));
  if (scopes.includes(undefined)) throw new ValueError(`Scopes are ${SCOPE_NAMES.join(', ')}, with commas between.`);
  return [...new Set(scopes as Scope[])];
}

async function token(
  { output }: Context,
  action: string,
  id: string | undefined,
  options: TokenOptions,
): Promise<Outcome> {
  const [files, { HaulError }] = await Promise.all([import('../depot/http/token-file.js'), import('../errors.js')]);
  const nowMs = Date.now();
  const path = options.tokens;
  if (action === 'list') {
    for (const each of files.readTokenFile(path)) {
      const fields = files.tokenFields(each, nowMs);
      const until = fields.isExpired === true ? 'expired' : String(fields.expires ?? 'for ever');
      const words = [each.id, each.scopes.join(','), printable(String(fields.prefix)), until, printable(each.note)];
      output.event('token', fields, words.join('  ').trimEnd());
    }
    return 'done';
  }
  if (action === 'revoke') {
    if (id === undefined) throw new HaulError('BAD_ARGUMENT', 'which one? haul token list shows their ids');
    const fields = files.tokenFields(files.revokeToken(path, id), nowMs);
    output.event('result', { outcome: 'done', ...fields }, `revoked ${id}`);
    return 'done';
  }
  const prefix = files.prefixOf(options.prefix ?? '');
  if (prefix === null)
    throw new HaulError('BAD_ARGUMENT', `--prefix ${options.prefix}: no such path`, { option: 'prefix' });
  const { expires } = options;
  const expiresMs = expires === undefined || !Number.isFinite(expires) ? null : nowMs + expires;
  const wish = { scopes: options.scope, prefix, expiresMs, note: (options.note ?? '').slice(0, 200) };
  const made = files.createToken(path, wish, nowMs);
  output.note('this is the only time that the token is shown');
  const fields = { outcome: 'done', ...files.tokenFields(made.token, nowMs), token: made.secret };
  output.event('result', fields, made.secret);
  return 'done';
}
