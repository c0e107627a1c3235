import { toHex, fromBase64Url, fromUtf8, toBase64Url, utf8 } from './bytes.js';
import {
  MAX_MAX_FRAME,
  MAX_REGISTRATION_MESSAGE,
  MAX_TOKEN_LENGTH,
  MIN_MAX_FRAME,
  PROTOCOL_VERSION,
} from './constants.js';
import {
  type DeviceInformation,
  signDeviceInformation,
  type SignedDeviceInformation,
  verifyDeviceInformation,
} from './device-information.js';
import { ADMISSION_ERROR_CODES, type ErrorCode, SecureWebSocketError } from './errors.js';
import type { Identity } from './identity.js';
import type { CipherState } from './noise/cipher-state.js';
import { HandshakeState, type TransportCiphers } from './noise/handshake-state.js';
import { registrationPrologue } from './prologue.js';
import { TransportKeys } from './transport-keys.js';

/**
 * Registration of a link (docs/protocol.md, "Registration"): Noise IX, in which the *server* is the initiator, carried
 * in JSON text messages. The server's fresh ephemeral key is the challenge.
 *
 * ```
 * server → client  CHALLENGE           e, s              + { device, time, maxFrame }
 * client → server  CHALLENGE_RESPONSE  e, ee, se, s, es  + { device, time, address, connectionId?, token? }
 * server → client  REGISTER_SUCCESS    first transport message, { connectionId }
 *              or  REGISTER_FAILURE    { reason, message }: in its place, sealed as it is; or, before keys exist, in the clear
 * ```
 */
export interface RegistrationSide {
  readonly identity: Identity;
  readonly userId?: string | undefined;
  readonly deviceId?: string | undefined;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** What a client may say of itself beside who it is. Sealed, for nobody but a server whose key has been checked. */
export interface RegistrationWishes {
  /** The connection id that it had before and wants again, 1 to 2^32 - 1: a wish, which the server need not grant. */
  readonly connectionId?: number | undefined;
  /** For the application at the server, at most 4,096 UTF-16 code units. A secret: part of no error message. */
  readonly token?: string | undefined;
}

/** The reasons that a REGISTER_FAILURE in the clear may name. */
export type RegistrationFailure =
  | 'MALFORMED'
  | 'NOT_AUTHENTIC'
  | 'DEVICE_INFORMATION_INVALID'
  | 'DEVICE_INFORMATION_EXPIRED'
  | 'DIALLED_ELSEWHERE'
  | 'TIMEOUT'
  | 'REFUSED';

export interface RegisteredClient {
  readonly publicKey: Uint8Array;
  readonly device: DeviceInformation;
  readonly handshakeHash: Uint8Array;
  /** The link's keys: session 0 of a direct link. */
  readonly keys: TransportKeys;
  /** The location that it dialled: one of our own. */
  readonly address: string;
  /** The connection id that the client had before and wants again. Whether it may have it is not checked here. */
  readonly wantedConnectionId?: number;
  /** What the client has to show to the application. */
  readonly token?: string;
}

/** The link's own session has this index at both ends. */
const LINK_INDEX = 0;

export interface RegistrationServerOptions {
  /** The locations this server answers to, normalized. */
  readonly addresses: readonly string[];
  readonly maxFrame: number;
  /** Its own device information with these addresses, where somebody has signed it before. Default: signed now. */
  readonly device?: SignedDeviceInformation | undefined;
}

/** The server's half: `challenge`, then `receive`, then `success`. */
export class RegistrationServer {
  readonly #side: RegistrationSide;
  readonly #options: RegistrationServerOptions;
  readonly #state: HandshakeState;
  #send: CipherState | undefined;

  constructor(side: RegistrationSide, options: RegistrationServerOptions) {
    this.#side = side;
    this.#options = options;
    this.#state = newState(side.identity, true);
  }

  /** @throws SecureWebSocketError `INVALID_ARGUMENT` when there is more to say than a client would read */
  challenge(): string {
    const { identity, now } = this.#side;
    const { addresses, maxFrame, device } = this.#options;
    const payload = {
      device: device ?? signDeviceInformation(identity, { ...this.#side, addresses }, now),
      time: now,
      maxFrame,
    };
    const noise = this.#state.writeMessage(utf8(JSON.stringify(payload)));
    const message = JSON.stringify({
      type: 'CHALLENGE',
      version: PROTOCOL_VERSION,
      noise: toBase64Url(noise),
    });
    if (message.length > MAX_REGISTRATION_MESSAGE) {
      throw new SecureWebSocketError(
        'INVALID_ARGUMENT',
        'The addresses, userId and deviceId of this server are too long together.',
      );
    }
    return message;
  }

  /**
   * Takes CHALLENGE_RESPONSE. `now`, here and below: milliseconds since 1970 and, for the age of keys, of a clock that
   * only goes forward.
   * @throws SecureWebSocketError which `registrationFailure` turns into a REGISTER_FAILURE
   */
  receive(message: string, now: number, monotonicNow: number): RegisteredClient {
    const { noise } = parse(message, 'CHALLENGE_RESPONSE');
    const payload = parsePayload(this.#state.readMessage(noise));
    const publicKey = this.#state.rs;
    if (!publicKey) throw malformed('CHALLENGE_RESPONSE');
    const device = verifyDeviceInformation(
      this.#side.identity.crypto,
      payload['device'],
      toHex(publicKey),
      now,
      timeOf(payload),
    );
    const dialled = payload['address'];
    const { addresses } = this.#options;
    if (typeof dialled !== 'string' || !addresses.includes(dialled)) {
      throw new SecureWebSocketError(
        'DIALLED_ELSEWHERE',
        `The client dialled ${quoted(dialled)}, which is none of this server's addresses (${addresses.join(', ') || 'none'}).`,
      );
    }
    const { connectionId, token } = payload;
    if (!isWishedId(connectionId) || !isToken(token)) throw malformed('CHALLENGE_RESPONSE');
    const handshakeHash = this.#state.handshakeHash;
    const ciphers = this.#state.split();
    this.#send = ciphers.send;
    return {
      publicKey,
      device,
      address: dialled,
      handshakeHash,
      keys: linkKeys(ciphers, false, handshakeHash, monotonicNow),
      ...(connectionId !== undefined && { wantedConnectionId: connectionId }),
      ...(token !== undefined && { token }),
    };
  }

  /** REGISTER_SUCCESS, once the client is admitted. `expiresIn`: for so many milliseconds, unless it shows a fresh token. */
  success(connectionId: number, expiresIn?: number): string {
    return this.#sealed('REGISTER_SUCCESS', { connectionId, expiresIn });
  }

  /** REGISTER_FAILURE: sealed once the client has proven its key, so that it can believe it; a mere hint before. */
  failure(error: unknown): string {
    if (!this.#send) return registrationFailure(error);
    const { code, message } =
      error instanceof SecureWebSocketError ? error : { code: 'REGISTRATION_REFUSED', message: '' };
    const reason = AUTHENTIC_REASONS.has(code) ? code : 'REFUSED';
    return this.#sealed('REGISTER_FAILURE', { reason, message: message.slice(0, MAX_REASON) });
  }

  #sealed(type: string, payload: object): string {
    if (!this.#send) throw new SecureWebSocketError('NOISE_STATE', 'The client has not been registered.');
    const sealed = this.#send.encryptWithAd(EMPTY, utf8(JSON.stringify(payload)));
    return JSON.stringify({ type, noise: toBase64Url(sealed) });
  }

  wipe(): void {
    this.#state.wipe();
  }
}

/** What a client learns from CHALLENGE, before it says anything itself. */
export interface Challenge {
  readonly serverKey: Uint8Array;
  readonly device: DeviceInformation;
  readonly maxFrame: number;
}

export interface RegisteredWithServer {
  readonly connectionId: number;
  readonly handshakeHash: Uint8Array;
  readonly keys: TransportKeys;
  /** What it is admitted for ends in so many milliseconds. Undefined: never. */
  readonly expiresIn: number | undefined;
}

/** The client's half: `challenge`, a look at the server's key, then `response`, then `success`. */
export class RegistrationClient {
  readonly #side: RegistrationSide;
  readonly #address: string;
  readonly #wishes: RegistrationWishes;
  readonly #state: HandshakeState;
  #challenge: Challenge | undefined;
  #registered: { handshakeHash: Uint8Array; ciphers: TransportCiphers } | undefined;

  /**
   * `address`: the location that was dialled, normalized.
   * @throws SecureWebSocketError `INVALID_ARGUMENT` for a connection id out of range or a token that is too long
   */
  constructor(side: RegistrationSide, address: string, wishes: RegistrationWishes = {}) {
    const { connectionId, token } = wishes;
    if (!isWishedId(connectionId)) {
      throw new SecureWebSocketError('INVALID_ARGUMENT', 'A connection id is an integer from 1 to 2^32 - 1.');
    }
    if (!isToken(token)) {
      throw new SecureWebSocketError(
        'INVALID_ARGUMENT',
        `A token is a string of at most ${String(MAX_TOKEN_LENGTH)} characters.`,
      );
    }
    this.#side = side;
    this.#address = address;
    this.#wishes = { connectionId, token };
    this.#state = newState(side.identity, false);
  }

  /**
   * Takes CHALLENGE. The server's key is not yet proven: it is once `success` has returned.
   * @throws SecureWebSocketError `VERSION_MISMATCH`, `REGISTRATION_MALFORMED`, a code of device information, or
   *   `ADDRESS_NOT_CLAIMED` when the server does not claim the address that was dialled
   */
  challenge(message: string, now: number): Challenge {
    const { noise, version } = parse(message, 'CHALLENGE');
    if (version !== PROTOCOL_VERSION) {
      throw new SecureWebSocketError(
        'VERSION_MISMATCH',
        `The server speaks version ${quoted(version)} of the protocol; this is version ${String(PROTOCOL_VERSION)}.`,
      );
    }
    const payload = parsePayload(this.#state.readMessage(noise));
    const serverKey = this.#state.rs;
    if (!serverKey) throw malformed('CHALLENGE');
    const { crypto } = this.#side.identity;
    const device = verifyDeviceInformation(crypto, payload['device'], toHex(serverKey), now, timeOf(payload));
    const maxFrame = payload['maxFrame'];
    if (!Number.isSafeInteger(maxFrame) || (maxFrame as number) < MIN_MAX_FRAME) throw malformed('CHALLENGE');
    if (!device.addresses.includes(this.#address)) {
      throw new SecureWebSocketError(
        'ADDRESS_NOT_CLAIMED',
        `The server does not answer to ${this.#address}, but to ${device.addresses.join(', ') || 'no address'}. ` +
          'If it is yours, list this address in its "addresses" option (--public-url of the relay); ' +
          'if it is not, somebody may stand in the middle.',
      );
    }
    this.#challenge = { serverKey, device, maxFrame: Math.min(maxFrame as number, MAX_MAX_FRAME) };
    return this.#challenge;
  }

  /**
   * CHALLENGE_RESPONSE: to be sent only after the server's key has been checked.
   * @throws SecureWebSocketError `INVALID_ARGUMENT` when there is more to say than a server would read
   */
  response(now: number): string {
    if (!this.#challenge)
      throw new SecureWebSocketError('NOISE_STATE', 'There is no challenge to respond to.');
    const payload = {
      device: signDeviceInformation(this.#side.identity, { ...this.#side, addresses: [] }, now),
      time: now,
      address: this.#address,
      // Members that are undefined are left out.
      ...this.#wishes,
    };
    const noise = this.#state.writeMessage(utf8(JSON.stringify(payload)));
    const message = JSON.stringify({ type: 'CHALLENGE_RESPONSE', noise: toBase64Url(noise) });
    if (message.length > MAX_REGISTRATION_MESSAGE - FRAMING) {
      throw new SecureWebSocketError(
        'INVALID_ARGUMENT',
        'The token, userId and deviceId of this client are too long together.',
      );
    }
    const handshakeHash = this.#state.handshakeHash;
    const ciphers = this.#state.split();
    this.#registered = { handshakeHash, ciphers };
    return message;
  }

  /**
   * Takes REGISTER_SUCCESS or REGISTER_FAILURE.
   * @throws SecureWebSocketError `REGISTRATION_REFUSED`, or a code of admission that the server has sealed, or
   *   `DECRYPT_FAILED` when the server does not hold the key that it showed
   */
  success(message: string, monotonicNow: number): RegisteredWithServer {
    if (!this.#registered) throw malformed('REGISTER_SUCCESS');
    const { noise, isFailure } = parse(message, 'REGISTER_SUCCESS');
    const { ciphers, handshakeHash } = this.#registered;
    const payload = parsePayload(ciphers.receive.decryptWithAd(EMPTY, noise));
    if (isFailure) throw refusal(payload, AUTHENTIC_REASONS);
    const { connectionId, expiresIn } = payload;
    if (!isConnectionId(connectionId) || !isDuration(expiresIn)) throw malformed('REGISTER_SUCCESS');
    return {
      connectionId,
      expiresIn,
      handshakeHash,
      keys: linkKeys(ciphers, true, handshakeHash, monotonicNow),
    };
  }

  wipe(): void {
    this.#state.wipe();
  }
}

/** REGISTER_FAILURE for an error of `RegistrationServer`. It is sent before keys exist: a hint, trusted for nothing. */
export function registrationFailure(error: unknown): string {
  let reason: RegistrationFailure = 'REFUSED';
  let message = '';
  if (error instanceof SecureWebSocketError) {
    ({ message } = error);
    switch (error.code) {
      case 'DECRYPT_FAILED':
      case 'ZERO_SHARED_SECRET':
        reason = 'NOT_AUTHENTIC';
        break;
      case 'REGISTRATION_TIMEOUT':
        reason = 'TIMEOUT';
        break;
      case 'DEVICE_INFORMATION_INVALID':
      case 'DEVICE_INFORMATION_EXPIRED':
      case 'DIALLED_ELSEWHERE':
        reason = error.code;
        break;
      case 'REGISTRATION_MALFORMED':
      case 'NOISE_MESSAGE_MALFORMED':
        reason = 'MALFORMED';
        break;
      default:
    }
  }
  return JSON.stringify({ type: 'REGISTER_FAILURE', reason, message });
}

function newState(identity: Identity, initiator: boolean): HandshakeState {
  return new HandshakeState({
    crypto: identity.crypto,
    pattern: 'IX',
    initiator,
    prologue: registrationPrologue(),
    s: identity.keyPair,
  });
}

/** `renews`: this end starts the next handshake when the keys grow old. In direct use that is the client, which dialled. */
function linkKeys(
  ciphers: TransportCiphers,
  renews: boolean,
  handshakeHash: Uint8Array,
  createdAt: number,
): TransportKeys {
  return new TransportKeys({
    localIndex: LINK_INDEX,
    remoteIndex: LINK_INDEX,
    ...ciphers,
    initiator: renews,
    handshakeHash,
    createdAt,
  });
}

function parse(message: string, type: string): { noise: Uint8Array; version: unknown; isFailure: boolean } {
  if (message.length > MAX_REGISTRATION_MESSAGE) throw malformed(type);
  let value: unknown;
  try {
    value = JSON.parse(message);
  } catch {
    throw malformed(type);
  }
  const fields = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  const noise = typeof fields['noise'] === 'string' ? fromBase64Url(fields['noise']) : undefined;
  // Only servers refuse.
  const isFailure = fields['type'] === 'REGISTER_FAILURE' && type !== 'CHALLENGE_RESPONSE';
  // What is sealed can be read only once there are keys.
  if (isFailure && (!noise || type !== 'REGISTER_SUCCESS')) throw refusal(fields, NO_REASONS);
  if ((fields['type'] !== type && !isFailure) || !noise) throw malformed(type);
  return { noise, version: fields['version'], isFailure };
}

/** What a REGISTER_FAILURE means. `known`: the reasons that are error codes of their own, where they can be believed. */
function refusal(fields: Record<string, unknown>, known: ReadonlySet<string>): SecureWebSocketError {
  const { reason, message } = fields;
  const why = typeof message === 'string' && message !== '' ? `: ${quoted(message, MAX_REASON)}` : '';
  let code: ErrorCode = 'REGISTRATION_REFUSED';
  if (reason === 'TIMEOUT') code = 'REGISTRATION_TIMEOUT';
  else if (typeof reason === 'string' && known.has(reason)) code = reason as ErrorCode;
  return new SecureWebSocketError(
    code,
    `The server refused to register this client (${quoted(reason)})${why}`,
  );
}

const NO_REASONS: ReadonlySet<string> = new Set();
/** What a server may say of admission, once it can say so to nobody but the client. */
const AUTHENTIC_REASONS: ReadonlySet<string> = new Set<ErrorCode>([
  ...ADMISSION_ERROR_CODES,
  'TOO_MANY_CONNECTIONS',
  'RESTARTING',
  'REGISTRATION_TIMEOUT',
]);
/** A message of a refusal is cut to so many characters. */
const MAX_REASON = 300;

function parsePayload(bytes: Uint8Array): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(fromUtf8(bytes) ?? '');
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // Told below.
  }
  throw new SecureWebSocketError(
    'REGISTRATION_MALFORMED',
    'The sealed part of a registration message is not a JSON object.',
  );
}

function isConnectionId(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 1 && value <= 0xffff_ffff;
}

function isWishedId(value: unknown): value is number | undefined {
  return value === undefined || isConnectionId(value);
}

function isDuration(value: unknown): value is number | undefined {
  return value === undefined || (typeof value === 'number' && Number.isFinite(value) && value >= 0);
}

function isToken(value: unknown): value is string | undefined {
  return value === undefined || (typeof value === 'string' && value.length <= MAX_TOKEN_LENGTH);
}

function timeOf(payload: Record<string, unknown>): number {
  return typeof payload['time'] === 'number' && Number.isFinite(payload['time']) ? payload['time'] : Infinity;
}

/** Something the other end wrote, fit to be shown: short, and without characters that would steer a terminal. */
function quoted(value: unknown, length = 100): string {
  const text = typeof value === 'string' || typeof value === 'number' ? String(value) : typeof value;
  return JSON.stringify(text.slice(0, length).replace(/\p{C}/gu, ' '));
}

function malformed(type: string): SecureWebSocketError {
  return new SecureWebSocketError('REGISTRATION_MALFORMED', `Expected ${type}, received something else.`);
}

const EMPTY = new Uint8Array(0);

/** What RFC 6455 puts before a client's message of this size, bytes. A server counts it, too. */
const FRAMING = 8;
