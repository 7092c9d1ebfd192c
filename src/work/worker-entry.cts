/**
 * What piscina loads: it tries `require` first, and a thread that is ended while Node 20 requires an ES module takes the whole process down
 * (v8::Module::IsGraphAsync). A promise of the module, loaded with `import`, is awaited by piscina and may be cut off at any time.
 */
module.exports = import('./worker.js').then((worker) => worker.default);
