/** What `haul get --help` says behind the options. */
import { jsonHelp, RESOURCE_FIELDS, TORRENT_FIELDS, TORRENT_PROGRESS } from './json-help.js';
import { examples } from './options.js';

export function getHelp(): string {
  return `${examples(
    'haul get http://192.0.2.7:6969/image.iso.torrent --output /srv/images',
    "haul get build.torrent --output . --peer '[2001:db8::7]:6881' --seed-for 10m",
    'haul get http://192.0.2.7:6969/image.iso.torrent --zone eu-1/rack7',
    "haul get build.torrent --only 'bin/**' --only '*.txt' --skip '**/*.map'",
    'haul get http://192.0.2.7:6969/image.iso.torrent --timeout 2m --deadline 1h   # unattended',
    'haul get ci/42/image.raw --depot http://depot:7070',
    "haul get build.torrent --high 'docs/{index,start}.html' --sequential",
    'haul get http://192.0.2.7:6969/build.tar.torrent --stdout build.tar | tar x',
    "haul get 'magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&x.pe=192.0.2.7:6881'",
    'haul get http://192.0.2.7:6969/image.iso.torrent --sha256 "$(cut -c1-64 image.iso.sha256)"',
  )}

Globs match paths inside the torrent, with '/' and without its own folder; for a single file its name. * and ?
match within a name, ** across folders; [a-z] and {a,b} work too. A skipped file is not made, and one that is
there is not touched. Run again with other globs, or none, to fetch more: pieces that lie across the border of a
skipped file may be fetched anew.

A file that is there already is checked. What matches is kept: a new version of an image may be fetched into the
place of the old one, and a longer file is then cut to size. A file in which no piece matches is not touched,
nor one with a second name (a hard link) that would change with it: the command says so and exits with 1, unless
--force is given. With that it gets bytes of its own first, and its other names keep what they have.

A magnet link is a hash and where to ask: trackers (tr), peers (x.pe), web seeds (ws). What the torrent is comes
from its peers, and is kept in the output folder, so that the same command needs none of them for it again. so
(so=0,2-4) names the files to fetch, unless --only, --skip, --high or --low is given; dn is a hint for people.
Quote it: it holds '&'.

With --info-hash (40 hexadecimal digits, or 32 of base32; 64 are the SHA-256 of the info dictionary, the version 2
info-hash of a hybrid) and with --sha256 (of the file, when there is one alone or --only leaves one) nobody between
you and the sharer need be trusted. A torrent with another info-hash is not begun. A file with another SHA-256 is
renamed, with .mismatch behind its name, before anything is reported done. Exit code 5 in both cases.

With --stdout FILE the file goes to standard output in order while it arrives, and what is read next is fetched
first; progress and results go to standard error. It is kept in --output as well, and is the only file that is
fetched unless --only or --skip say otherwise. When nobody reads any more the command stops as head stops a
program that writes to it: exit code 141, and what is verified is kept. With --sha256 the exit code tells whether
what was written was right: it is known at the end only.

A server of the .torrent that is not there yet, breaks off or answers 5xx or 429 is asked again for a minute
(with --timeout: for that long); one that answers 404 is not. While nothing comes, a line says what the download
waits for: peers that cannot be reached, trackers that fail, a slow disk. When --timeout or --deadline ends it,
the reason of each tracker and of the peers is printed. Checking what is here is no waiting, and --seed-for
comes after the limits. What is verified is kept: the same command continues.

With --depot, SWARMHAUL_DEPOT or a config file NAME is an artifact of a depot, or all that is below NAME, unless a
file of that name is here; with --agent or SWARMHAUL_AGENT the agent of this host fetches it. Artifacts with a
torrent come through the swarm, the depot in it; the others by HTTP, continued where they broke off. Each is verified
by its SHA-256, and told with where its bytes came from. With --stdout the one of that name, or of which the name ends
so, goes to standard output, and others are not fetched; what comes by HTTP goes there when it is verified.
All that is below NAME comes by one torrent where the depot has or makes one of the folder; else, and through an agent,
one by one. What is verified lies in a hidden folder until the file has its SHA-256, also when the command ends early.

Exit codes: 0 done, 1 failed, 2 usage, 3 nothing was verified (default: nothing useful came) for --timeout,
4 not complete at the --deadline, 5 not what --info-hash or --sha256 says.
Ctrl-C while downloading exits with 130 and keeps what is verified; the same command continues.
Ctrl-C while seeding afterwards exits with 0: the data is complete.
One haul get at a time downloads to the same place, and nobody seeds from it meanwhile: a second one says so and
exits with 1.${jsonHelp({
    ...TORRENT_PROGRESS,
    result:
      'outcome path name infoHash wantedFiles fileCount seconds averageBytesPerSec sources[trackers,addresses] ' +
      `${TORRENT_FIELDS} ${RESOURCE_FIELDS}`,
    receipt: `outcome artifacts seconds peerBytes webSeedBytes httpBytes agentBytes localBytes ${RESOURCE_FIELDS}`,
    fetched: 'name path sha256 lengthBytes seconds peerBytes webSeedBytes httpBytes agentBytes localBytes',
    folder: 'name path infoHash files lengthBytes seconds and bytes as receipt; fetched has wasHere instead of them',
    stopped: `uploadedBytes ${RESOURCE_FIELDS}`,
  })}`;
}
