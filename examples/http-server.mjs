// Serves the files of a torrent by HTTP while they arrive: a browser, a player or curl may begin at once, and anywhere
// (Range). What somebody reads is fetched first.
//
//   node examples/http-server.mjs film.torrent /srv/films
//   curl -r 1000000- http://127.0.0.1:8080/film.mkv
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createEngine } from 'swarmhaul';

const [torrentFile, output, port = '8080'] = process.argv.slice(2);
const engine = await createEngine({ port: 0 });
const torrent = engine.add(await readFile(torrentFile), { output });
torrent.on('failed', (error) => console.error(error.message));

const server = createServer(async (request, response) => {
  const url = decode(request.url);
  const file = torrent.metainfo.files.find(({ path, isPad }) => !isPad && `/${path.join('/')}` === url);
  if (file === undefined) return response.writeHead(404).end('no such file\n');
  const range = rangeOf(request.headers.range, file.lengthBytes);
  response.setHeader('accept-ranges', 'bytes');
  if (range === null) return response.writeHead(416, { 'content-range': `bytes */${file.lengthBytes}` }).end();
  const { start, end, isPart } = range;
  response.setHeader('content-length', end - start);
  if (isPart) response.setHeader('content-range', `bytes ${start}-${end - 1}/${file.lengthBytes}`);
  response.writeHead(isPart ? 206 : 200);
  if (request.method === 'HEAD') return response.end();
  // A client that hangs up ends the read, and one that reads slowly slows it down.
  const bytes = Readable.from(torrent.read(torrent.metainfo.files.indexOf(file), { start, end }), {
    objectMode: false,
  });
  await pipeline(bytes, response).catch((error) => console.error(`${url}: ${error.message}`));
});
server.listen(Number(port), '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}/`));
process.once('SIGINT', async () => {
  server.close();
  server.closeAllConnections();
  await engine.close();
});

function decode(path) {
  try {
    return decodeURIComponent(new URL(path, 'http://localhost').pathname);
  } catch {
    return '';
  }
}

// One range, as most clients ask for; null: there is no such byte.
function rangeOf(header, length) {
  const [, from, to] = /^bytes=(\d*)-(\d*)$/.exec(header ?? '') ?? [];
  if (from === undefined || from + to === '') return { start: 0, end: length, isPart: false };
  const start = from === '' ? Math.max(0, length - Number(to)) : Number(from);
  const end = from === '' || to === '' ? length : Math.min(length, Number(to) + 1);
  return start < end ? { start, end, isPart: true } : null;
}
