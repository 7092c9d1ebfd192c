/** Where a store on S3 is: `s3://bucket/prefix?endpoint=http://127.0.0.1:9000&region=eu-central-1&path-style=true`. */
import { HaulError } from '../../../errors.js';

export interface S3Place {
  readonly bucket: string;
  /** Empty, or ends with a slash. */
  readonly prefix: string;
  /** Null: Amazon's, by region. */
  readonly endpoint: string | null;
  /** Null: as the environment or the profile says. */
  readonly region: string | null;
  /** The bucket is a part of the path, not of the host name. */
  readonly isPathStyle: boolean;
  /** For people: bucket and prefix. */
  readonly title: string;
}

const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const PREFIX = /^[A-Za-z0-9!_.*'()/-]*$/;
const DOTS = /\/\.\.?(?:[/?]|$)/;
const PREFIX_BYTES = 512;
const REGION = /^[a-z0-9-]{1,64}$/;
const QUERY: ReadonlySet<string> = new Set(['endpoint', 'region', 'path-style']);

/** @throws HaulError BAD_ARGUMENT; what was given is not in it, as it may hold a password */
export function parseS3Url(text: string): S3Place {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || url.protocol !== 's3:' || text.includes('#')) throw wrong('it is s3://BUCKET/PREFIX');
  if (url.username !== '' || url.password !== '' || text.includes('@'))
    throw wrong('keys go into the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY) or a profile, not into it');
  if (url.port !== '' || !BUCKET.test(url.hostname)) throw wrong('after s3:// comes the name of a bucket');
  const path = url.pathname.replace(/^\/+|\/+$/g, '');
  const isPlain = PREFIX.test(path) && path.length <= PREFIX_BYTES;
  // `URL` has taken dots out already.
  if (!isPlain || DOTS.test(text) || path.includes('//'))
    throw wrong("the prefix is letters, digits and !_.*'()-, in parts with slashes between");
  for (const name of url.searchParams.keys())
    if (!QUERY.has(name) || url.searchParams.getAll(name).length > 1)
      throw wrong('behind the question mark go endpoint, region and path-style, each once');
  const region = url.searchParams.get('region');
  if (region !== null && !REGION.test(region)) throw wrong('a region is small letters, digits and hyphens');
  const endpoint = endpointOf(url.searchParams.get('endpoint'));
  return {
    bucket: url.hostname,
    prefix: path === '' ? '' : `${path}/`,
    endpoint,
    region,
    isPathStyle: pathStyleOf(url.searchParams.get('path-style')) ?? endpoint !== null,
    title: `s3://${url.hostname}${path === '' ? '' : `/${path}`}`,
  };
}

function endpointOf(text: string | null): string | null {
  if (text === null) return null;
  const url = URL.canParse(text) ? new URL(text) : null;
  const isPlain = url !== null && /^https?:$/.test(url.protocol) && url.search === '' && url.hash === '';
  if (!isPlain) throw wrong('the endpoint is an http:// or https:// URL');
  return url.href.replace(/\/+$/, '');
}

/** Other servers than Amazon's have the bucket in the path, as a rule. */
function pathStyleOf(text: string | null): boolean | null {
  if (text === null) return null;
  if (text !== 'true' && text !== 'false') throw wrong('path-style is true or false');
  return text === 'true';
}

function wrong(why: string): HaulError {
  return new HaulError('BAD_ARGUMENT', `store: ${why}`, { option: 'store' });
}
