import { describe, expect, it } from 'vitest';
import { createHmac } from 'node:crypto';
import { concat, toHex, utf8, writeUint32 } from '../../../src/core/bytes.js';
import { Lineage, lineageIdOf } from '../../../src/core/lineage.js';
import { CipherState } from '../../../src/core/noise/cipher-state.js';
import { hmac } from '../../../src/core/noise/hmac.js';
import { loadLibsodium } from '../../../src/crypto/libsodium.js';
import { TransportKeys } from '../../../src/core/transport-keys.js';
import { connected } from '../../support/sessions-scene.js';

const crypto = await loadLibsodium();
const OPENER = new Uint8Array(32).fill(1);
const HASH = new Uint8Array(64).fill(9);

function keysWith(exporter: number, hash = 5): TransportKeys {
  const cipher = () => new CipherState(crypto, new Uint8Array(32).fill(3));
  return new TransportKeys({
    localIndex: 1,
    remoteIndex: 2,
    send: cipher(),
    receive: cipher(),
    initiator: true,
    handshakeHash: new Uint8Array(64).fill(hash),
    exporter: new Uint8Array(32).fill(exporter),
    createdAt: 0,
  });
}

const lineage = (exporter = 7, opener = OPENER, id = 1) =>
  new Lineage(crypto, keysWith(exporter), opener, id);

describe('HMAC-BLAKE2b', () => {
  it('is that of node:crypto, for keys of up to one block', () => {
    for (const length of [0, 1, 32, 64, 127, 128]) {
      const key = new Uint8Array(length).fill(length);
      const parts = [utf8('one'), new Uint8Array(200).fill(8), new Uint8Array(0)];
      const expected = createHmac('blake2b512', key)
        .update(concat(...parts))
        .digest('hex');
      expect(toHex(hmac(crypto, key, ...parts)), `${length}`).toBe(expected);
    }
  });
});

describe('a lineage', () => {
  it('is made of the exporter, the key of the opener and the number of the channel, as the protocol says', () => {
    const hmacOf = (key: Uint8Array, ...parts: Uint8Array[]) =>
      createHmac('blake2b512', key)
        .update(concat(...parts))
        .digest();
    const id = new Uint8Array(4);
    writeUint32(id, 0, 0x01020304);
    const key = hmacOf(new Uint8Array(32).fill(7), utf8('secure-websocket/1 channel'), OPENER, id);
    const name = hmacOf(key, utf8('id')).subarray(0, 16);
    const ours = lineage(7, OPENER, 0x01020304);
    expect(ours.id).toBe(name.toString('hex'));
    for (const role of ['opener', 'acceptor'] as const) {
      const proof = hmacOf(key, utf8(role), HASH).subarray(0, 32);
      expect(toHex(ours.encode(role, HASH))).toBe(toHex(concat(name, proof)));
    }
  });

  it('is the same at both ends of a session', () => {
    const { a, b } = connected();
    const [ours, theirs] = [a.sessionWith(b)!.current!, b.sessionWith(a)!.current!];
    expect(ours.exporter).toEqual(theirs.exporter);
    expect(ours.exporter).toHaveLength(32);
    const opener = a.identity.publicKeyBytes;
    const [mine, yours] = [ours, theirs].map(keys => new Lineage(crypto, keys, opener, 5));
    expect(mine!.id).toBe(yours!.id);
    expect(yours!.isProven('opener', HASH, mine!.encode('opener', HASH))).toBe(true);
    // It is no key of that session, and no other session has it.
    const next = connected('b lower');
    expect(next.a.sessionWith(next.b)!.current!.exporter).not.toEqual(ours.exporter);
  });

  it('is another one for another exporter, opener or number', () => {
    const all = [lineage(), lineage(8), lineage(7, new Uint8Array(32).fill(2)), lineage(7, OPENER, 2)];
    expect(new Set(all.map(({ id }) => id)).size).toBe(4);
    for (const other of all.slice(1)) {
      // Neither its whole proof, nor its proof under our name.
      const forged = concat(
        lineage().encode('opener', HASH).subarray(0, 16),
        other.encode('opener', HASH).subarray(16),
      );
      expect(lineage().isProven('opener', HASH, other.encode('opener', HASH))).toBe(false);
      expect(lineage().isProven('opener', HASH, forged)).toBe(false);
    }
  });

  it('is proven for one role in one session only', () => {
    const payload = lineage().encode('opener', HASH);
    expect(lineage().isProven('opener', HASH, payload)).toBe(true);
    expect(lineage().isProven('acceptor', HASH, payload)).toBe(false);
    expect(lineage().isProven('opener', new Uint8Array(64).fill(8), payload)).toBe(false);
  });

  it('is not proven by anything else, of whatever length', () => {
    const payload = lineage().encode('acceptor', HASH);
    for (let i = 0; i < payload.length * 8; i++) {
      const changed = payload.slice();
      changed[i >> 3]! ^= 1 << (i & 7);
      expect(lineage().isProven('acceptor', HASH, changed)).toBe(false);
    }
    for (const length of [0, 16, 47]) {
      expect(lineage().isProven('acceptor', HASH, payload.subarray(0, length))).toBe(false);
    }
    expect(lineage().isProven('acceptor', HASH, concat(payload, Uint8Array.of(0)))).toBe(false);
  });

  it('outlives the keys of its session, and nothing of it is left once it is wiped', () => {
    const keys = keysWith(7);
    const ours = new Lineage(crypto, keys, OPENER, 1);
    const payload = ours.encode('opener', HASH);
    keys.wipe();
    expect([...keys.exporter]).toEqual(Array(32).fill(0));
    expect(ours.encode('opener', HASH)).toEqual(payload);
    ours.wipe();
    expect(ours.isProven('opener', HASH, payload)).toBe(false);
  });

  it('has an id that can be read from its payload, and from nothing of another length', () => {
    const ours = lineage();
    const payload = ours.encode('opener', HASH);
    expect(lineageIdOf(payload)).toBe(ours.id);
    for (const other of [payload.subarray(1), concat(payload, payload), new Uint8Array(0)]) {
      expect(lineageIdOf(other)).toBeUndefined();
    }
  });
});
