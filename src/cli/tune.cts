/**
 * Fewer optimisations of fewer functions: a download lasts seconds, and V8's compiler threads take the cores from SHA-1
 * and the sockets. A quarter of the zeal (interrupt budget, default 67,584) and half the inlining (default 920): 2 GiB
 * on 2 cores, 3 turns, 640 -> 717 MB/s, leech 1.99 -> 1.80 and seed 0.81 -> 0.72 CPU-s per GB. It is for processes that
 * do nothing else, so the command does it and the library does not. Acts when it is loaded: load it first, for code that
 * V8 has compiled before is good with the same flags only.
 */
const { setFlagsFromString } = require('node:v8') as typeof import('node:v8');

/** The V8 of Node 20. Later ones have a middle compiler, and another flag for this. */
const V8_MAJOR = 11;

if (Number.parseInt(process.versions.v8, 10) === V8_MAJOR) {
  setFlagsFromString('--interrupt-budget=270000');
  setFlagsFromString('--max-inlined-bytecode-size-cumulative=400');
}
