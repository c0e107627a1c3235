import { type ErrorCode, SecureWebSocketError } from '../errors.js';

interface Refusal {
  readonly code: ErrorCode;
  readonly what: string;
  /** Whether it may be otherwise later. */
  readonly retry: boolean;
}

const REFUSALS: ReadonlyMap<string, Refusal> = new Map<string, Refusal>([
  [
    'SPACE_NOT_ALLOWED',
    { code: 'SPACE_NOT_ALLOWED', what: 'This key may not enter the space', retry: false },
  ],
  ['SPACE_FULL', { code: 'SPACE_FULL', what: 'The space has as many members as it may', retry: true }],
  [
    'TOO_MANY_SPACES',
    { code: 'TOO_MANY_SPACES', what: 'This connection is in as many spaces as it may', retry: false },
  ],
  [
    'REMOVED',
    { code: 'SPACE_REMOVED', what: 'The relay has put this member out of the space', retry: false },
  ],
  ['RATE', { code: 'SPACE_REFUSED', what: 'Spaces were entered too often', retry: true }],
  [
    'UNAVAILABLE',
    { code: 'SPACE_REFUSED', what: 'Whoever decides on entering could not be asked', retry: true },
  ],
]);

const OTHER: Refusal = {
  code: 'SPACE_REFUSED',
  what: 'The relay did not let this member into the space',
  retry: false,
};

/** What a refusal of the relay means. `message`: its words. */
export function refusalOf(reason: string, message: string): { error: SecureWebSocketError; retry: boolean } {
  const { code, what, retry } = REFUSALS.get(reason) ?? OTHER;
  const words = message === '' ? reason : message;
  return { error: new SecureWebSocketError(code, `${what} (${words}).`), retry };
}
