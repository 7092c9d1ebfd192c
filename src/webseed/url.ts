/** Where the files of a torrent are on a web server (BEP 19). Pure. */
import type { FileEntry, Metainfo } from '../metainfo/metainfo.js';

/** Kept by `encodeURIComponent`, and not by every server. */
const MARKS = /[!'()*]/g;

/**
 * The URL of one file. Of a single-file torrent the URL is the file's, or with a slash at its end the folder's; of
 * others always the folder's in which the torrent's own folder lies. User and password stay, a query too.
 */
export function fileUrl(base: URL, metainfo: Pick<Metainfo, 'name' | 'isMultiFile'>, file: FileEntry): URL {
  const url = new URL(base);
  url.hash = '';
  if (!metainfo.isMultiFile && !url.pathname.endsWith('/')) return url;
  const folder = url.pathname.endsWith('/') ? url.pathname : `${url.pathname}/`;
  url.pathname = folder + pathOf(metainfo, file).map(escaped).join('/');
  return url;
}

/** As the torrent's maker knew it, unless that names no file below the folder. */
function pathOf({ name }: Pick<Metainfo, 'name'>, file: FileEntry): readonly string[] {
  const listed = file.pathInTorrent;
  return listed !== undefined && listed.length > 0 && listed.every(isName) ? [name, ...listed] : file.path;
}

function isName(text: string): boolean {
  return text !== '' && text !== '.' && text !== '..' && !text.includes('/') && !text.includes('\0');
}

function escaped(name: string): string {
  const percent = (character: string): string => `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
  return encodeURIComponent(Buffer.from(name).toString()).replace(MARKS, percent);
}
