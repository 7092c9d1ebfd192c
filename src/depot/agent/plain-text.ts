/** Text of others for an answer or a log: one line of printable characters, not too long. Pure. */
export function plain(text: string): string {
  return text.replace(/[^\x20-\x7e\u00a0-\ud7ff]/g, ' ').slice(0, 300);
}
