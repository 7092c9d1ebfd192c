/** What is known of terminals beyond their columns. */

/**
 * True: a line that has become too long for a narrower window is broken into rows, as most do. XTerm, the console of
 * Linux and GNU screen cut it off.
 */
export function reflows(env: NodeJS.ProcessEnv): boolean {
  if (env.TMUX !== undefined) return true;
  return env.XTERM_VERSION === undefined && env.STY === undefined && env.TERM !== 'linux';
}
