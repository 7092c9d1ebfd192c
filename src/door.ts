/**
 * What an older Node.js loads for `import 'swarmhaul'`: it says in one sentence that it is too old, before the newer
 * syntax and modules of the library say it in many. Node.js 20.19 and later knows the condition "module-sync" of
 * package.json and loads `index.js` itself, also for `require`; what knows neither gets all of it here.
 *
 * It must parse on Node.js 14.8. The tidy test compares its names with those of `index.ts`.
 */

/** As `engines` in package.json; a test compares them. */
const OLDEST_MAJOR = 20;
const OLDEST_MINOR = 19;

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < OLDEST_MAJOR || (major === OLDEST_MAJOR && minor < OLDEST_MINOR)) {
  throw new Error(
    `swarmhaul needs Node.js ${OLDEST_MAJOR}.${OLDEST_MINOR} or later, this is ${process.versions.node}; ` +
      'install a newer one, see https://nodejs.org',
  );
}

export const {
  createEngine,
  createTorrent,
  formatMagnet,
  HaulError,
  isMagnet,
  parseMagnet,
  parseTorrent,
  share,
  startAgent,
  startDepot,
  startTracker,
  VERSION,
  verifyTorrent,
  withTrackers,
} = await import('./index.js');
