import { MAX_MAX_FRAME } from '../core/constants.js';
import type { Location } from '../core/location.js';
import { platform } from '#platform';
import type { DialOptions } from './dial-options.js';
import { hasSharedLink } from './link-pool.js';
import { objectNumber } from './object-number.js';
import type { RawSocket, RawSocketListener } from '../websocket/raw-socket.js';

/** A WebSocket that is dialled before anybody can register on it. `release` must be called once. */
export interface HeadStart {
  /**
   * The socket, for the first who asks and as long as it is good for anything. From then on it is the listener's. It may be
   * open already: `open` is not told.
   */
  claim(listener: RawSocketListener): RawSocket | undefined;
  /** Closes it, unless it was claimed or somebody else waits for it. */
  release(): void;
}

/** Those that may be claimed by anybody who dials the same relay in the same way. */
const waiting = new Map<string, AheadSocket>();

/**
 * Connects to `location` although it is not known yet who we are: the back end of the cryptography, which takes longest
 * to load, is needed for registering only. Undefined when there is, or is going to be, a link to that relay: it may be
 * ours, and one identity has one link. Nor are two WebSockets dialled ahead to one relay.
 */
export function dialAhead(
  location: Location,
  { WebSocket, headers, tls }: Pick<DialOptions, 'WebSocket' | 'headers' | 'tls'>,
): HeadStart | undefined {
  const url = location.dialled;
  const isShared =
    location.peerKey !== undefined || location.space !== undefined || location.isService === true;
  if (isShared && hasSharedLink(url)) return undefined;
  const key = isShared ? JSON.stringify([url, ...[WebSocket, headers, tls].map(objectNumber)]) : undefined;
  let ahead = key === undefined ? undefined : waiting.get(key);
  if (!ahead) {
    ahead = new AheadSocket(
      listener => platform.connect(url, { WebSocket, headers, tls, maxPayload: MAX_MAX_FRAME }, listener),
      () => key !== undefined && waiting.delete(key),
    );
    if (key !== undefined) waiting.set(key, ahead);
  }
  const mine = ahead;
  mine.users++;
  return {
    claim: listener => mine.claim(listener),
    release: () => {
      mine.users--;
      if (mine.users === 0) mine.discard();
    },
  };
}

/**
 * Keeps the server's challenge until somebody is there to answer it. When anything else happens meanwhile the socket is
 * dropped and nobody is told: whoever would have claimed it dials, and gets to see it for himself.
 */
class AheadSocket implements RawSocketListener {
  users = 0;
  readonly #socket: RawSocket;
  readonly #taken: () => void;
  #challenge: string | undefined;
  #listener: RawSocketListener | undefined;
  #discarded = false;

  /** `taken` is called once nobody can claim it any more. */
  constructor(connect: (listener: RawSocketListener) => RawSocket, taken: () => void) {
    this.#taken = taken;
    this.#socket = connect(this);
  }

  claim(listener: RawSocketListener): RawSocket | undefined {
    if (this.#discarded || this.#listener) return undefined;
    this.#listener = listener;
    this.#taken();
    const challenge = this.#challenge;
    this.#challenge = undefined;
    if (challenge !== undefined) {
      queueMicrotask(() => {
        listener.text(challenge);
      });
    }
    return this.#socket;
  }

  discard(): void {
    if (this.#discarded || this.#listener) return;
    this.#discarded = true;
    this.#challenge = undefined;
    this.#taken();
    this.#socket.terminate();
  }

  text(data: string): void {
    if (this.#listener) this.#listener.text(data);
    else if (this.#challenge === undefined && !this.#discarded) this.#challenge = data;
    else this.discard();
  }

  binary(data: Uint8Array): void {
    if (this.#listener) this.#listener.binary(data);
    else this.discard();
  }

  drained(): void {
    this.#listener?.drained?.();
  }

  closed(code: number, reason: string, detail?: string): void {
    if (this.#listener) this.#listener.closed(code, reason, detail);
    else this.discard();
  }
}
