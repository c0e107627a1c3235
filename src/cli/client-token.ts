import { createHash, timingSafeEqual } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { describeError } from '../core/describe-error.js';
import { UsageError } from './exit-code.js';

/** The environment variable that holds a token, where no file does. */
export const CLIENT_TOKEN_VARIABLE = 'SECURE_WEBSOCKET_CLIENT_TOKEN';

/** A browser's way to show a token: a subprotocol with this and the token in base64url. */
export const BEARER_PROTOCOL = 'secure-websocket.bearer.';

/** Characters. The shortest is beyond guessing if it is random. */
const MIN_LENGTH = 16;
const MAX_LENGTH = 1_024;

/** What clients of the proxy have to show. Kept as a hash, so that nothing can tell it. */
export class ClientToken {
  readonly #digest: Buffer;

  /** @throws UsageError, without the token, when it cannot be one */
  constructor(token: string, where: string) {
    if (!/^[\x21-\x7e]+$/.test(token) || token.length < MIN_LENGTH || token.length > MAX_LENGTH) {
      throw new UsageError(
        `The token of clients in ${where} must be one line of ${MIN_LENGTH} to ${MAX_LENGTH} ASCII characters without spaces.`,
      );
    }
    this.#digest = digest(token);
  }

  /** Whether a client shows it: in `Authorization: Bearer …`, or as one of its subprotocols. In constant time. */
  isShown(authorization: string | undefined, protocols: readonly string[]): boolean {
    const [, bearer] = /^Bearer +([\x21-\x7e]+) *$/i.exec(authorization ?? '') ?? [];
    const shown = [
      ...(bearer === undefined ? [] : [bearer]),
      ...protocols
        .filter(protocol => protocol.startsWith(BEARER_PROTOCOL))
        .map(protocol => Buffer.from(protocol.slice(BEARER_PROTOCOL.length), 'base64url').toString('latin1')),
    ];
    // Each is looked at, whatever comes of those before it.
    return shown.map(token => timingSafeEqual(digest(token), this.#digest)).includes(true);
  }
}

/**
 * The token in `file`, else that in the environment, if there is one.
 * @throws UsageError (as a rejection)
 */
export async function readClientToken(
  file: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): Promise<ClientToken | undefined> {
  if (file === undefined) {
    const token = env[CLIENT_TOKEN_VARIABLE];
    return token === undefined ? undefined : new ClientToken(token, CLIENT_TOKEN_VARIABLE);
  }
  let content: string;
  try {
    content = await readFile(file, 'latin1');
  } catch (error) {
    throw new UsageError(`--client-token-file cannot be read (${describeError(error)}).`);
  }
  return new ClientToken(content.replace(/\r?\n$/, ''), file);
}

function digest(token: string): Buffer {
  return createHash('sha256').update(token, 'latin1').digest();
}
