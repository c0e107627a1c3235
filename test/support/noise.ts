import { expect } from 'vitest';
import type { KeyPair } from '../../src/core/crypto.js';
import { HandshakeState, type HandshakeOptions } from '../../src/core/noise/handshake-state.js';
import {
  HANDSHAKE_PATTERNS,
  type HandshakePattern,
  type PatternName,
} from '../../src/core/noise/patterns.js';
import { loadLibsodium } from '../../src/crypto/libsodium.js';
import { expectCode } from './errors.js';

export const crypto = await loadLibsodium();
export const EMPTY = new Uint8Array(0);
export const PATTERNS = Object.keys(HANDSHAKE_PATTERNS) as PatternName[];

/** Everything a handshake depends on, so that each can be repeated. */
export interface Setup {
  pattern: PatternName;
  prologue: Uint8Array;
  psk: Uint8Array;
  /** Secret keys: the initiator's static and ephemeral one, the responder's static and ephemeral one. */
  secrets: [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
}

/** Some handshake of a pattern. */
export function fixed(pattern: PatternName): Setup {
  return {
    pattern,
    prologue: Uint8Array.of(1, 2, 3),
    psk: new Uint8Array(32).fill(5),
    secrets: [1, 2, 3, 4].map(n => new Uint8Array(32).fill(n)) as Setup['secrets'],
  };
}

export function keyPair(secretKey: Uint8Array): KeyPair {
  return { secretKey, publicKey: crypto.x25519PublicKey(secretKey) };
}

export const patternOf = (setup: Setup): HandshakePattern => HANDSHAKE_PATTERNS[setup.pattern];

/** What one side of `setup` is constructed with. */
export function optionsOf(setup: Setup, initiator: boolean): HandshakeOptions {
  const [initiatorS, initiatorE, responderS, responderE] = setup.secrets;
  const knowsPeer = initiator && patternOf(setup).preMessages.responder.length > 0;
  return {
    crypto,
    pattern: setup.pattern,
    initiator,
    prologue: setup.prologue,
    s: keyPair(initiator ? initiatorS : responderS),
    e: keyPair(initiator ? initiatorE : responderE),
    ...(knowsPeer ? { rs: keyPair(responderS).publicKey } : {}),
    ...(setup.pattern.includes('psk') ? { psk: setup.psk } : {}),
  };
}

export type Sides = [initiator: HandshakeState, responder: HandshakeState];

export function side(
  setup: Setup,
  initiator: boolean,
  changes: Partial<HandshakeOptions> = {},
): HandshakeState {
  return new HandshakeState({ ...optionsOf(setup, initiator), ...changes });
}

export function sides(setup: Setup): Sides {
  return [side(setup, true), side(setup, false)];
}

/** How a handshake stopped: who threw, and while which message was on its way. */
export interface Failure {
  error: unknown;
  thrower: HandshakeState;
  index: number;
}

/**
 * Lets both sides write and read until nobody is to write, or somebody throws. `tamper` sees each message on its way and
 * says what arrives; `payloads` are what is put into the messages, `received` what was read from them.
 */
export function drive(
  [initiator, responder]: Sides,
  payloads: Uint8Array[] = [],
  tamper: (message: Uint8Array, index: number) => Uint8Array = message => message,
): { received: Uint8Array[]; failure?: Failure } {
  const received: Uint8Array[] = [];
  for (let index = 0; initiator.myTurn || responder.myTurn; index++) {
    const [writer, reader] = initiator.myTurn ? [initiator, responder] : [responder, initiator];
    let thrower = writer;
    try {
      const message = tamper(writer.writeMessage(payloads[index] ?? EMPTY), index);
      thrower = reader;
      received.push(reader.readMessage(message));
    } catch (error) {
      return { received, failure: { error, thrower, index } };
    }
  }
  return { received };
}

/** A handshake that must succeed; returns its messages. */
export function run(both: Sides, payloads: Uint8Array[] = []): Uint8Array[] {
  const messages: Uint8Array[] = [];
  const { received, failure } = drive(both, payloads, message => {
    messages.push(message);
    return message;
  });
  if (failure) throw failure.error;
  expect(received).toEqual(messages.map((_, i) => payloads[i] ?? EMPTY));
  expect(both[0].isComplete && both[1].isComplete).toBe(true);
  return messages;
}

/** A handshake state that failed has to refuse everything, for good. */
export function expectDead(state: HandshakeState): void {
  expect(state.isComplete).toBe(false);
  expect(state.myTurn).toBe(false);
  expectCode(() => state.writeMessage(EMPTY), 'NOISE_STATE');
  expectCode(() => state.readMessage(new Uint8Array(200)), 'NOISE_STATE');
  expectCode(() => state.split(), 'NOISE_STATE');
  expectCode(() => state.handshakeHash, 'NOISE_STATE');
}
