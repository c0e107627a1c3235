import Noise from 'noise-handshake';
import Cipher from 'noise-handshake/cipher';
import { describe, expect, it } from 'vitest';
import { toHex, utf8 } from '../../../src/core/bytes.js';
import type { KeyPair } from '../../../src/core/crypto.js';
import { HandshakeState } from '../../../src/core/noise/handshake-state.js';
import { loadLibsodium } from '../../../src/crypto/libsodium.js';
import { expectCode } from '../../support/errors.js';

// `noise-handshake` is an independent implementation over another build of libsodium. It wipes buffers that it was
// given, so it gets copies.

const crypto = await loadLibsodium();
const prologue = utf8('interoperability');

function generateKeyPair(): KeyPair {
  const secretKey = crypto.randomBytes(32);
  return { secretKey, publicKey: crypto.x25519PublicKey(secretKey) };
}

const copy = (bytes: Uint8Array): Uint8Array => Uint8Array.from(bytes);

interface Side {
  write(payload: Uint8Array): Uint8Array;
  read(message: Uint8Array): Uint8Array;
}

function start(pattern: 'XX' | 'IK', weInitiate: boolean, theirPrologue = prologue) {
  const s = generateKeyPair();
  const theirs = new Noise(pattern, !weInitiate);
  const theirPublicKey = copy(theirs.s.publicKey);
  const ours = new HandshakeState({
    crypto,
    pattern,
    initiator: weInitiate,
    prologue,
    s,
    ...(pattern === 'IK' && weInitiate ? { rs: theirPublicKey } : {}),
  });
  theirs.initialise(copy(theirPrologue), pattern === 'IK' && !weInitiate ? copy(s.publicKey) : undefined);
  const us: Side = {
    write: payload => ours.writeMessage(payload),
    read: message => ours.readMessage(message),
  };
  const them: Side = {
    write: payload => copy(theirs.send(copy(payload))),
    read: message => copy(theirs.recv(copy(message))),
  };
  return { s, theirs, theirPublicKey, ours, writers: weInitiate ? [us, them] : [them, us] };
}

for (const pattern of ['XX', 'IK'] as const) {
  const messages = { XX: 3, IK: 2 }[pattern];
  for (const weInitiate of [true, false]) {
    describe(`Noise ${pattern} with noise-handshake, we are the ${weInitiate ? 'initiator' : 'responder'}`, () => {
      it.each([0, 1, 100, 60_000])('agrees on everything with payloads of %i bytes', size => {
        const { s, theirs, theirPublicKey, ours, writers } = start(pattern, weInitiate);
        for (let i = 0; i < messages; i++) {
          const payload = new Uint8Array(size).fill(i + 1);
          const [writer, reader] = [writers[i % 2], writers[(i + 1) % 2]];
          const read = writer && reader?.read(writer.write(payload));
          expect(read && toHex(read)).toBe(toHex(payload));
        }

        expect(ours.isComplete).toBe(true);
        expect(theirs.complete).toBe(true);
        expect(ours.handshakeHash).toEqual(copy(theirs.hash));
        expect(ours.rs).toEqual(theirPublicKey);
        expect(copy(theirs.rs)).toEqual(s.publicKey);

        const { send, receive } = ours.split();
        const [theirSend, theirReceive] = [new Cipher(theirs.tx), new Cipher(theirs.rx)];
        const ad = utf8('associated data');
        for (let i = 0; i < 300; i++) {
          const there = new Uint8Array(i % 50).fill(i);
          const back = new Uint8Array((i * 7) % 50).fill(i + 1);
          expect(copy(theirReceive.decrypt(send.encryptWithAd(ad, there), ad))).toEqual(there);
          expect(receive.decryptWithAd(ad, copy(theirSend.encrypt(back, ad)))).toEqual(back);
        }
      });

      it('fails on both sides when the prologues differ', () => {
        const { ours, writers } = start(pattern, weInitiate, utf8('something else'));
        const [initiator, responder] = writers as [Side, Side];
        const failing = (): void => {
          responder.read(initiator.write(utf8('1')));
          initiator.read(responder.write(utf8('2')));
        };
        // IK fails at the first message, XX at the second: at the one who reads it.
        const weRead = pattern === 'IK' ? !weInitiate : weInitiate;
        if (weRead) expectCode(failing, 'DECRYPT_FAILED');
        else expect(failing).toThrow();
        expect(ours.isComplete).toBe(false);
      });
    });
  }
}
