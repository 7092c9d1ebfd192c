/**
 * The SDK is loaded when a store on S3 is opened, and is not installed with us. Nothing else names it but for types.
 */
import { HaulError } from '../../../errors.js';
import { S3_LIMITS } from './limits.js';
import type { S3Place } from './place.js';

export type Sdk = typeof import('@aws-sdk/client-s3');
export type Client = import('@aws-sdk/client-s3').S3Client;

const PACKAGE = '@aws-sdk/client-s3';

/** @throws HaulError BAD_ARGUMENT: the package is not installed */
export async function loadSdk(load: () => Promise<Sdk> = () => import('@aws-sdk/client-s3')): Promise<Sdk> {
  // Which version is installed is up to the operator, who is not to read of it at each start.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
  try {
    return await load();
  } catch (error) {
    if (!/^(?:ERR_)?MODULE_NOT_FOUND$/.test(String((error as { code?: unknown } | null)?.code))) throw error;
    const message = `a store on S3 needs a package that is not installed: npm install ${PACKAGE}`;
    throw new HaulError('BAD_ARGUMENT', message, { option: 'store', package: PACKAGE });
  }
}

export interface Times {
  readonly connectMs: number;
  readonly silenceMs: number;
  readonly requestMs: number;
  readonly chunkMs: number;
  readonly attempts: number;
}

/** Keys come from where the SDK finds them: environment, profile, container, machine. */
export function makeClient(sdk: Sdk, { endpoint, region, isPathStyle }: S3Place, times: Times): Client {
  return new sdk.S3Client({
    ...(endpoint === null ? {} : { endpoint }),
    // Other servers know one region, and most take any name for it.
    ...(region !== null ? { region } : endpoint === null ? {} : { region: regionOfEnvironment() }),
    forcePathStyle: isPathStyle,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // With it each part has a connection of its own, and a round trip more.
    expectContinueHeader: false,
    followRegionRedirects: false,
    maxAttempts: times.attempts,
    retryMode: 'standard',
    requestHandler: {
      connectionTimeout: times.connectMs,
      socketTimeout: times.silenceMs,
      socketAcquisitionWarningTimeout: 2 ** 31 - 1,
      httpAgent: { keepAlive: true, maxSockets: S3_LIMITS.allPartsAtOnce + 2 * S3_LIMITS.requestsAtOnce },
      httpsAgent: { keepAlive: true, maxSockets: S3_LIMITS.allPartsAtOnce + 2 * S3_LIMITS.requestsAtOnce },
    },
  });
}

function regionOfEnvironment(): string {
  return process.env.AWS_REGION || process.env.AWS_DEFAULT_REGION || 'us-east-1';
}
