/**
 * What goes wrong with S3, in words of ours: messages of servers and of the SDK may hold keys, so none is passed
 * on, nor kept as a cause.
 */
import { HaulError } from '../../../errors.js';
import { tlsTroubleOf } from '../../../net/tls-trouble.js';

/** By the name that S3 gives an error: what is wrong, and whether it mends itself is another question. */
const BY_NAME: Readonly<Record<string, string>> = {
  NoSuchBucket: 'there is no such bucket; make it, or mend the name',
  InvalidAccessKeyId: 'it does not know the access key; see AWS_ACCESS_KEY_ID or the profile',
  XAdminUserNotFound: 'it does not know the access key; see AWS_ACCESS_KEY_ID or the profile',
  SignatureDoesNotMatch: 'the secret key is not the one of the access key; see AWS_SECRET_ACCESS_KEY or the profile',
  AccessDenied: 'these keys may not do that; they need to get, put, list and delete objects of the bucket',
  Forbidden: 'these keys may not do that; they need to get, put, list and delete objects of the bucket',
  AllAccessDisabled: 'all access to the bucket is disabled',
  AccountProblem: 'the account is not in order',
  ExpiredToken: 'the credentials have expired',
  ExpiredTokenException: 'the credentials have expired',
  TokenRefreshRequired: 'the credentials have expired',
  InvalidToken: 'the session token is not valid',
  CredentialsProviderError: 'no credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile',
  RequestTimeTooSkewed: 'the clock of this machine is too far from that of the server; set it right',
  RequestExpired: 'the clock of this machine is too far from that of the server; set it right',
  PermanentRedirect: 'the bucket is in another region; name it with region= in the URL of the store',
  TemporaryRedirect: 'the bucket is in another region; name it with region= in the URL of the store',
  AuthorizationHeaderMalformed: 'the bucket is in another region; name it with region= in the URL of the store',
  IllegalLocationConstraintException: 'the bucket is in another region; name it with region= in the URL of the store',
  InvalidBucketName: 'it takes no bucket of that name',
  SlowDown: 'it asks to slow down',
  ServiceUnavailable: 'it is not available',
  Throttling: 'it asks to slow down',
  ThrottlingException: 'it asks to slow down',
  RequestLimitExceeded: 'it asks to slow down',
  InternalError: 'it has an internal error',
  RequestTimeout: 'the request took too long',
  TimeoutError: 'it does not answer in time',
  AbortError: 'it does not answer in time',
  QuotaExceeded: 'the quota of the bucket is used up',
  XMinioStorageFull: 'it has no space left',
  InsufficientStorage: 'it has no space left',
  EntityTooLarge: 'the object is too large for it',
  InvalidObjectState: 'the object is archived, and must be restored first',
};

const FULL: ReadonlySet<string> = new Set(['QuotaExceeded', 'XMinioStorageFull', 'InsufficientStorage']);
/** What no waiting mends: at the start it is the configuration. */
const CONFIGURED: ReadonlySet<string> = new Set([
  'NoSuchBucket',
  'InvalidBucketName',
  'PermanentRedirect',
  'TemporaryRedirect',
  'AuthorizationHeaderMalformed',
  'IllegalLocationConstraintException',
]);
const REFUSED: ReadonlySet<string> = new Set([
  'InvalidAccessKeyId',
  'XAdminUserNotFound',
  'SignatureDoesNotMatch',
  'AccessDenied',
  'Forbidden',
  'AllAccessDisabled',
  'AccountProblem',
  'ExpiredToken',
  'ExpiredTokenException',
  'TokenRefreshRequired',
  'InvalidToken',
  'CredentialsProviderError',
  'RequestTimeTooSkewed',
  'RequestExpired',
]);

const BY_SYSTEM_CODE: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nobody listens there',
  ECONNRESET: 'the connection broke',
  EPIPE: 'the connection broke',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'names cannot be looked up now',
  ETIMEDOUT: 'it does not answer in time',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the network cannot be reached',
};

interface SdkError {
  readonly name?: unknown;
  readonly Code?: unknown;
  readonly code?: unknown;
  readonly message?: unknown;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

export function statusOf(error: unknown): number {
  return (error as SdkError | null)?.$metadata?.httpStatusCode ?? 0;
}

export function nameOf(error: unknown): string {
  const { name, Code } = (error ?? {}) as SdkError;
  const found = typeof Code === 'string' ? Code : typeof name === 'string' ? name : '';
  return /^[A-Za-z0-9.]{1,64}$/.test(found) ? found : 'Error';
}

/** The object is not there. Other things that are not there, a bucket or a key, have other names. */
export function isMissing(error: unknown): boolean {
  return ['NoSuchKey', 'NotFound'].includes(nameOf(error));
}

/** `If-None-Match: *`: there is such an object, or somebody else puts it at this moment. */
export function isTaken(error: unknown): boolean {
  return (
    statusOf(error) === 412 || nameOf(error) === 'PreconditionFailed' || nameOf(error) === 'ConditionalRequestConflict'
  );
}

/** The server knows no conditional puts. */
export function isNotImplemented(error: unknown): boolean {
  return statusOf(error) === 501 || nameOf(error) === 'NotImplemented';
}

/** What is wrong, for people; nothing secret. */
export function whyOf(error: unknown): string {
  const name = nameOf(error);
  const { code, message } = (error ?? {}) as SdkError;
  const known = BY_NAME[name] ?? BY_SYSTEM_CODE[String(code)] ?? tlsTroubleOf(error);
  if (known !== undefined && known !== null) return known;
  if (/Region is missing/.test(String(message)))
    return 'no region is set; name it with region= in the URL of the store';
  if (/could not load credentials|credential/i.test(String(message))) return BY_NAME.CredentialsProviderError!;
  const status = statusOf(error);
  if (status === 403) return BY_NAME.Forbidden!;
  if (status === 301 || status === 307) return BY_NAME.PermanentRedirect!;
  if (status === 503) return BY_NAME.SlowDown!;
  return status >= 300 ? `it answers ${status} (${name})` : `it cannot be used (${name})`;
}

/** While it runs: all but a full bucket is answered with 503, as nobody knows how long it lasts. */
export function unavailable(error: unknown, title: string, operation: string): HaulError {
  if (error instanceof HaulError) return error;
  const why = whyOf(error);
  const message = `${operation} ${title}: ${why}`;
  const code = FULL.has(nameOf(error)) || statusOf(error) === 507 ? 'NO_SPACE' : 'NETWORK';
  return new HaulError(code, message, { operation, where: title, reason: nameOf(error), why });
}

/** At the start: what has to be mended before it can work. */
export function refusedAtStart(error: unknown, title: string): HaulError {
  if (error instanceof HaulError) return error;
  const name = nameOf(error);
  const message = `open the store ${title}: ${whyOf(error)}`;
  const isRedirect = [301, 307, 308].includes(statusOf(error));
  const text = String((error as SdkError | null)?.message);
  const facts = { option: 'store', where: title, reason: name };
  if (CONFIGURED.has(name) || isRedirect || /Region is missing/.test(text))
    return new HaulError('BAD_ARGUMENT', message, facts);
  if (REFUSED.has(name) || statusOf(error) === 403 || /could not load credentials/i.test(text))
    return new HaulError('NO_PERMISSION', message, facts);
  return new HaulError('NETWORK', message, facts);
}
