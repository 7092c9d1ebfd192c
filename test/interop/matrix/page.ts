/** `docs/interop.md`, made of the table that the tests of the matrix hold to. */
import { COLUMNS, type Column, ROWS, type Row } from './table.js';

const HEAD = `# Interoperability

Who works with us, and in what. Every "yes" is a transfer with the program itself, whose bytes are compared, in
\`test/interop/matrix/\`: CI makes all of them, but those of rqbit, which Debian does not have. A number is a note:
what the other side lacks.

`;

export function interopPage(): string {
  const notes: string[] = [];
  const columns = Object.keys(COLUMNS) as Column[];
  const note = (text: string): string => {
    if (!notes.includes(text)) notes.push(text);
    return `[${notes.indexOf(text) + 1}]`;
  };
  const line = ({ name, version, lacks, notes: more = {} }: Row): string => {
    const cells = columns.map((column) => {
      if (lacks[column] !== undefined) return note(`${lacks[column]}.`);
      return more[column] === undefined ? 'yes' : `yes ${note(`${more[column]}.`)}`;
    });
    return `| ${[`${name} ${version}`.trim(), ...cells].join(' | ')} |`;
  };
  const table = [`| | ${columns.join(' | ')} |`, `|---|${columns.map(() => '---|').join('')}`, ...ROWS.map(line)];
  const meanings = columns.map((column) => `- **${column}**: ${COLUMNS[column]}.`);
  const numbered = notes.map((text, index) => wrapped(`- [${index + 1}] ${text[0]!.toUpperCase()}${text.slice(1)}`));
  return `${HEAD}${table.join('\n')}\n\n${numbered.join('\n')}\n\n## What a column says\n\n${meanings.join('\n')}\n`;
}

/** As an item of a list, in lines of at most 120 columns. */
function wrapped(text: string): string {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1)!;
    if (line === '') lines[lines.length - 1] = word;
    else if (line.length + 1 + word.length <= 120) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(`  ${word}`);
  }
  return lines.join('\n');
}
