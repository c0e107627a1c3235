import type { IncomingMessage } from 'node:http';
import type { WebSocket as WsWebSocket } from 'ws';
import { compareBytes } from '../core/bytes.js';
import {
  CONNECT_TIMEOUT,
  DEFAULT_MAX_FRAME,
  MAX_REGISTRATION_MESSAGE,
  REGISTRATION_TIMEOUT,
} from '../core/constants.js';
import { Endpoint } from '../core/endpoint.js';
import { asSecureWebSocketError, SecureWebSocketError } from '../core/errors.js';
import {
  encodeNotice,
  ENVELOPE_HEADER_LENGTH,
  FrameType,
  NoticeReason,
  peerAddress,
  PEER_ADDRESS_LENGTH,
} from '../core/frame.js';
import type { DeviceInformation } from '../core/device-information.js';
import { type RegisteredClient, RegistrationServer } from '../core/registration.js';
import type { TransportKeys } from '../core/transport-keys.js';
import type { ChannelPort, IncomingChannel } from './channel-port.js';
import { monotonicNow, startTimer, stopTimer, wallClock } from './clock.js';
import { Link } from './link.js';
import { wrapWsSocket } from './platform/ws-socket.js';
import type { RawSocket, RawSocketListener, SettledSocket } from '../websocket/raw-socket.js';
import type { Resumption } from './resumption.js';
import { type ClaimingServer, claimsOf } from './server-claims.js';

export interface RegistrationOptions extends ClaimingServer {
  /** Milliseconds. Default: 10 s. */
  readonly registrationTimeout?: number | undefined;
  /** Largest frame, bytes. Default: 256 KiB. */
  readonly maxFrame?: number | undefined;
  /**
   * The connection id that the client gets: asked once its key is proven. `wanted`: the one it had before and asks for
   * again. May throw a SecureWebSocketError to refuse.
   */
  readonly connectionId: (publicKey: Uint8Array, wanted: number | undefined) => number;
  /**
   * Whether a client that has proven its key is let in: rejects with a SecureWebSocketError to refuse it. Without it all are.
   * The deadline of the registration holds for it, too.
   */
  readonly admit?: ((client: ProvenClient) => Promise<Grant | undefined>) | undefined;
}

/** A client that has proven its key, and is not yet let in. */
export interface ProvenClient {
  readonly publicKey: Uint8Array;
  readonly device: DeviceInformation;
  /** The location that it dialled. */
  readonly address: string;
  readonly token: string | undefined;
}

/** What a client is let in for. */
export interface Grant {
  /** It ends in so many milliseconds, unless the client shows a fresh token before. */
  readonly expiresIn?: number | undefined;
}

/** One accepted socket whose client has proven its key. Frames that arrive before `start` wait. */
export interface RegisteredLink {
  readonly publicKey: Uint8Array;
  readonly connectionId: number;
  readonly device: DeviceInformation;
  /** What the client has to show, if anything. A secret between it and the application. */
  readonly token: string | undefined;
  /** The location that the client dialled. */
  readonly address: string;
  /** The keys of the registration: what a client that shows a fresh token seals it with. */
  readonly keys: TransportKeys;
  readonly socket: RawSocket;
  /** Starts delivery; what came meanwhile is delivered first. From now on only binary frames are in order: see `refuseText`. */
  start(listener: RawSocketListener): void;
}

/**
 * Registers the client of an accepted socket: sends CHALLENGE, takes CHALLENGE_RESPONSE. Listens from the first
 * tick. Rejects with a SecureWebSocketError when the client is refused or does not finish in time; the socket is
 * closed then.
 */
export async function registerAccepted(
  socket: SettledSocket,
  options: RegistrationOptions,
  request?: IncomingMessage,
): Promise<RegisteredLink> {
  const { link } = await new Accepting(socket, options, request).promise;
  return link;
}

/** What a client in direct use wants: a new channel, or to go on with one that it has. */
export type DirectChannel =
  | { readonly incoming: IncomingChannel }
  /** The handle that `accept` of that channel gave, when it was new. */
  | { readonly resumed: ChannelPort };

/** Options of direct use. */
export interface DirectOptions extends Omit<RegistrationOptions, 'connectionId' | 'admit'> {
  /** Messages larger than this end the connection, bytes. Default: 100 MiB. */
  readonly maxPayload?: number | undefined;
  /** Keeps channels while their clients are out of reach. Without it they end with their links. */
  readonly resumption?: Resumption | undefined;
}

/**
 * Registers the client of an accepted `ws` socket for direct use, and waits for the one channel that it opens or resumes.
 * Listens from the first tick. Rejects with a SecureWebSocketError, with the socket closed, when it does not come to that.
 */
export async function acceptDirect(
  ws: WsWebSocket,
  options: DirectOptions,
  request?: IncomingMessage,
): Promise<DirectChannel> {
  const connectionId = (): number => DIRECT_CONNECTION_ID;
  const socket = wrapWsSocket(ws, undefined, request?.socket);
  const registration = await new Accepting(socket, { ...options, connectionId }, request).promise;
  return openDirect(registration.link, registration.client, options);
}

/** A direct link has one client, so any number that is not 0 will do, whatever the client wants. */
const DIRECT_CONNECTION_ID = 1;

/** Above so many bytes that a client has not read it is sent no more notices. */
const MAX_UNREAD_NOTICES = 65_536;

/** Waits for OPEN on a registered direct link. Here this end plays the router's part too: it stamps addresses. */
async function openDirect(
  registered: RegisteredLink,
  client: RegisteredClient,
  options: DirectOptions,
): Promise<DirectChannel> {
  const { identity, maxFrame = DEFAULT_MAX_FRAME, maxPayload, resumption } = options;
  const own = peerAddress(identity.publicKeyBytes, 0);
  const theirs = peerAddress(registered.publicKey, registered.connectionId);
  const endpoint = new Endpoint({
    crypto: identity.crypto,
    keyPair: identity.keyPair,
    connectionId: 0,
    maxFrame,
    maxPayload,
    resumables: resumption?.channels,
    wallClock,
  });
  endpoint.acceptDirect();
  endpoint.adopt(theirs, client.keys);
  return new Promise((resolve, reject) => {
    let opened = false;
    const link = new Link({
      endpoint,
      socket: registered.socket,
      maxFrame,
      publicKey: identity.publicKey,
      serverPublicKey: identity.publicKey,
      connectionId: 0,
      resumption,
      stamp: frame => {
        frame.set(own, 1);
      },
      onIncoming: incoming => {
        if (opened) {
          incoming.refuse(409, 'a direct link carries one channel');
          return;
        }
        opened = true;
        stopTimer(deadline);
        resolve({ incoming: { ...incoming, token: registered.token } });
      },
      onResumed: resumed => {
        opened = true;
        stopTimer(deadline);
        resolve({ resumed });
      },
      onIdle: () => {
        link.close(new SecureWebSocketError('ABORTED', 'The socket was closed.'));
      },
      onClosed: error => {
        stopTimer(deadline);
        reject(error);
      },
    });
    const deadline = startTimer(CONNECT_TIMEOUT, () => {
      link.close(
        new SecureWebSocketError('REGISTRATION_TIMEOUT', 'The client opened no channel in time.'),
        1013,
      );
    });
    registered.start({
      text: () => {
        refuseText(registered.socket);
      },
      binary: frame => {
        if (frame[0] === FrameType.ENVELOPE && frame.length > ENVELOPE_HEADER_LENGTH) {
          const address = frame.subarray(1, 1 + PEER_ADDRESS_LENGTH);
          if (compareBytes(address, own) !== 0) {
            // A client that does not read its notices gets no more of them.
            if (registered.socket.bufferedAmount < MAX_UNREAD_NOTICES) {
              registered.socket.send(encodeNotice(NoticeReason.NOT_HERE, address));
            }
            return;
          }
          address.set(theirs);
        }
        link.binary(frame);
      },
      drained: () => {
        link.drained();
      },
      closed: (code, reason, detail) => {
        link.lost(code, reason, detail);
      },
    });
  });
}

/** One registration, from the first tick of a socket on until the link has an owner. */
class Accepting implements RawSocketListener {
  readonly promise: Promise<{ link: RegisteredLink; client: RegisteredClient }>;
  readonly #options: RegistrationOptions;
  readonly #registration: RegistrationServer;
  readonly #socket: SettledSocket;
  readonly #deadline;
  #received = 0;
  /** Once its key is proven. */
  #client: RegisteredClient | undefined;
  #resolve!: (registered: { link: RegisteredLink; client: RegisteredClient }) => void;
  #reject!: (error: SecureWebSocketError) => void;
  #state: 'response' | 'deciding' | 'registered' | 'failed' = 'response';
  #early: ((listener: RawSocketListener) => void)[] = [];

  constructor(socket: SettledSocket, options: RegistrationOptions, request: IncomingMessage | undefined) {
    this.#options = options;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    const { identity, userId, deviceId, maxFrame = DEFAULT_MAX_FRAME } = options;
    const now = wallClock();
    const claims = claimsOf(options, request, now);
    this.#registration = new RegistrationServer({ identity, userId, deviceId, now }, { ...claims, maxFrame });
    const timeout = options.registrationTimeout ?? REGISTRATION_TIMEOUT;
    this.#deadline = startTimer(timeout, () => {
      const message = `The client did not register within ${String(timeout / 1000)} s.`;
      this.#fail(new SecureWebSocketError('REGISTRATION_TIMEOUT', message));
    });
    this.#socket = socket;
    socket.listener = this;
    this.#socket.send(this.#registration.challenge());
  }

  /** The socket would gather a message up to its own limit before we see any of it. */
  arrived(bytes: number): void {
    this.#received += bytes;
    if (this.#received <= MAX_REGISTRATION_MESSAGE) return;
    const limit = String(MAX_REGISTRATION_MESSAGE);
    this.#fail(
      new SecureWebSocketError(
        'REGISTRATION_MALFORMED',
        `The client sent more than ${limit} bytes before it was registered.`,
      ),
    );
  }

  text(data: string): void {
    if (this.#state === 'deciding') {
      this.#fail(
        new SecureWebSocketError('REGISTRATION_MALFORMED', 'The client did not wait for an answer.'),
      );
      return;
    }
    if (this.#state !== 'response') {
      refuseText(this.#socket);
      return;
    }
    try {
      const client = this.#registration.receive(data, wallClock(), monotonicNow());
      this.#client = client;
      const { admit } = this.#options;
      if (admit) {
        this.#state = 'deciding';
        this.#decide(client, admit).catch((error: unknown) => {
          this.#fail(asError(error));
        });
      } else {
        this.#succeed(client, undefined);
      }
    } catch (error) {
      this.#fail(asError(error));
    }
  }

  async #decide(client: RegisteredClient, admit: NonNullable<RegistrationOptions['admit']>): Promise<void> {
    const { publicKey, device, address, token } = client;
    const grant = await admit({ publicKey, device, address, token });
    // The client may have gone, or the time may be over, meanwhile.
    if (this.#state === 'deciding') this.#succeed(client, grant);
  }

  #succeed(client: RegisteredClient, grant: Grant | undefined): void {
    const connectionId = this.#options.connectionId(client.publicKey, client.wantedConnectionId);
    this.#socket.send(this.#registration.success(connectionId, grant?.expiresIn));
    this.#state = 'registered';
    stopTimer(this.#deadline);
    this.#resolve({ link: this.#link(client, connectionId), client });
  }

  binary(data: Uint8Array): void {
    if (this.#state === 'registered') {
      this.#early.push(listener => {
        listener.binary(data);
      });
    } else {
      this.#fail(
        new SecureWebSocketError(
          'REGISTRATION_MALFORMED',
          'The client sent binary data before it was registered.',
        ),
      );
    }
  }

  closed(code: number, reason: string, detail?: string): void {
    if (this.#state === 'registered') {
      this.#early.push(listener => {
        listener.closed(code, reason, detail);
      });
    } else {
      this.#fail(
        new SecureWebSocketError(
          'LINK_LOST',
          `The client went away before it was registered (${String(code)}).`,
        ),
      );
    }
  }

  #link(client: RegisteredClient, connectionId: number): RegisteredLink {
    return {
      publicKey: client.publicKey,
      connectionId,
      device: client.device,
      token: client.token,
      address: client.address,
      keys: client.keys,
      socket: this.#socket,
      start: listener => {
        // Nothing of the registration is kept for as long as the link lives.
        this.#socket.listener = listener;
        for (const deliver of this.#early.splice(0)) deliver(listener);
      },
    };
  }

  #fail(error: SecureWebSocketError): void {
    if (this.#state !== 'response' && this.#state !== 'deciding') return;
    this.#state = 'failed';
    stopTimer(this.#deadline);
    this.#socket.send(this.#registration.failure(error));
    this.#registration.wipe();
    this.#client?.keys.wipe();
    this.#socket.close(1008, error.code);
    // Whoever does not answer the closing handshake is not waited for.
    startTimer(FAREWELL, () => {
      this.#socket.terminate();
    });
    this.#reject(error);
  }
}

/** Only binary frames follow once a client has been answered. */
export function refuseText(socket: RawSocket): void {
  socket.close(1002, 'text after registration');
}

/** How long a refused client may take to read why, milliseconds. */
const FAREWELL = 1_000;

function asError(error: unknown): SecureWebSocketError {
  return asSecureWebSocketError(error, 'REGISTRATION_MALFORMED', 'The registration failed.');
}
