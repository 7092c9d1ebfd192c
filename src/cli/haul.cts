#!/usr/bin/env node
/*
 * The first file of the command: says in one line why it cannot run here, before a newer syntax or a missing resource says it in many.
 * It must parse on any Node.js, so it is ES5 and `require` alone; `launch.cjs` loads the rest.
 */
/* biome-ignore-all lint/suspicious/noVar: ES5 */
/* biome-ignore-all lint/correctness/noInnerDeclarations: ES5 */
/* biome-ignore-all lint/correctness/noUnusedVariables: ES5 has no catch without a name */
/* biome-ignore-all lint/complexity/useArrowFunction: ES5 */
/* biome-ignore-all lint/style/useTemplate: ES5 */
/* biome-ignore-all lint/style/useNodejsImportProtocol: Node.js 14 and earlier do not know it */
/* biome-ignore-all lint/complexity/useOptionalChain: ES5 */

/** As `engines` in package.json; a test compares them. */
var OLDEST_NODE = [20, 19];
/** Node itself, its modules while they load, one worker, a torrent and some peers. */
var OPEN_FILES_AT_LEAST = 64;
/** Four of libuv, one worker. */
var THREADS_AT_LEAST = 5;
var THREADS_COUNTED = 256;

function nodeTrouble(version: string): string | null {
  var parts = version.split('.');
  var major = Number(parts[0]);
  var minor = Number(parts[1]);
  if (major > OLDEST_NODE[0]! || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1]!)) return null;
  return (
    'needs Node.js ' +
    OLDEST_NODE.join('.') +
    ' or later, this is ' +
    version +
    '; install a newer one, see https://nodejs.org'
  );
}

function read(path: string): string {
  try {
    return require('fs').readFileSync(path, 'latin1');
  } catch (error) {
    return '';
  }
}

/** Node has raised the soft limit to the hard one by now. */
function filesTrouble(limits: string): string | null {
  var found = /^Max open files +(\d+)/m.exec(limits);
  if (found === null || Number(found[1]) >= OPEN_FILES_AT_LEAST) return null;
  return (
    'this process may open only ' +
    found[1] +
    ' files at once, and needs at least ' +
    OPEN_FILES_AT_LEAST +
    '; raise the limit with: ulimit -n 1024'
  );
}

/** Threads that may still be started, as far as it can be known; libuv ends the process without a word when it gets none. */
function freeThreads(limits: string): number {
  var free = Infinity;
  var folders = ['/sys/fs/cgroup', '/sys/fs/cgroup/pids'];
  for (var i = 0; i < folders.length; i++) {
    var most = parseInt(read(folders[i] + '/pids.max'), 10);
    var now = parseInt(read(folders[i] + '/pids.current'), 10);
    if (most >= 0 && now >= 0) free = Math.min(free, most - now);
  }
  var found = /^Max processes +(\d+)/m.exec(limits);
  var user = process.getuid ? process.getuid() : 0;
  // Root may have as many as it likes. A large limit is not worth looking at every process.
  if (found === null || user === 0 || Number(found[1]) > THREADS_COUNTED) return free;
  return Math.min(free, Number(found[1]) - threadsOf(user));
}

function threadsOf(user: number): number {
  var count = 0;
  var names = require('fs').readdirSync('/proc');
  for (var i = 0; i < names.length; i++) {
    var status = /^\d+$/.test(names[i]) ? read('/proc/' + names[i] + '/status') : '';
    var owner = /^Uid:\s+(\d+)/m.exec(status);
    var threads = /^Threads:\s+(\d+)/m.exec(status);
    if (owner !== null && threads !== null && Number(owner[1]) === user) count += Number(threads[1]);
  }
  return count;
}

function limitTrouble(): string | null {
  var limits = read('/proc/self/limits');
  var trouble = filesTrouble(limits);
  if (trouble !== null || freeThreads(limits) >= THREADS_AT_LEAST) return trouble;
  return (
    'no more threads can be started here, and it needs ' +
    THREADS_AT_LEAST +
    '; raise the limit of processes (ulimit -u, or pids.max of the container)'
  );
}

var trouble = nodeTrouble(process.versions.node) || limitTrouble();
if (trouble === null) require('./launch.cjs');
else {
  process.stderr.write('haul: ' + trouble + '\n');
  process.exitCode = 1;
}
