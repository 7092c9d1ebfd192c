/** A word for a shell: quoted when a bare one would be taken for a pattern, as zsh does with brackets. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
