import { toHex } from '../core/bytes.js';
import { DEFAULT_MAX_FRAME, MAX_MAX_FRAME, REGISTRATION_TIMEOUT } from '../core/constants.js';
import { asSecureWebSocketError, SecureWebSocketError } from '../core/errors.js';
import type { Identity } from '../core/identity.js';
import { RegistrationClient } from '../core/registration.js';
import type { TransportKeys } from '../core/transport-keys.js';
import { platform } from '#platform';
import { monotonicNow, startTimer, stopTimer, wallClock } from './clock.js';
import type { HeadStart } from './head-start.js';
import type { RawSocket, RawSocketListener, WebSocketConstructor } from '../websocket/raw-socket.js';

export interface RegisterOptions {
  /** What is dialled. */
  readonly url: string;
  /** Location of it, normalized: what the server must claim. */
  readonly location: string;
  readonly identity: Identity;
  /** Rejects for a server whose key is not to be trusted. Asked before anything about us is told. */
  readonly checkServerKey: (publicKey: string) => Promise<void>;
  readonly userId?: string | undefined;
  readonly deviceId?: string | undefined;
  /** The connection id of an earlier link, wanted again. The server may give another. */
  readonly connectionId?: number | undefined;
  /** Shown to the server, sealed, once its key has been checked. At most 4,096 characters. */
  readonly token?: string | undefined;
  readonly WebSocket?: WebSocketConstructor | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly tls?: Readonly<Record<string, unknown>> | undefined;
  /** A WebSocket to `url` that was dialled ahead. */
  readonly headStart?: HeadStart | undefined;
}

/** A dialled WebSocket on which both ends have proven their keys. */
export interface DialledSocket {
  readonly socket: RawSocket;
  readonly serverKey: Uint8Array;
  readonly connectionId: number;
  readonly keys: TransportKeys;
  readonly maxFrame: number;
  /** What the server admits us for ends in so many milliseconds. Undefined: never. */
  readonly expiresIn: number | undefined;
  /** Starts delivery of binary messages and of `closed`; what came meanwhile is delivered first. */
  start(listener: Pick<RawSocketListener, 'binary' | 'closed' | 'drained'>): void;
}

/**
 * Dials and registers. `abort` gives up: the promise rejects with the reason. A socket that is registered already is
 * left alone: it is for whoever has it to close. For options that cannot be, the promise rejects with
 * `INVALID_ARGUMENT`, and nothing is dialled.
 */
export function registerDialled(options: RegisterOptions): {
  readonly registered: Promise<DialledSocket>;
  abort(error: SecureWebSocketError): void;
} {
  let dialling: Registering;
  try {
    dialling = new Registering(options);
  } catch (error) {
    return { registered: Promise.reject(asError(error)), abort: () => undefined };
  }
  return {
    registered: dialling.promise,
    abort: error => {
      dialling.abort(error);
    },
  };
}

class Registering implements RawSocketListener {
  readonly promise: Promise<DialledSocket>;
  readonly #options: RegisterOptions;
  readonly #client: RegistrationClient;
  readonly #socket: RawSocket;
  #resolve!: (socket: DialledSocket) => void;
  #reject!: (error: SecureWebSocketError) => void;
  #state: 'challenge' | 'checking' | 'success' | 'registered' | 'failed' = 'challenge';
  #serverKey: Uint8Array | undefined;
  #maxFrame = DEFAULT_MAX_FRAME;
  readonly #deadline;
  /** Registered, but nobody has called `start` yet. */
  #early: ((listener: Pick<RawSocketListener, 'binary' | 'closed'>) => void)[] = [];
  #listener: Pick<RawSocketListener, 'binary' | 'closed' | 'drained'> | undefined;

  constructor(options: RegisterOptions) {
    this.#options = options;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    const { identity, userId, deviceId, location, connectionId, token } = options;
    this.#client = new RegistrationClient({ identity, userId, deviceId, now: wallClock() }, location, {
      connectionId,
      token,
    });
    this.#deadline = startTimer(REGISTRATION_TIMEOUT, () => {
      const message = `The server did not complete the registration within ${String(REGISTRATION_TIMEOUT / 1000)} s.`;
      this.fail(new SecureWebSocketError('REGISTRATION_TIMEOUT', message));
    });
    const { url, WebSocket, headers, tls } = options;
    this.#socket =
      options.headStart?.claim(this) ??
      platform.connect(url, { WebSocket, headers, tls, maxPayload: MAX_MAX_FRAME }, this);
  }

  text(data: string): void {
    if (this.#state === 'registered') {
      this.#breach('the server sent a text message after registration');
      return;
    }
    try {
      if (this.#state === 'challenge') void this.#challenge(data);
      else if (this.#state === 'success') this.#success(data);
      else
        throw new SecureWebSocketError(
          'REGISTRATION_MALFORMED',
          'The server sent a text message out of turn.',
        );
    } catch (error) {
      this.fail(asError(error));
    }
  }

  binary(data: Uint8Array): void {
    if (this.#listener) this.#listener.binary(data);
    else if (this.#state === 'registered')
      this.#early.push(listener => {
        listener.binary(data);
      });
    else
      this.fail(
        new SecureWebSocketError(
          'REGISTRATION_MALFORMED',
          `${this.#options.location} is no secure-websocket server: it sent binary data before registration.`,
        ),
      );
  }

  drained(): void {
    this.#listener?.drained?.();
  }

  closed(code: number, reason: string, detail?: string): void {
    if (this.#state === 'registered') {
      if (this.#listener) this.#listener.closed(code, reason, detail);
      else
        this.#early.push(listener => {
          listener.closed(code, reason, detail);
        });
      return;
    }
    const why = [reason, detail].filter(Boolean).join(', ');
    const message = `Could not connect to ${this.#options.location} (${String(code)}${why && `: ${why}`}).`;
    this.fail(new SecureWebSocketError('LINK_FAILED', message));
  }

  abort(error: SecureWebSocketError): void {
    if (this.#state !== 'registered') this.fail(error);
  }

  fail(error: SecureWebSocketError): void {
    // A link that is up is its owner's to close.
    if (this.#state === 'registered' || this.#state === 'failed') return;
    this.#state = 'failed';
    stopTimer(this.#deadline);
    this.#client.wipe();
    this.#socket.terminate();
    this.#reject(error);
  }

  /** A link that is up and breaks the protocol is over now, whatever the other end goes on to say. */
  #breach(what: string): void {
    this.#socket.close(1002);
    this.closed(1002, '', what);
    this.#state = 'failed';
  }

  async #challenge(data: string): Promise<void> {
    this.#state = 'checking';
    try {
      const challenge = this.#client.challenge(data, wallClock());
      this.#serverKey = challenge.serverKey;
      this.#maxFrame = challenge.maxFrame;
      await this.#options.checkServerKey(toHex(challenge.serverKey));
      // The deadline may have passed while the application was asked.
      if ((this.#state as string) !== 'checking') return;
      this.#state = 'success';
      this.#socket.send(this.#client.response(wallClock()));
    } catch (error) {
      this.fail(asError(error));
    }
  }

  #success(data: string): void {
    const { connectionId, keys, expiresIn } = this.#client.success(data, monotonicNow());
    this.#state = 'registered';
    stopTimer(this.#deadline);
    this.#resolve({
      socket: this.#socket,
      serverKey: this.#serverKey ?? new Uint8Array(0),
      connectionId,
      keys,
      maxFrame: this.#maxFrame,
      expiresIn,
      start: listener => {
        this.#listener = listener;
        for (const deliver of this.#early) deliver(listener);
        this.#early = [];
      },
    });
  }
}

function asError(error: unknown): SecureWebSocketError {
  return asSecureWebSocketError(error, 'LINK_FAILED', 'The registration failed.');
}
