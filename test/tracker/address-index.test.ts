/** Whatever the secret, the ports of one host do not stand side by side in the table of addresses. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeRandom } from '../../src/random.js';
import { hashNumbers, placeHash } from '../../src/tracker/address-index.js';

const PORTS = 100;
const PLACES = 256;

/** Places that are looked at to add all ports of a host, as in `AddressIndex`. */
function looks(secret: number): number {
  const { seed, factor } = hashNumbers(secret);
  const isTaken = new Uint8Array(PLACES);
  let count = 0;
  for (let port = 10_000; port < 10_000 + PORTS; port++) {
    const compact = Uint8Array.of(127, 0, 0, 1, port >> 8, port & 255);
    let place = placeHash(compact, 0, 6, seed, factor) & (PLACES - 1);
    for (count++; isTaken[place] === 1; count++) place = (place + 1) & (PLACES - 1);
    isTaken[place] = 1;
  }
  return count;
}

test('an address is found after a few looks, whatever the secret', () => {
  const random = makeRandom(7);
  for (let k = 0; k < 2_000; k++) {
    const secret = Math.floor(random() * 2 ** 32);
    assert.ok(looks(secret) < 2.5 * PORTS, `secret ${secret}: ${looks(secret)} looks for ${PORTS} addresses`);
  }
});
