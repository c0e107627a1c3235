import { concat, fromBase64Url, fromHex, fromUtf8, toBase64Url, utf8 } from './bytes.js';
import { DEVICE_INFORMATION_LIFETIME } from './constants.js';
import type { Crypto } from './crypto.js';
import { SecureWebSocketError } from './errors.js';
import type { Identity } from './identity.js';

/** What an endpoint says of itself, signed with its Ed25519 key (docs/protocol.md, "Device information"). */
export interface DeviceInformation {
  /** A name of the user or service, as the application gives it; '' when it gives none. */
  readonly userId: string;
  /** Tells the devices of one user apart; '' when the application gives none. */
  readonly deviceId: string;
  /** Ed25519 public key that signs this, 64 hex characters. */
  readonly signingKey: string;
  /** X25519 public key: the address, 64 hex characters. */
  readonly boxKey: string;
  /** Locations at which it can be dialled: `wss://relay.example`. Clients have none. */
  readonly addresses: readonly string[];
  /** Milliseconds since 1970. */
  readonly issued: number;
  /** Milliseconds since 1970. */
  readonly expires: number;
}

/** Device information on its way: the exact bytes that were signed, and the signature, both base64url. */
export interface SignedDeviceInformation {
  readonly information: string;
  readonly signature: string;
}

const MAX_TEXT = 256;
const MAX_ADDRESSES = 32;
const KEY = /^[0-9a-f]{64}$/;

/** The signature is over this label, a zero byte and the information: it can be mistaken for nothing else. */
const LABEL = utf8Once('secure-websocket/1 device information\0');

/** Describes and signs an endpoint. `now` is in milliseconds since 1970. */
export function signDeviceInformation(
  identity: Identity,
  what: { userId?: string | undefined; deviceId?: string | undefined; addresses: readonly string[] },
  now: number,
): SignedDeviceInformation {
  const information: DeviceInformation = {
    userId: what.userId ?? '',
    deviceId: what.deviceId ?? '',
    signingKey: identity.signingKey,
    boxKey: identity.publicKey,
    addresses: what.addresses,
    issued: now,
    expires: now + DEVICE_INFORMATION_LIFETIME,
  };
  for (const name of ['userId', 'deviceId'] as const) {
    if (typeof information[name] !== 'string' || information[name].length > MAX_TEXT) {
      throw new SecureWebSocketError(
        'INVALID_ARGUMENT',
        `${name} must be a string of at most ${String(MAX_TEXT)} characters.`,
      );
    }
  }
  if (
    information.addresses.length > MAX_ADDRESSES ||
    information.addresses.some(address => address.length > MAX_TEXT)
  ) {
    throw new SecureWebSocketError(
      'INVALID_ARGUMENT',
      `addresses must be at most ${String(MAX_ADDRESSES)}, of at most ${String(MAX_TEXT)} characters each.`,
    );
  }
  const bytes = utf8(JSON.stringify(information));
  return { information: toBase64Url(bytes), signature: toBase64Url(identity.sign(concat(LABEL(), bytes))) };
}

/**
 * Checks device information that came inside a handshake with `boxKey`.
 *
 * A wrong clock at either end must not lock an honest peer out, so it counts as expired only when both the receiver's
 * clock (`now`) and the sender's own (`stated`) say so. Both in milliseconds since 1970.
 * @throws SecureWebSocketError `DEVICE_INFORMATION_INVALID`, `DEVICE_INFORMATION_EXPIRED`
 */
export function verifyDeviceInformation(
  crypto: Crypto,
  signed: unknown,
  boxKey: string,
  now: number,
  stated: number,
): DeviceInformation {
  const { information, signature } = (typeof signed === 'object' && signed !== null ? signed : {}) as Record<
    string,
    unknown
  >;
  const bytes = typeof information === 'string' ? fromBase64Url(information) : undefined;
  const signatureBytes = typeof signature === 'string' ? fromBase64Url(signature) : undefined;
  if (!bytes || signatureBytes?.length !== 64) throw invalid('is malformed');
  const value = parse(bytes);
  if (!crypto.ed25519Verify(signatureBytes, concat(LABEL(), bytes), fromHex(value.signingKey))) {
    throw invalid('has a wrong signature');
  }
  if (value.boxKey !== boxKey) throw invalid('is that of another key');
  if (value.expires <= Math.min(now, stated)) {
    throw new SecureWebSocketError(
      'DEVICE_INFORMATION_EXPIRED',
      `The device information of the other end expired at ${new Date(value.expires).toISOString()}.`,
    );
  }
  return value;
}

function parse(bytes: Uint8Array): DeviceInformation {
  let value: unknown;
  try {
    value = JSON.parse(fromUtf8(bytes) ?? '');
  } catch {
    throw invalid('is malformed');
  }
  const { userId, deviceId, signingKey, boxKey, addresses, issued, expires } = (value ?? {}) as Record<
    string,
    unknown
  >;
  if (!isText(userId) || !isText(deviceId)) throw invalid('has no valid userId and deviceId');
  if (!isKey(signingKey) || !isKey(boxKey)) throw invalid('has no valid keys');
  if (!Array.isArray(addresses) || addresses.length > MAX_ADDRESSES || !addresses.every(isText)) {
    throw invalid('has no valid addresses');
  }
  if (!isTime(issued) || !isTime(expires) || expires <= issued) throw invalid('has no valid times');
  return { userId, deviceId, signingKey, boxKey, addresses, issued, expires };
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_TEXT;
}

function isKey(value: unknown): value is string {
  return typeof value === 'string' && KEY.test(value);
}

/** Within what `Date` can express. */
function isTime(value: unknown): value is number {
  return Number.isSafeInteger(value) && Math.abs(value as number) <= 8.64e15;
}

function invalid(what: string): SecureWebSocketError {
  return new SecureWebSocketError(
    'DEVICE_INFORMATION_INVALID',
    `The device information of the other end ${what}.`,
  );
}

function utf8Once(text: string): () => Uint8Array {
  let bytes: Uint8Array | undefined;
  return () => (bytes ??= utf8(text));
}
