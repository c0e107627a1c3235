import { STATUS_CODES } from 'node:http';
import { WebSocket } from 'ws';
import { describeError } from '../core/describe-error.js';
import type { OpenEnd } from './bridge/bridge-end.js';
import { forwardedUrl } from './bridge/forwarded-url.js';
import { PlainEnd } from './bridge/plain-end.js';
import { errorStatus, Refusal } from './bridge/refusal.js';

/** The header in which a target is told who connects: 64 lowercase hex characters, which the peer has proven to own. */
export const PUBLIC_KEY_HEADER = 'X-Secure-WebSocket-Public-Key';

/** What a peer asks for. All of it is the peer's word, but for its key. */
export interface TargetRequest {
  /** Path with query. */
  readonly url: string;
  readonly protocols: readonly string[];
  readonly origin: string | undefined;
  readonly peerPublicKey: string;
}

/**
 * Connects to the plain server at `base` on behalf of a peer.
 * @throws Refusal (as a rejection): what the server answers with when it does not want to, or why it cannot be reached
 */
export async function dialTarget(
  base: URL,
  { url, protocols, origin, peerPublicKey }: TargetRequest,
  { maxPayload, openTimeout }: { readonly maxPayload: number; readonly openTimeout: number },
  abort: AbortSignal,
): Promise<OpenEnd> {
  const target = forwardedUrl(base, url);
  if (target === undefined) throw new Refusal(404, 'Not found: this path leads elsewhere.');
  if (origin !== undefined && !/^[\x21-\x7e]{1,512}$/.test(origin))
    throw new Refusal(400, 'No valid origin.');
  return new Promise((resolve, reject) => {
    // Not as an argument, as an answer without a subprotocol would then be an error: here it is the client's to judge.
    const socket = new WebSocket(target, [], {
      headers: {
        ...(protocols.length > 0 && { 'Sec-WebSocket-Protocol': protocols.join(', ') }),
        ...(origin !== undefined && { Origin: origin }),
        [PUBLIC_KEY_HEADER]: peerPublicKey,
      },
      maxPayload,
      perMessageDeflate: false,
      autoPong: false,
    });
    let isDecided = false;
    let protocol = '';
    const decide = (): void => {
      isDecided = true;
      clearTimeout(timer);
      abort.removeEventListener('abort', giveUp);
    };
    const fail = (refusal: Refusal): void => {
      if (isDecided) return;
      decide();
      reject(refusal);
      socket.terminate();
    };
    const giveUp = (): void => {
      fail(new Refusal(503, 'Going down.'));
    };
    const timer = setTimeout(() => {
      fail(new Refusal(504, 'The server behind did not answer in time.'));
    }, openTimeout);
    abort.addEventListener('abort', giveUp);
    socket.on('upgrade', ({ headers }) => {
      protocol = headers['sec-websocket-protocol'] ?? '';
      delete headers['sec-websocket-protocol'];
      if (protocol !== '' && !protocols.includes(protocol))
        fail(new Refusal(502, 'The server behind chose a subprotocol that was not offered.'));
    });
    socket.on('unexpected-response', (_, { statusCode = 502 }) => {
      const status = errorStatus(statusCode);
      fail(new Refusal(status, STATUS_CODES[status] ?? 'Refused by the server behind.'));
    });
    socket.on('error', error => {
      fail(new Refusal(502, unreachable(error)));
    });
    socket.on('open', () => {
      decide();
      resolve({ end: new PlainEnd(socket, false), protocol });
    });
  });
}

/** Without addresses: what is inside is no business of a peer. */
function unreachable(error: Error): string {
  const { code } = error as NodeJS.ErrnoException;
  return `The server behind cannot be reached (${code ?? describeError(error)}).`;
}
