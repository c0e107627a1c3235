import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { concat, fromHex, toHex, utf8 } from '../../../src/core/bytes.js';
import type { Crypto, KeyPair } from '../../../src/core/crypto.js';
import {
  type HandshakeOptions,
  HandshakeState,
  MAX_NOISE_MESSAGE,
} from '../../../src/core/noise/handshake-state.js';
import type { PatternName } from '../../../src/core/noise/patterns.js';
import { SymmetricState } from '../../../src/core/noise/symmetric-state.js';
import { expectCode } from '../../support/errors.js';
import {
  crypto,
  drive,
  EMPTY,
  expectDead,
  fixed,
  keyPair,
  optionsOf,
  PATTERNS,
  run,
  side,
  sides,
} from '../../support/noise.js';

const KNOWN_RESPONDER = ['N', 'X', 'IK', 'IKpsk2'] as const;

describe('HandshakeState: keys', () => {
  const without = (options: HandshakeOptions, name: keyof HandshakeOptions): HandshakeOptions => {
    const { [name]: _, ...rest } = options;
    return rest as HandshakeOptions;
  };
  const construct = (options: HandshakeOptions) => () => new HandshakeState(options);

  it.each(PATTERNS)('%s refuses to start without the keys that it needs', pattern => {
    for (const initiator of [true, false]) {
      const options = optionsOf(fixed(pattern), initiator);
      if (pattern === 'N' && initiator) expect(construct(without(options, 's'))).not.toThrow();
      else expectCode(construct(without(options, 's')), 'INVALID_ARGUMENT');
      if (options.rs) expectCode(construct(without(options, 'rs')), 'INVALID_ARGUMENT');
      else
        expectCode(
          construct({ ...options, rs: keyPair(new Uint8Array(32).fill(8)).publicKey }),
          'INVALID_ARGUMENT',
        );
      if (options.psk) expectCode(construct(without(options, 'psk')), 'INVALID_ARGUMENT');
      else expectCode(construct({ ...options, psk: new Uint8Array(32).fill(8) }), 'INVALID_ARGUMENT');
    }
  });

  it.each(PATTERNS)('%s refuses keys of a wrong size', pattern => {
    for (const initiator of [true, false]) {
      const options = optionsOf(fixed(pattern), initiator);
      const short = new Uint8Array(31).fill(8);
      const good = new Uint8Array(32).fill(8);
      for (const pair of [
        { publicKey: short, secretKey: good },
        { publicKey: good, secretKey: short },
      ]) {
        expectCode(construct({ ...options, s: pair }), 'INVALID_ARGUMENT');
        expectCode(construct({ ...options, e: pair }), 'INVALID_ARGUMENT');
      }
      if (options.rs) expectCode(construct({ ...options, rs: short }), 'INVALID_ADDRESS_LENGTH');
      if (options.psk) expectCode(construct({ ...options, psk: short }), 'INVALID_ARGUMENT');
      expectCode(construct({ ...options, prologue: 'text' as unknown as Uint8Array }), 'INVALID_ARGUMENT');
    }
  });

  it('makes fresh ephemeral keys by itself', () => {
    for (const pattern of PATTERNS) {
      const hashes = [1, 2].map(() => {
        const [initiator, responder] = [true, false].map(
          role => new HandshakeState(without(optionsOf(fixed(pattern), role), 'e')),
        ) as [HandshakeState, HandshakeState];
        run([initiator, responder]);
        expect(initiator.handshakeHash).toEqual(responder.handshakeHash);
        return toHex(initiator.handshakeHash);
      });
      expect(hashes[0]).not.toBe(hashes[1]);
    }
  });

  it('keeps its own copies: what callers do to their buffers afterwards changes nothing', () => {
    for (const pattern of PATTERNS) {
      const both = [true, false].map(role => {
        const options = optionsOf(fixed(pattern), role);
        const prologue = options.prologue.slice();
        const psk = options.psk?.slice();
        const state = new HandshakeState({ ...options, prologue, ...(psk ? { psk } : {}) });
        for (const buffer of [prologue, psk, options.e?.secretKey, options.e?.publicKey, options.rs])
          buffer?.fill(0);
        return state;
      }) as [HandshakeState, HandshakeState];
      const messages: Uint8Array[] = [];
      const buffers: [Uint8Array, Uint8Array][] = [];
      drive(both, [], message => {
        messages.push(message.slice());
        // Nor may the reader keep, or change, the buffer of a message.
        const buffer = concat(Uint8Array.of(0xee), message, Uint8Array.of(0xdd));
        buffers.push([buffer, buffer.slice()]);
        return buffer.subarray(1, 1 + message.length);
      });
      for (const [buffer, before] of buffers) {
        expect(buffer).toEqual(before);
        buffer.fill(0);
      }
      expect(messages).toEqual(run(sides(fixed(pattern))));
      for (const state of both) {
        state.rs?.fill(0);
        state.re?.fill(0);
        state.handshakeHash.fill(0);
      }
      expect(both[0].handshakeHash).toEqual(both[1].handshakeHash);
      expect(both[0].rs).toEqual(keyPair(fixed(pattern).secrets[2]).publicKey);
      expect(both[1].re).toEqual(keyPair(fixed(pattern).secrets[1]).publicKey);
    }
  });
});

describe('HandshakeState: turns', () => {
  it.each(PATTERNS)('%s refuses to write or read out of turn, and goes on', pattern => {
    const both = sides(fixed(pattern));
    const [initiator, responder] = both;
    expectCode(() => initiator.readMessage(new Uint8Array(200)), 'NOISE_STATE');
    expectCode(() => responder.writeMessage(EMPTY), 'NOISE_STATE');
    for (const state of both) {
      expectCode(() => state.split(), 'NOISE_STATE');
      expectCode(() => state.handshakeHash, 'NOISE_STATE');
    }
    run(both);
    for (const state of both) {
      expect(state.myTurn).toBe(false);
      expectCode(() => state.writeMessage(EMPTY), 'NOISE_STATE');
      expectCode(() => state.readMessage(new Uint8Array(200)), 'NOISE_STATE');
    }
  });

  it('splits once', () => {
    const both = sides(fixed('XX'));
    run(both);
    for (const state of both) {
      state.split();
      expect(state.isComplete).toBe(true);
      expectCode(() => state.split(), 'NOISE_STATE');
    }
    expect(both[0].handshakeHash).toEqual(both[1].handshakeHash);
  });

  it('stays failed after a failure', () => {
    for (const pattern of PATTERNS) {
      const responder = side(fixed(pattern), false);
      expectCode(() => responder.readMessage(new Uint8Array(31)), 'NOISE_MESSAGE_MALFORMED');
      expectDead(responder);
      // The message that it could have read before does not revive it.
      const message = side(fixed(pattern), true).writeMessage(EMPTY);
      expectCode(() => responder.readMessage(message), 'NOISE_STATE');
    }
  });

  it('is dead when wiped before it was split; after that, its ciphers and hash live on', () => {
    for (const complete of [false, true]) {
      const both = sides(fixed('IX'));
      if (complete) run(both);
      for (const state of both) {
        state.wipe();
        expectDead(state);
      }
    }
    const both = sides(fixed('IX'));
    run(both);
    const [a, b] = [both[0].split(), both[1].split()];
    both[0].wipe();
    both[1].wipe();
    expect(b.receive.decryptWithAd(EMPTY, a.send.encryptWithAd(EMPTY, utf8('hello')))).toEqual(utf8('hello'));
    expect(both[0].handshakeHash).toEqual(both[1].handshakeHash);
  });
});

describe('HandshakeState: sizes', () => {
  it('of Noise messages go up to 65535 bytes and no further', () => {
    for (const pattern of PATTERNS) {
      const overhead = side(fixed(pattern), true).writeMessage(EMPTY).length;
      const payload = new Uint8Array(MAX_NOISE_MESSAGE - overhead).fill(1);
      const [initiator, responder] = sides(fixed(pattern));
      const message = initiator.writeMessage(payload);
      expect(message).toHaveLength(65_535);
      expect(crypto.equal(responder.readMessage(message), payload)).toBe(true);

      const tooMuch = side(fixed(pattern), true);
      expectCode(() => tooMuch.writeMessage(concat(payload, Uint8Array.of(1))), 'INVALID_ARGUMENT');
      expectDead(tooMuch);

      const reader = side(fixed(pattern), false);
      expectCode(() => reader.readMessage(concat(message, Uint8Array.of(1))), 'NOISE_MESSAGE_MALFORMED');
      expectDead(reader);
    }
  });

  it('too small for the keys and tags are refused, byte by byte', () => {
    for (const pattern of PATTERNS) {
      const shortest = side(fixed(pattern), true).writeMessage(EMPTY);
      for (let length = 0; length < shortest.length; length++) {
        const reader = side(fixed(pattern), false);
        expectCode(() => reader.readMessage(shortest.subarray(0, length)), 'NOISE_MESSAGE_MALFORMED');
        expectDead(reader);
      }
    }
  });
});

describe('HandshakeState: hostile public keys', () => {
  const LOW_ORDER = [
    '00'.padEnd(64, '0'),
    '01'.padEnd(64, '0'),
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    `ec${'ff'.repeat(30)}7f`,
  ];
  // p, p + 1, and the first of the others with its top bit set.
  const NON_CANONICAL = [
    `ed${'ff'.repeat(30)}7f`,
    `ee${'ff'.repeat(30)}7f`,
    `01${'00'.repeat(30)}80`,
    `ec${'ff'.repeat(31)}`,
    `ff${'ff'.repeat(31)}`,
  ];
  const hostile = [
    ...LOW_ORDER.map(hex => [hex, 'ZERO_SHARED_SECRET'] as const),
    ...NON_CANONICAL.map(hex => [hex, 'NOISE_MESSAGE_MALFORMED'] as const),
  ];

  it.each(hostile)('%s as the ephemeral key of either side: %s', (hex, code) => {
    for (const pattern of PATTERNS) {
      for (const at of pattern === 'N' || pattern === 'X' ? [0] : [0, 1]) {
        const { failure } = drive(sides(fixed(pattern)), [], (message, index) =>
          index === at ? concat(fromHex(hex), message.subarray(32)) : message,
        );
        expect(failure?.error, `${pattern}, message ${at}`).toMatchObject({ code });
        if (failure) expectDead(failure.thrower);
      }
    }
  });

  it.each(hostile)('%s as the static key of either side, properly encrypted: %s', (hex, code) => {
    const s: KeyPair = { publicKey: fromHex(hex), secretKey: new Uint8Array(32).fill(8) };
    for (const pattern of ['X', 'XX', 'IX', 'IK', 'IKpsk2'] as const) {
      const responder = side(fixed(pattern), false);
      const { failure } = drive([side(fixed(pattern), true, { s }), responder]);
      expect(failure?.error, pattern).toMatchObject({ code });
      expect(failure?.thrower).toBe(responder);
      expectDead(responder);
    }
    for (const pattern of ['XX', 'IX'] as const) {
      const initiator = side(fixed(pattern), true);
      const { failure } = drive([initiator, side(fixed(pattern), false, { s })]);
      expect(failure?.error, pattern).toMatchObject({ code });
      expect(failure?.thrower).toBe(initiator);
      expectDead(initiator);
    }
  });

  it('are not accepted as the key to talk to', () => {
    for (const pattern of KNOWN_RESPONDER) {
      for (const hex of LOW_ORDER) {
        expectCode(() => side(fixed(pattern), true, { rs: fromHex(hex) }), 'LOW_ORDER_ADDRESS');
      }
      for (const hex of NON_CANONICAL) {
        expectCode(() => side(fixed(pattern), true, { rs: fromHex(hex) }), 'NON_CANONICAL_ADDRESS');
      }
    }
  });
});

describe('HandshakeState: authentication', () => {
  const stranger = keyPair(new Uint8Array(32).fill(8));

  it('fails when the pre-shared keys differ, at the message that carries the psk', () => {
    const initiator = side(fixed('IKpsk2'), true);
    const { failure } = drive([initiator, side(fixed('IKpsk2'), false, { psk: new Uint8Array(32).fill(6) })]);
    expect(failure).toMatchObject({ error: { code: 'DECRYPT_FAILED' }, index: 1 });
    expectDead(initiator);
  });

  it('fails when the initiator was given the key of somebody else', () => {
    for (const pattern of KNOWN_RESPONDER) {
      const { failure } = drive([
        side(fixed(pattern), true, { rs: stranger.publicKey }),
        side(fixed(pattern), false),
      ]);
      expect(failure).toMatchObject({ error: { code: 'DECRYPT_FAILED' }, index: 0 });
    }
  });

  it('fails for a peer that shows a static key and does not have its secret', () => {
    for (const pattern of ['X', 'XX', 'IX', 'IK', 'IKpsk2'] as const) {
      const setup = fixed(pattern);
      const thief = side(setup, true, { s: { publicKey: stranger.publicKey, secretKey: setup.secrets[0] } });
      const responder = side(setup, false);
      const { failure } = drive([thief, responder]);
      expect(failure).toMatchObject({ error: { code: 'DECRYPT_FAILED' } });
      // In IX the responder answers first: it is the thief who cannot read the answer, and so never gets the keys.
      expect(failure?.thrower).toBe(pattern === 'IX' ? thief : responder);
    }
    for (const pattern of ['XX', 'IX'] as const) {
      const setup = fixed(pattern);
      const thief = side(setup, false, { s: { publicKey: stranger.publicKey, secretKey: setup.secrets[2] } });
      const initiator = side(setup, true);
      const { failure } = drive([initiator, thief]);
      expect(failure).toMatchObject({ error: { code: 'DECRYPT_FAILED' } });
      expect(failure?.thrower).toBe(initiator);
    }
  });
});

describe('HandshakeState: secrets', () => {
  /** A back end that remembers every buffer that held a secret. */
  function recording(): { crypto: Crypto; secrets: Uint8Array[] } {
    const secrets: Uint8Array[] = [];
    const remember = (secret: Uint8Array): Uint8Array => {
      secrets.push(secret);
      return secret;
    };
    return {
      secrets,
      crypto: {
        name: 'recording',
        randomBytes: length => remember(crypto.randomBytes(length)),
        x25519PublicKey: secretKey => crypto.x25519PublicKey(secretKey),
        x25519: (secretKey, publicKey) => remember(crypto.x25519(secretKey, publicKey)),
        aeadEncrypt: (key, nonce, ad, plaintext) => crypto.aeadEncrypt(remember(key), nonce, ad, plaintext),
        aeadDecrypt: (key, nonce, ad, ciphertext) => crypto.aeadDecrypt(remember(key), nonce, ad, ciphertext),
        aeadSeal: (key, nonce, plaintext, out, offset) => {
          crypto.aeadSeal(remember(key), nonce, plaintext, out, offset);
        },
        aeadOpen: (key, nonce, sealed) => crypto.aeadOpen(remember(key), nonce, sealed),
        hash: (...parts) => {
          const output = crypto.hash(...parts);
          // A part of 128 bytes is the padded key of an HMAC: this computes chaining and cipher keys.
          const isHmac = parts[0]?.length === 128;
          if (isHmac) for (const secret of [parts[0], output]) if (secret) remember(secret);
          return output;
        },
        deriveKey: (key, id, context) => crypto.deriveKey(key, id, context),
        ed25519PublicKey: seed => crypto.ed25519PublicKey(seed),
        ed25519Sign: (message, seed) => crypto.ed25519Sign(message, seed),
        ed25519Verify: (signature, message, publicKey) => crypto.ed25519Verify(signature, message, publicKey),
        equal: (a, b) => crypto.equal(a, b),
        wipe: secret => {
          crypto.wipe(secret);
        },
      },
    };
  }

  const isWiped = (secret: Uint8Array): boolean => secret.every(byte => byte === 0);

  function recorded(pattern: PatternName): { both: [HandshakeState, HandshakeState]; secrets: Uint8Array[] } {
    const { crypto: recorder, secrets } = recording();
    const both = [true, false].map(role => {
      const { e: _, ...options } = optionsOf(fixed(pattern), role);
      return new HandshakeState({ ...options, crypto: recorder });
    }) as [HandshakeState, HandshakeState];
    return { both, secrets };
  }

  it.each(PATTERNS)('%s overwrites all of them when it was split', pattern => {
    const { both, secrets } = recorded(pattern);
    run(both, [utf8('one'), utf8('two'), utf8('three')]);
    expect(secrets.length).toBeGreaterThan(20);
    expect(secrets.every(isWiped)).toBe(false);
    const ciphers = both.flatMap(state => {
      const { send, receive } = state.split();
      return [send, receive];
    });
    expect(secrets.every(isWiped)).toBe(true);
    for (const cipher of ciphers) if (cipher.hasKey()) cipher.encryptWithAd(EMPTY, EMPTY);
    expect(secrets.every(isWiped)).toBe(false);
    for (const cipher of ciphers) cipher.wipe();
    expect(secrets.every(isWiped)).toBe(true);
  });

  it.each(PATTERNS)('%s overwrites all of them when it fails', pattern => {
    const { both, secrets } = recorded(pattern);
    const last = pattern === 'XX' ? 2 : pattern === 'N' || pattern === 'X' ? 0 : 1;
    const { failure } = drive(both, [], (message, index) =>
      index === last ? message.map((byte, i) => (i === message.length - 1 ? byte ^ 1 : byte)) : message,
    );
    expect(failure).toMatchObject({ error: { code: 'DECRYPT_FAILED' } });
    // The one who wrote the last message does not know, and is told to stop.
    for (const state of both) if (state !== failure?.thrower) state.wipe();
    expect(secrets.length).toBeGreaterThan(10);
    expect(secrets.every(isWiped)).toBe(true);
  });

  it('do not show in printed or serialized states and ciphers', () => {
    const setup = fixed('IKpsk2');
    const both = sides(setup);
    run(both);
    const printed = [...both, both[0].split(), both[1].split()].flatMap(value => [
      JSON.stringify(value),
      inspect(value, { depth: null, showHidden: true, getters: true }),
    ]);
    // The secret keys of a fixed setup are 32 times the same small number.
    for (const text of printed) expect(text.replace(/\s/g, '')).not.toMatch(/(?<!\d)([1-5]),\1,\1,/);
    expect(inspect(setup).replace(/\s/g, '')).toMatch(/(?<!\d)([1-5]),\1,\1,/);
  });

  it("never overwrites the static key pair, which is the caller's", () => {
    const setup = fixed('IX');
    const s = keyPair(setup.secrets[0].slice());
    const both: [HandshakeState, HandshakeState] = [side(setup, true, { s }), side(setup, false)];
    run(both);
    both[0].split();
    both[0].wipe();
    expect(s).toEqual(keyPair(setup.secrets[0]));
  });
});

describe('SymmetricState', () => {
  it('hashes a protocol name that is longer than a hash, and pads a shorter one', () => {
    const long = 'Noise_XX_'.padEnd(65, 'x');
    expect(new SymmetricState(crypto, long).getHandshakeHash()).toEqual(crypto.hash(utf8(long)));
    const exact = 'Noise_XX_'.padEnd(64, 'x');
    expect(new SymmetricState(crypto, exact).getHandshakeHash()).toEqual(utf8(exact));
    expect(new SymmetricState(crypto, 'Noise').getHandshakeHash()).toEqual(
      concat(utf8('Noise'), new Uint8Array(59)),
    );
  });
});
