/** An artifact on its way from peers, as answers tell of it. */

import { HaulError } from '../../errors.js';
import { shortName } from '../names.js';
import type { ArrivalView } from '../p2p/port.js';
import { announceUrl, artifactJson } from './artifact-json.js';
import { Problem, problemOf } from './problems.js';

export function arrivalUrl({ id }: ArrivalView, base: string): string {
  return `${base}/arrivals/${id}`;
}

/** As the schema `Arrival` has it. */
export function arrivalJson(view: ArrivalView, base: string, passkey: string | null): Record<string, unknown> {
  const { name, sha256, lengthBytes, infoHash, state, receivedBytes, peers, peerPort, row, error } = view;
  return {
    name: shortName(name),
    sha256,
    lengthBytes,
    infoHash,
    state,
    receivedBytes,
    peers,
    url: arrivalUrl(view, base),
    announceUrl: announceUrl(base, passkey),
    peerPort,
    artifact: row === null ? null : artifactJson(row, base, passkey),
    problem: error === null ? null : problemFor(error).body,
  };
}

/** As of a PUT of the bytes. */
function problemFor(error: unknown): Problem {
  const isGivenUp = HaulError.is(error) && error.code === 'ABORTED';
  return isGivenUp ? new Problem(409, 'GIVEN_UP', 'the upload was given up') : problemOf(error).problem;
}
