/** Who may do what where nobody has shown a token. Pure. */
import { HaulError } from '../errors.js';
import type { AnonymousAccess, DepotOptions } from './api.js';

/** Only this machine reaches it. */
export function isLoopbackHost(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host);
}

/** @throws HaulError BAD_ARGUMENT: whoever reaches it could write */
export function anonymousAccess({ anonymous, tokens, tokenLines }: DepotOptions, host: string): AnonymousAccess {
  const hasTokens = tokens !== undefined || tokenLines !== undefined;
  const isLoopback = isLoopbackHost(host);
  if (anonymous === 'all' && !isLoopback)
    throw new HaulError(
      'BAD_ARGUMENT',
      `beyond loopback (${host}) nothing is written without a token: anonymous may be read or none there`,
      { option: 'anonymous' },
    );
  if (!isLoopback && !hasTokens && anonymous === undefined)
    throw new HaulError(
      'BAD_ARGUMENT',
      `beyond loopback (${host}) nothing is written without a token: make some with haul token create and name the ` +
        'file with --tokens, or say --anonymous read for a depot that nobody writes to',
      { option: 'tokens' },
    );
  return anonymous ?? (hasTokens || !isLoopback ? 'read' : 'all');
}
