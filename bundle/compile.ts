/** `node dist/bundle/compile.js FILE`: all functions of a bundle as V8 compiles them, to standard output. */
import { readFileSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { setFlagsFromString } from 'node:v8';

const require = createRequire(import.meta.url);
const { scriptOf } = require('../src/cli/bundle.cjs') as import('../src/cli/bundle.cjs').Bundles;

const file = process.argv[2]!;
// Else only what runs at once. V8 refuses code of other flags: at its end they are as the command has them.
setFlagsFromString('--no-lazy');
const script = scriptOf(path.basename(file, '.cjs'), readFileSync(file));
setFlagsFromString('--lazy');
const code = script.createCachedData();
for (let at = 0; at < code.length; ) at += writeSync(1, code, at);
