import { fromBase64Url, fromUtf8, toBase64Url, utf8 } from '../../src/core/bytes.js';
import { PROTOCOL_VERSION } from '../../src/core/constants.js';
import type { KeyPair } from '../../src/core/crypto.js';
import { signDeviceInformation } from '../../src/core/device-information.js';
import { Identity } from '../../src/core/identity.js';
import { HandshakeState } from '../../src/core/noise/handshake-state.js';
import { registrationPrologue } from '../../src/core/prologue.js';
import { RegistrationClient, RegistrationServer } from '../../src/core/registration.js';
import { loadLibsodium } from '../../src/crypto/libsodium.js';

export const crypto = await loadLibsodium();
const identityOf = (n: number): Identity => new Identity(crypto, new Uint8Array(32).fill(n));
export const relay = identityOf(1);
export const alice = identityOf(2);
export const mallory = identityOf(3);

export const LOCATION = 'wss://relay.example';
export const NOW = 1_750_000_000_000;
export const MONOTONIC = 5_000;
export const MAX_FRAME = 262_144;

export function server(
  changes: {
    identity?: Identity;
    addresses?: string[];
    maxFrame?: number;
    now?: number;
    userId?: string;
    deviceId?: string;
  } = {},
): RegistrationServer {
  const { identity = relay, addresses = [LOCATION], maxFrame = MAX_FRAME, now = NOW, ...names } = changes;
  return new RegistrationServer({ identity, now, ...names }, { addresses, maxFrame });
}

export function client(
  changes: { identity?: Identity; address?: string; userId?: string; deviceId?: string } = {},
): RegistrationClient {
  const { identity = alice, address = LOCATION, ...names } = changes;
  return new RegistrationClient({ identity, now: NOW, ...names }, address);
}

/** A client that has taken the server's challenge and written its response. */
export function respond(
  from: RegistrationServer,
  by = client(),
): { by: RegistrationClient; response: string } {
  by.challenge(from.challenge(), NOW);
  return { by, response: by.response(NOW) };
}

/** The fields of a registration message. */
export function fieldsOf(message: string): Record<string, unknown> {
  return JSON.parse(message) as Record<string, unknown>;
}

export function noiseOf(message: string): Uint8Array {
  return fromBase64Url(fieldsOf(message)['noise'] as string)!;
}

/** `message` with other Noise bytes. */
export function withNoise(message: string, noise: Uint8Array): string {
  return JSON.stringify({ ...fieldsOf(message), noise: toBase64Url(noise) });
}

/** A server or client by hand, which says what it likes: well-formed, authentic and wrong. */
export class Forger {
  readonly state: HandshakeState;
  readonly #identity: Identity;
  readonly #role: 'server' | 'client';

  constructor(role: 'server' | 'client', identity = mallory, s: KeyPair = identity.keyPair) {
    this.#role = role;
    this.#identity = identity;
    const initiator = role === 'server';
    this.state = new HandshakeState({
      crypto,
      pattern: 'IX',
      initiator,
      prologue: registrationPrologue(),
      s,
    });
  }

  /** CHALLENGE or CHALLENGE_RESPONSE with an honest payload, but for `changes`; or with these bytes as payload. */
  message(changes: Record<string, unknown> | Uint8Array = {}): string {
    const isServer = this.#role === 'server';
    const honest = {
      device: signDeviceInformation(this.#identity, { addresses: isServer ? [LOCATION] : [] }, NOW),
      time: NOW,
      ...(isServer ? { maxFrame: MAX_FRAME } : { address: LOCATION }),
    };
    const payload = changes instanceof Uint8Array ? changes : utf8(JSON.stringify({ ...honest, ...changes }));
    const noise = toBase64Url(this.state.writeMessage(payload));
    return JSON.stringify(
      isServer
        ? { type: 'CHALLENGE', version: PROTOCOL_VERSION, noise }
        : { type: 'CHALLENGE_RESPONSE', noise },
    );
  }

  /** Reads the other side's message; its payload. */
  read(message: string): Record<string, unknown> {
    return fieldsOf(fromUtf8(this.state.readMessage(noiseOf(message)))!);
  }

  /** REGISTER_SUCCESS with these bytes as payload, sealed with our first transport key. */
  success(payload: Uint8Array): string {
    const sealed = this.state.split().send.encryptWithAd(new Uint8Array(0), payload);
    return JSON.stringify({ type: 'REGISTER_SUCCESS', noise: toBase64Url(sealed) });
  }
}
