import { createPublicKey, verify } from 'node:crypto';
import { inspect } from 'node:util';
import { Console } from 'node:console';
import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { loadCrypto } from '#crypto';
import { parseAddress } from '../../../src/core/address.js';
import { fromHex, toBase64Url, toHex, utf8 } from '../../../src/core/bytes.js';
import { Identity } from '../../../src/core/identity.js';
import { expectCode } from '../../support/errors.js';

const crypto = await loadCrypto();

// Made with Python's hashlib.blake2b (salt = subkey id, person = context) and node:crypto, not with this library.
const SEED = fromHex('000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f');
const X25519_SECRET = '720f0e642e14a8f24029a57fa5805c796c731a81ea4c517c51cd11e40939826e';
const ED25519_SEED = '587466c941c5d642e7db8275e71818e1dbd39d395ba2b4f73394f7d4e7f1ca85';
const ADDRESS = '24757d8422e2a038ffe40b20e71b850562a6068a075477b89974cd2cabcd775c';
const SIGNING_KEY = '2c98f90b00a87e56d9a278e6c94b0bb40b60088c1f6f1dade312809542feb2e0';

describe('the identity of a seed', () => {
  it('has the keys of the known answer', async () => {
    const identity = await Identity.fromSeed(SEED);
    expect(identity.publicKey).toBe(ADDRESS);
    expect(identity.signingKey).toBe(SIGNING_KEY);
    expect(toHex(identity.publicKeyBytes)).toBe(ADDRESS);
    expect(toHex(identity.keyPair.publicKey)).toBe(ADDRESS);
    expect(toHex(identity.keyPair.secretKey)).toBe(X25519_SECRET);
    expect(identity.exportSeed()).toEqual(SEED);
    expect(identity.crypto).toBe(crypto);
    expect(new Identity(crypto, SEED).publicKey).toBe(ADDRESS);
  });

  it('signs with Ed25519, as node:crypto verifies', async () => {
    const identity = await Identity.fromSeed(SEED);
    const message = utf8('device information');
    const signature = identity.sign(message);
    const spki = Buffer.concat([
      Buffer.from('302a300506032b6570032100', 'hex'),
      fromHex(identity.signingKey),
    ]);
    const key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
    expect(verify(null, message, key, signature)).toBe(true);
    expect(verify(null, utf8('device informatiom'), key, signature)).toBe(false);
    expect(crypto.ed25519Verify(signature, message, fromHex(identity.signingKey))).toBe(true);
  });

  it('does not depend on what happens to the seed, the copies or the public key afterwards', () => {
    const seed = SEED.slice();
    const identity = new Identity(crypto, seed);
    seed.fill(0);
    identity.exportSeed().fill(0);
    identity.publicKeyBytes.fill(0);
    expect(identity.exportSeed()).toEqual(SEED);
    expect(toHex(identity.publicKeyBytes)).toBe(ADDRESS);
  });

  it('is refused unless it is 32 bytes', async () => {
    for (const length of [0, 16, 31, 33, 64]) {
      expectCode(() => new Identity(crypto, new Uint8Array(length).fill(1)), 'INVALID_SEED');
    }
    for (const seed of ['0'.repeat(32), '0'.repeat(64), undefined, null, {}, [1]]) {
      expectCode(() => new Identity(crypto, seed as Uint8Array), 'INVALID_SEED');
    }
    await expect(Identity.fromSeed(new Uint8Array(31).fill(1))).rejects.toMatchObject({
      code: 'INVALID_SEED',
    });
  });

  it('is refused when it was wiped', () => {
    expectCode(() => new Identity(crypto, new Uint8Array(32)), 'INVALID_SEED');
  });
});

describe('a generated identity', () => {
  it('is new each time, has a valid address and comes back from its seed', async () => {
    const [a, b] = await Promise.all([Identity.generate(), Identity.generate(crypto)]);
    expect(a.publicKey).not.toBe(b.publicKey);
    expect(parseAddress(a.publicKey)).toEqual(a.publicKeyBytes);
    expect((await Identity.fromSeed(a.exportSeed())).publicKey).toBe(a.publicKey);
  });

  it('takes its seed from the back end it was given, and wipes its copy', async () => {
    let handedOut: Uint8Array | undefined;
    const identity = await Identity.generate(
      Object.assign(Object.create(crypto) as typeof crypto, {
        randomBytes: () => (handedOut = SEED.slice()),
        x25519PublicKey: (key: Uint8Array) => crypto.x25519PublicKey(key),
        deriveKey: (key: Uint8Array, id: number, context: string) => crypto.deriveKey(key, id, context),
        ed25519PublicKey: (key: Uint8Array) => crypto.ed25519PublicKey(key),
        equal: (a: Uint8Array, c: Uint8Array) => crypto.equal(a, c),
        wipe: (secret: Uint8Array) => {
          crypto.wipe(secret);
        },
      }),
    );
    expect(identity.publicKey).toBe(ADDRESS);
    expect(handedOut).toEqual(new Uint8Array(32));
  });
});

describe('secrets of an identity', () => {
  const identity = new Identity(crypto, SEED);

  /** The spellings of the secrets that a printer of objects might use, without white space and quotes. */
  const spellings = [SEED, fromHex(X25519_SECRET), fromHex(ED25519_SEED)].flatMap(secret => {
    const numbers = [...secret.slice(1, 5)];
    return [
      toHex(secret).slice(2, 18),
      toBase64Url(secret).slice(0, 12),
      numbers.join(','),
      numbers.map((n, i) => `${i + 1}:${n}`).join(','),
    ];
  });

  function expectNoSecret(text: string): void {
    const compact = text.replace(/[\s"']/g, '');
    for (const spelling of spellings) expect(compact).not.toContain(spelling);
  }

  function logged(...values: unknown[]): string {
    let text = '';
    const stream = new Writable({
      write(chunk: Buffer, _encoding, done) {
        text += chunk.toString();
        done();
      },
    });
    const console = new Console(stream);
    console.log(...values);
    console.dir(values, { depth: null, showHidden: true });
    console.table(values);
    return text;
  }

  it('would be found by the search below if they were there', () => {
    const leak = { seed: SEED, secretKey: identity.keyPair.secretKey };
    expect(() => {
      expectNoSecret(JSON.stringify(leak));
    }).toThrow();
    expect(() => {
      expectNoSecret(inspect(leak));
    }).toThrow();
    expect(() => {
      expectNoSecret(logged(leak));
    }).toThrow();
  });

  for (const [name, value] of [
    ['the identity', identity],
    ['its key pair', identity.keyPair],
    ['an object that holds both', { options: { identity, s: identity.keyPair } }],
  ] as const) {
    it(`are not in what JSON.stringify makes of ${name}`, () => {
      const json = JSON.stringify(value);
      expectNoSecret(json);
      expect(json).toContain(ADDRESS);
    });

    it(`are not in what util.inspect shows of ${name}`, () => {
      const text = inspect(value, { depth: null, showHidden: true, getters: true });
      expectNoSecret(text);
      expect(text).toContain(ADDRESS);
      expectNoSecret(inspect(value, { depth: null, showHidden: true, customInspect: false }));
    });

    it(`are not in what the console prints of ${name}`, () => {
      const text = logged(value);
      expectNoSecret(text);
      expect(text).toContain(ADDRESS);
    });

    it(`are not in copies, clones and own properties of ${name}`, () => {
      const copy = Object.assign({}, value);
      expectNoSecret(JSON.stringify(copy));
      expectNoSecret(inspect(copy, { depth: null, showHidden: true }));
      expectNoSecret(inspect(structuredClone(value), { depth: null, showHidden: true }));
      expectNoSecret(Reflect.ownKeys(value).map(String).join());
      for (const key in value) expect(['publicKey', 'signingKey', 'options']).toContain(key);
    });
  }

  it('are not in error messages', () => {
    const error = expectCode(() => new Identity(crypto, identity.exportSeed().subarray(1)), 'INVALID_SEED');
    expectNoSecret(inspect(error));
  });
});
