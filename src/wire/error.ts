/** Why a peer's bytes were refused: a value, not an exception, because hostile peers are an expected outcome. */

export type WireErrorCode =
  | 'NOT_HANDSHAKE' // the first bytes are not a BEP 3 handshake
  | 'MESSAGE_TOO_LONG' // length prefix above the limit
  | 'WRONG_SIZE' // length prefix does not fit the message id
  | 'BAD_EXTENDED'; // BEP 10 handshake payload is unusable

export class WireError {
  readonly code: WireErrorCode;
  /** One line, printable, without the peer's address. */
  readonly reason: string;

  constructor(code: WireErrorCode, reason: string) {
    this.code = code;
    this.reason = reason;
  }
}
