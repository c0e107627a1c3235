import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../../src/core/bytes.js';
import type { Crypto, KeyPair } from '../../../src/core/crypto.js';
import { HandshakeState, type TransportCiphers } from '../../../src/core/noise/handshake-state.js';
import { HANDSHAKE_PATTERNS, type PatternName } from '../../../src/core/noise/patterns.js';
import { BACK_ENDS } from '../../support/back-ends.js';
import { describeVectors } from '../../support/vectors.js';

interface Vector {
  protocol_name: string;
  init_prologue: string;
  init_psks?: string[];
  init_static?: string;
  init_ephemeral: string;
  init_remote_static?: string;
  resp_prologue: string;
  resp_psks?: string[];
  resp_static?: string;
  resp_ephemeral?: string;
  resp_remote_static?: string;
  handshake_hash: string;
  messages: { payload: string; ciphertext: string }[];
}

const EMPTY = new Uint8Array(0);

function keyPair(crypto: Crypto, secretHex: string): KeyPair {
  const secretKey = fromHex(secretHex);
  return { secretKey, publicKey: crypto.x25519PublicKey(secretKey) };
}

function handshake(crypto: Crypto, vector: Vector, initiator: boolean): HandshakeState {
  const [prologue, psks, s, e, rs] = initiator
    ? [
        vector.init_prologue,
        vector.init_psks,
        vector.init_static,
        vector.init_ephemeral,
        vector.init_remote_static,
      ]
    : [
        vector.resp_prologue,
        vector.resp_psks,
        vector.resp_static,
        vector.resp_ephemeral,
        vector.resp_remote_static,
      ];
  const psk = psks?.[0];
  return new HandshakeState({
    crypto,
    pattern: vector.protocol_name.split('_')[1] as PatternName,
    initiator,
    prologue: fromHex(prologue),
    ...(s === undefined ? {} : { s: keyPair(crypto, s) }),
    ...(e === undefined ? {} : { e: keyPair(crypto, e) }),
    ...(rs === undefined ? {} : { rs: fromHex(rs) }),
    ...(psk === undefined ? {} : { psk: fromHex(psk) }),
  });
}

describeVectors('Noise vectors of cacophony', 'noise-cacophony-blake2b.json', content => {
  const { vectors } = content as { vectors: Vector[] };
  it('has a vector for every pattern', () => {
    const names = Object.keys(HANDSHAKE_PATTERNS).map(pattern => `Noise_${pattern}_25519_ChaChaPoly_BLAKE2b`);
    expect(vectors.map(vector => vector.protocol_name).sort()).toEqual(names.sort());
  });

  for (const [crypto, vector] of BACK_ENDS.flatMap(backEnd =>
    vectors.map(each => [backEnd, each] as const),
  )) {
    describe(`${vector.protocol_name} with ${crypto.name}`, () => {
      const pattern = HANDSHAKE_PATTERNS[vector.protocol_name.split('_')[1] as PatternName];
      const oneWay = pattern.messages.length === 1;
      const messages = vector.messages.map(({ payload, ciphertext }) => ({
        payload: fromHex(payload),
        ciphertext: fromHex(ciphertext),
      }));
      const handshakeMessages = messages.slice(0, pattern.messages.length);
      const transportMessages = messages.slice(pattern.messages.length);
      const writtenByInitiator = (index: number): boolean => oneWay || index % 2 === 0;

      function checkTransport(side: HandshakeState, ciphers: TransportCiphers, initiator: boolean): void {
        expect(toHex(side.handshakeHash)).toBe(vector.handshake_hash);
        transportMessages.forEach(({ payload, ciphertext }, i) => {
          if (writtenByInitiator(handshakeMessages.length + i) === initiator) {
            expect(toHex(ciphers.send.encryptWithAd(EMPTY, payload))).toBe(toHex(ciphertext));
          } else {
            expect(toHex(ciphers.receive.decryptWithAd(EMPTY, ciphertext))).toBe(toHex(payload));
          }
        });
      }

      it('has handshake and transport messages', () => {
        expect(handshakeMessages).toHaveLength(pattern.messages.length);
        expect(transportMessages.length).toBeGreaterThanOrEqual(3);
      });

      // Each role alone against the recorded messages: nothing that both roles get wrong alike can pass.
      for (const initiator of [true, false]) {
        it(`is reproduced by the ${initiator ? 'initiator' : 'responder'}`, () => {
          const side = handshake(crypto, vector, initiator);
          handshakeMessages.forEach(({ payload, ciphertext }, i) => {
            expect(side.isComplete).toBe(false);
            if (writtenByInitiator(i) === initiator) {
              expect(side.myTurn).toBe(true);
              expect(toHex(side.writeMessage(payload))).toBe(toHex(ciphertext));
            } else {
              expect(side.myTurn).toBe(false);
              expect(toHex(side.readMessage(ciphertext))).toBe(toHex(payload));
            }
          });
          expect(side.isComplete).toBe(true);
          checkTransport(side, side.split(), initiator);
        });
      }

      it('tells each side the static key of the other', () => {
        const sides = [handshake(crypto, vector, true), handshake(crypto, vector, false)] as const;
        handshakeMessages.forEach(({ payload, ciphertext }, i) => {
          const [writer, reader] = writtenByInitiator(i) ? sides : [sides[1], sides[0]];
          writer.writeMessage(payload);
          reader.readMessage(ciphertext);
        });
        expect(sides[0].rs).toEqual(vector.resp_static && keyPair(crypto, vector.resp_static).publicKey);
        expect(sides[1].rs).toEqual(vector.init_static && keyPair(crypto, vector.init_static).publicKey);
      });
    });
  }
});
