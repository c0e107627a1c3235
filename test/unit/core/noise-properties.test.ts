import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, toHex } from '../../../src/core/bytes.js';
import { type ErrorCode, SecureWebSocketError } from '../../../src/core/errors.js';
import type { HandshakeState } from '../../../src/core/noise/handshake-state.js';
import { expectCode } from '../../support/errors.js';
import {
  crypto,
  drive,
  EMPTY,
  expectDead,
  fixed,
  keyPair,
  patternOf,
  PATTERNS,
  run,
  type Setup,
  side,
  sides,
} from '../../support/noise.js';

/** What a peer can cause by what it sends. */
const PEER_CODES: ErrorCode[] = ['DECRYPT_FAILED', 'NOISE_MESSAGE_MALFORMED', 'ZERO_SHARED_SECRET'];

const bytes = (maxLength: number, minLength = 0): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength, maxLength });

const setups: fc.Arbitrary<Setup> = fc.record({
  pattern: fc.constantFrom(...PATTERNS),
  prologue: bytes(200),
  psk: bytes(32, 32),
  // Four different keys, or a reflected message could be an honest one.
  secrets: fc
    .uniqueArray(bytes(32, 32), {
      minLength: 4,
      maxLength: 4,
      selector: secret => toHex(crypto.x25519PublicKey(secret)),
    })
    .map(keys => keys as Setup['secrets']),
});

const payloadLists = fc.array(fc.oneof(bytes(100), bytes(5000, 1000)), { maxLength: 3 });

// Generous: many handshakes, perhaps on a busy machine.
const options = { timeout: 60_000 };

describe('an honest handshake', options, () => {
  it('completes with one hash, the right keys and working ciphers, for any pattern, prologue and payloads', () => {
    const records = fc.array(bytes(300), { maxLength: 10 });
    fc.assert(
      fc.property(setups, payloadLists, records, bytes(50), (setup, payloads, messages, ad) => {
        const both = sides(setup);
        run(both, payloads);
        const [initiator, responder] = both;
        expect(initiator.handshakeHash).toEqual(responder.handshakeHash);
        expect(initiator.rs).toEqual(keyPair(setup.secrets[2]).publicKey);
        expect(responder.rs).toEqual(setup.pattern === 'N' ? undefined : keyPair(setup.secrets[0]).publicKey);
        expect(responder.re).toEqual(keyPair(setup.secrets[1]).publicKey);

        const [a, b] = [initiator.split(), responder.split()];
        const oneWay = patternOf(setup).messages.length === 1;
        for (const message of messages) {
          const ciphertext = a.send.encryptWithAd(ad, message);
          expect(ciphertext).toHaveLength(message.length + 16);
          expect(b.receive.decryptWithAd(ad, ciphertext)).toEqual(message);
          if (!oneWay)
            expect(a.receive.decryptWithAd(ad, b.send.encryptWithAd(ad, message))).toEqual(message);
        }
        if (oneWay) {
          expectCode(() => b.send.encryptWithAd(EMPTY, EMPTY), 'NOISE_STATE');
          expectCode(() => a.receive.decryptWithAd(EMPTY, new Uint8Array(16)), 'NOISE_STATE');
        }
      }),
    );
  });

  it('fails when the prologues differ', () => {
    fc.assert(
      fc.property(setups, bytes(200), (setup, prologue) => {
        fc.pre(toHex(setup.prologue) !== toHex(prologue));
        const { failure } = drive([side(setup, true), side(setup, false, { prologue })]);
        expect(failure?.error).toMatchObject({ code: 'DECRYPT_FAILED' });
      }),
      { numRuns: 30 },
    );
  });
});

/**
 * Runs `setup` with what `tamper` makes of message number `at`, which must be noticed: by whoever reads it or, where it
 * is not encrypted yet, at the latest when the next message is written or read. Nobody may crash.
 */
function expectNoticed(
  setup: Setup,
  payloads: Uint8Array[],
  at: number,
  tamper: (message: Uint8Array) => Uint8Array,
): void {
  let original: Uint8Array = EMPTY;
  let arrived: Uint8Array = EMPTY;
  const both = sides(setup);
  const { failure } = drive(both, payloads, (message, index) => {
    if (index !== at) return message;
    original = message;
    arrived = tamper(message);
    return arrived;
  });
  fc.pre(toHex(original) !== toHex(arrived));
  if (!failure) throw new Error(`message ${at} of ${setup.pattern} was changed and nobody noticed`);
  expect(failure.error).toBeInstanceOf(SecureWebSocketError);
  expect(PEER_CODES).toContain((failure.error as SecureWebSocketError).code);
  expect([at, at + 1]).toContain(failure.index);
  expectDead(failure.thrower);
}

describe('a handshake under attack', options, () => {
  const handshakes = fc.record({ setup: setups, payloads: payloadLists, message: fc.nat(2) });

  const property = (name: string, tampering: fc.Arbitrary<(message: Uint8Array) => Uint8Array>): void => {
    it(name, () => {
      fc.assert(
        fc.property(handshakes, tampering, ({ setup, payloads, message }, tamper) => {
          const at = message % patternOf(setup).messages.length;
          expectNoticed(setup, payloads, at, tamper);
        }),
        { numRuns: 150 },
      );
    });
  };

  property(
    'notices every flipped bit',
    // Small positions often: the keys are there.
    fc.tuple(fc.oneof(fc.nat(100), fc.nat()), fc.nat(7)).map(([position, bit]) => original => {
      const changed = original.slice();
      const i = position % changed.length;
      changed[i] = (changed[i] ?? 0) ^ (1 << bit);
      return changed;
    }),
  );

  property(
    'notices every truncation',
    fc.oneof(fc.nat(130), fc.nat()).map(length => original => original.subarray(0, length % original.length)),
  );

  property(
    'notices added bytes, before and after',
    fc.tuple(bytes(40), bytes(40)).map(
      ([before, after]) =>
        original =>
          concat(before, original, after),
    ),
  );

  property(
    'notices garbage',
    bytes(300).map(garbage => () => garbage),
  );

  it('notices every message that comes in the place of another: early, repeated or reflected', () => {
    const payloads = [1, 2, 3].map(n => Uint8Array.of(n));
    for (const pattern of PATTERNS) {
      const transcript = run(sides(fixed(pattern)), payloads);
      transcript.forEach((_, at) => {
        transcript.forEach((message, other) => {
          if (other !== at) expectNoticed(fixed(pattern), payloads, at, () => message);
        });
      });
    }
  });

  it('notices a message of another handshake between the same two', () => {
    fc.assert(
      fc.property(handshakes, bytes(32, 32), bytes(32, 32), ({ setup, payloads, message }, e1, e2) => {
        const [s1, , s2] = setup.secrets;
        const other: Setup = {
          ...setup,
          prologue: concat(setup.prologue, Uint8Array.of(1)),
          secrets: [s1, e1, s2, e2],
        };
        const at = message % patternOf(setup).messages.length;
        expectNoticed(setup, payloads, at, () => run(sides(other), payloads)[at] ?? EMPTY);
      }),
    );
  });

  it('notices a flipped bit in every byte of every message of every pattern', () => {
    for (const pattern of PATTERNS) {
      run(sides(fixed(pattern))).forEach((message, at) => {
        for (let position = 0; position < message.length; position++) {
          expectNoticed(fixed(pattern), [], at, original =>
            original.map((byte, i) => (i === position ? byte ^ (1 << (position % 8)) : byte)),
          );
        }
      });
    }
  });
});

describe('a handshake state in any hands', options, () => {
  type Operation = (state: HandshakeState) => unknown;

  // A well-formed key in front gets garbage past the first checks.
  const garbage = fc.oneof(
    bytes(200),
    fc.tuple(bytes(32, 32), bytes(200)).map(([secret, rest]) => concat(crypto.x25519PublicKey(secret), rest)),
    fc
      .tuple(bytes(32, 32), bytes(32, 32), bytes(200))
      .map(([e, s, rest]) => concat(crypto.x25519PublicKey(e), crypto.x25519PublicKey(s), rest)),
  );

  const operations = fc.array(
    fc.oneof(
      garbage.map((message): [string, Operation] => ['read', state => state.readMessage(message)]),
      bytes(100).map((payload): [string, Operation] => ['write', state => state.writeMessage(payload)]),
      fc.constantFrom<[string, Operation]>(
        ['split', state => state.split()],
        ['hash', state => state.handshakeHash],
        ['rs', state => state.rs],
      ),
    ),
    { maxLength: 8 },
  );

  it('answers every operation with a result or an error with a code, and never believes garbage', () => {
    fc.assert(
      fc.property(setups, fc.boolean(), operations, (setup, initiator, list) => {
        const state = side(setup, initiator);
        let failed = false;
        for (const [name, operation] of list) {
          const wasComplete = state.isComplete;
          try {
            operation(state);
          } catch (error) {
            expect(error).toBeInstanceOf(SecureWebSocketError);
            const { code } = error as SecureWebSocketError;
            expect([...PEER_CODES, 'NOISE_STATE']).toContain(code);
            failed ||= code !== 'NOISE_STATE';
          }
          // The message that completes a handshake for its reader is always authenticated.
          if (name === 'read') expect(state.isComplete).toBe(wasComplete);
          if (failed) expectDead(state);
        }
      }),
      { numRuns: 300 },
    );
  });
});
