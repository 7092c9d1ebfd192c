/** What is wrong with the TLS of a server that we connect to, in words for people. Pure. */

const UNTRUSTED =
  'its certificate is not trusted here; NODE_EXTRA_CA_CERTS=FILE names an authority of your own at the start';

/** By Node's codes of errors. */
const BY_CODE: Readonly<Record<string, string>> = {
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet, or the clock of this machine is wrong',
  DEPTH_ZERO_SELF_SIGNED_CERT: UNTRUSTED,
  SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED,
  EPROTO: 'it does not speak TLS there, or no version of it that is spoken here',
};

/** Null: it is no trouble of TLS. */
export function tlsTroubleOf(error: unknown): string | null {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  if (typeof code !== 'string') return null;
  const known = BY_CODE[code];
  if (known !== undefined) return known;
  return /^(?:ERR_SSL|ERR_TLS|CERT_)[A-Z0-9_]{0,60}$/.test(code) ? `TLS fails there (${code})` : null;
}
