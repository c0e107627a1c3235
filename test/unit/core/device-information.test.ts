import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, fromBase64Url, fromUtf8, toBase64Url, utf8 } from '../../../src/core/bytes.js';
import { DEVICE_INFORMATION_LIFETIME } from '../../../src/core/constants.js';
import {
  type DeviceInformation,
  signDeviceInformation,
  type SignedDeviceInformation,
  verifyDeviceInformation,
} from '../../../src/core/device-information.js';
import { Identity } from '../../../src/core/identity.js';
import { loadLibsodium } from '../../../src/crypto/libsodium.js';
import { expectCode } from '../../support/errors.js';
import { bytes, parsesOrRefuses, runs, SLOW, tamperings } from '../../support/fuzz.js';

const crypto = await loadLibsodium();
const alice = new Identity(crypto, new Uint8Array(32).fill(1));
const mallory = new Identity(crypto, new Uint8Array(32).fill(2));
const NOW = 1_750_000_000_000;
const ADDRESSES = ['wss://relay.example', 'ws://127.0.0.1:8080'];
const LABEL = utf8('secure-websocket/1 device information\0');

const signed = signDeviceInformation(
  alice,
  { userId: 'alice', deviceId: 'laptop', addresses: ADDRESSES },
  NOW,
);

function verify(what: unknown, changes: { boxKey?: string; now?: number; stated?: number } = {}) {
  const { boxKey = alice.publicKey, now = NOW, stated = NOW } = changes;
  return verifyDeviceInformation(crypto, what, boxKey, now, stated);
}

/** Any JSON, signed as device information is: what a hostile holder of a key can make. */
function sign(value: unknown, signer = alice, label = LABEL): SignedDeviceInformation {
  const information = value instanceof Uint8Array ? value : utf8(JSON.stringify(value));
  return {
    information: toBase64Url(information),
    signature: toBase64Url(signer.sign(concat(label, information))),
  };
}

const GOOD: DeviceInformation = {
  userId: '',
  deviceId: '',
  signingKey: alice.signingKey,
  boxKey: alice.publicKey,
  addresses: [],
  issued: NOW,
  expires: NOW + 1,
};

describe('signDeviceInformation', () => {
  it('says who it is, where it is, and until when', () => {
    expect(verify(signed)).toEqual({
      userId: 'alice',
      deviceId: 'laptop',
      signingKey: alice.signingKey,
      boxKey: alice.publicKey,
      addresses: ADDRESSES,
      issued: NOW,
      expires: NOW + DEVICE_INFORMATION_LIFETIME,
    });
  });

  it('signs the label, a zero byte and the exact JSON text', () => {
    const information = fromBase64Url(signed.information)!;
    expect(fromUtf8(information)).toBe(
      `{"userId":"alice","deviceId":"laptop","signingKey":"${alice.signingKey}","boxKey":"${alice.publicKey}",` +
        `"addresses":["wss://relay.example","ws://127.0.0.1:8080"],"issued":${NOW},"expires":${NOW + 2_592_000_000}}`,
    );
    expect(fromBase64Url(signed.signature)).toEqual(alice.sign(concat(LABEL, information)));
  });

  it('leaves empty what the application does not tell', () => {
    expect(verify(signDeviceInformation(alice, { addresses: [] }, NOW))).toMatchObject({
      userId: '',
      deviceId: '',
    });
  });

  it('takes names of 256 characters and 32 addresses, and no more', () => {
    const what = {
      userId: 'ü'.repeat(256),
      deviceId: '\u0000'.repeat(256),
      addresses: Array<string>(32).fill('x'.repeat(256)),
    };
    expect(verify(signDeviceInformation(alice, what, NOW))).toMatchObject(what);
    for (const excess of [
      { userId: 'u'.repeat(257) },
      { deviceId: 'd'.repeat(257) },
      { addresses: Array<string>(33).fill('x') },
      { addresses: ['x'.repeat(257)] },
      { userId: 5 as unknown as string },
    ]) {
      expectCode(() => signDeviceInformation(alice, { ...what, ...excess }, NOW), 'INVALID_ARGUMENT');
    }
  });
});

describe('verifyDeviceInformation', () => {
  it('takes what the holder of both keys has signed', () => {
    expect(verify(sign(GOOD))).toEqual(GOOD);
    expect(verify(sign({ ...GOOD, later: true }))).toEqual(GOOD);
  });

  it('refuses what another has signed, be it with a right name', () => {
    const error = expectCode(() => verify(sign(GOOD, mallory)), 'DEVICE_INFORMATION_INVALID');
    expect(error.message).toContain('signature');
  });

  it('refuses what another has signed for the same box key: whoever came with that key did not', () => {
    // Signed by its own signing key, but of a box key that the handshake did not prove.
    const stolen = { ...GOOD, signingKey: mallory.signingKey, boxKey: mallory.publicKey };
    expectCode(() => verify(sign(stolen, mallory)), 'DEVICE_INFORMATION_INVALID');
    expectCode(() => verify(signed, { boxKey: mallory.publicKey }), 'DEVICE_INFORMATION_INVALID');
  });

  it('refuses what was signed for something else', () => {
    for (const label of [new Uint8Array(0), utf8('secure-websocket/1 device information'), utf8('other\0')]) {
      expectCode(() => verify(sign(GOOD, alice, label)), 'DEVICE_INFORMATION_INVALID');
    }
  });

  it('refuses every field that was changed after it was signed', () => {
    const changes: Partial<DeviceInformation>[] = [
      { userId: 'root' },
      { deviceId: 'other' },
      { addresses: ['wss://mallory.example'] },
      { issued: NOW - 1 },
      { expires: NOW + 2 },
      { signingKey: mallory.signingKey },
      { boxKey: mallory.publicKey },
    ];
    const { signature } = sign(GOOD);
    for (const change of changes) {
      const { information } = sign({ ...GOOD, ...change });
      const error = expectCode(() => verify({ information, signature }), 'DEVICE_INFORMATION_INVALID');
      expect(error.message).toContain('signature');
    }
  });

  it('refuses every flipped bit of the information and of the signature', SLOW, () => {
    const small = sign(GOOD);
    for (const field of ['information', 'signature'] as const) {
      const original = fromBase64Url(small[field])!;
      for (let i = 0; i < original.length; i++) {
        const changed = original.slice();
        changed[i]! ^= 1 << (i % 8);
        expectCode(() => verify({ ...small, [field]: toBase64Url(changed) }), 'DEVICE_INFORMATION_INVALID');
      }
    }
  });

  it.each([
    ['nothing', undefined],
    ['null', null],
    ['a number', 1],
    ['a string', 'x'],
    ['an empty object', {}],
    ['no signature', { information: signed.information }],
    ['no information', { signature: signed.signature }],
    ['an object as information', { ...signed, information: {} }],
    ['information that is not base64url', { ...signed, information: `${signed.information}=` }],
    ['a signature that is not base64url', { ...signed, signature: '+/' }],
    ['an empty signature', { ...signed, signature: '' }],
    ['a signature of 63 bytes', { ...signed, signature: toBase64Url(new Uint8Array(63)) }],
    ['a signature of 65 bytes', { ...signed, signature: toBase64Url(new Uint8Array(65)) }],
    ['information that is not UTF-8', sign(Uint8Array.of(0xff))],
    ['information that is not JSON', sign(utf8('{'))],
    ['information that is empty', sign(new Uint8Array(0))],
    ['information that is null', sign(null)],
    ['information that is a number', sign(1)],
    ['information that is a string', sign('x')],
    ['information that is a list', sign([])],
    ['no userId', sign({ ...GOOD, userId: undefined })],
    ['a userId that is a number', sign({ ...GOOD, userId: 1 })],
    ['a userId that is too long', sign({ ...GOOD, userId: 'x'.repeat(257) })],
    ['no deviceId', sign({ ...GOOD, deviceId: undefined })],
    ['a deviceId that is too long', sign({ ...GOOD, deviceId: 'x'.repeat(257) })],
    ['no signing key', sign({ ...GOOD, signingKey: undefined })],
    ['a signing key in upper case', sign({ ...GOOD, signingKey: GOOD.signingKey.toUpperCase() })],
    ['a signing key that is short', sign({ ...GOOD, signingKey: GOOD.signingKey.slice(2) })],
    ['a signing key of low order', sign({ ...GOOD, signingKey: '00'.repeat(32) })],
    ['no box key', sign({ ...GOOD, boxKey: undefined })],
    ['a box key in upper case', sign({ ...GOOD, boxKey: GOOD.boxKey.toUpperCase() })],
    ['no addresses', sign({ ...GOOD, addresses: undefined })],
    ['addresses that are no list', sign({ ...GOOD, addresses: 'wss://x' })],
    ['an address that is no string', sign({ ...GOOD, addresses: [1] })],
    ['an address that is too long', sign({ ...GOOD, addresses: ['x'.repeat(257)] })],
    ['too many addresses', sign({ ...GOOD, addresses: Array(33).fill('x') })],
    ['no issue time', sign({ ...GOOD, issued: undefined })],
    ['a broken issue time', sign({ ...GOOD, issued: 1.5 })],
    ['an issue time that is a string', sign({ ...GOOD, issued: '1' })],
    ['no expiry time', sign({ ...GOOD, expires: null })],
    ['an expiry time beyond what a date can be', sign({ ...GOOD, expires: 8.64e15 + 1 })],
    ['an expiry time that is not after the issue time', sign({ ...GOOD, expires: GOOD.issued })],
  ])('refuses %s', (_, what) => {
    expectCode(() => verify(what), 'DEVICE_INFORMATION_INVALID');
  });

  it('takes times at the very ends of what a date can be', () => {
    expect(verify(sign({ ...GOOD, issued: -8.64e15, expires: 8.64e15 }))).toMatchObject({ expires: 8.64e15 });
    const past = sign({ ...GOOD, issued: -8.64e15, expires: -8.64e15 + 1 });
    expectCode(() => verify(past), 'DEVICE_INFORMATION_EXPIRED');
  });

  describe('expiry', () => {
    const AFTER = NOW + DEVICE_INFORMATION_LIFETIME;

    it('is when both clocks say so', () => {
      const error = expectCode(
        () => verify(signed, { now: AFTER, stated: AFTER }),
        'DEVICE_INFORMATION_EXPIRED',
      );
      expect(error.message).toContain(new Date(AFTER).toISOString());
      expectCode(
        () => verify(signed, { now: AFTER + 1e12, stated: AFTER + 1 }),
        'DEVICE_INFORMATION_EXPIRED',
      );
      expect(verify(signed, { now: AFTER - 1, stated: AFTER - 1 }).userId).toBe('alice');
    });

    it('is not when only one clock says so: a wrong clock must lock nobody out', () => {
      expect(verify(signed, { now: AFTER + 1e12, stated: NOW }).userId).toBe('alice');
      expect(verify(signed, { now: NOW, stated: AFTER + 1e12 }).userId).toBe('alice');
      expect(verify(signed, { now: 0, stated: 0 }).userId).toBe('alice');
    });

    it('is when the sender does not say what time it has', () => {
      expectCode(() => verify(signed, { now: AFTER, stated: Infinity }), 'DEVICE_INFORMATION_EXPIRED');
    });

    it('is told only of what is authentic', () => {
      const forged = sign(GOOD, mallory);
      expectCode(() => verify(forged, { now: 1e15, stated: 1e15 }), 'DEVICE_INFORMATION_INVALID');
    });
  });

  it('takes or refuses whatever there is, signed or not', SLOW, () => {
    const values = fc.oneof(
      fc.anything(),
      fc.record({ information: bytes(100).map(toBase64Url), signature: bytes(64, 64).map(toBase64Url) }),
      fc.json().map(text => sign(utf8(text))),
      tamperings.map(tamper => sign(tamper(utf8(JSON.stringify(GOOD))))),
    );
    fc.assert(
      fc.property(values, value => {
        parsesOrRefuses(() => verify(value), 'DEVICE_INFORMATION_INVALID', 'DEVICE_INFORMATION_EXPIRED');
      }),
      runs(300),
    );
  });
});
