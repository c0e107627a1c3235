// A client that keeps every key that it was ever given, and a relay that keeps whatever anybody sends, work together.
import { afterEach, describe, expect, it, vi } from 'vitest';
import { fromHex } from '../../src/core/bytes.js';
import { decodePacket, type Packet } from '../../src/core/space/key-packet.js';
import { Membership } from '../../src/core/space/membership.js';
import { ReceivedChain } from '../../src/core/space/sender-key.js';
import { decodeSpaceMessage } from '../../src/core/space/space-message.js';
import { openWrapped } from '../../src/core/space/wrap.js';
import { loadLibsodium } from '../../src/crypto/libsodium.js';
import { SpaceMessages } from '../../src/relay/spaces/space-messages.js';
import type { ClientSecureWebSocketOptions } from '../../src/socket/client-secure-web-socket-options.js';
import { FaultyProxy } from '../support/faulty-proxy.js';
import { freePort } from '../support/free-port.js';
import { relayScene } from '../support/relay-scene.js';
import { enter, type Participant, together } from '../support/space-scene.js';

vi.setConfig({ testTimeout: 30_000 });

const scene = relayScene();
const crypto = await loadLibsodium();

afterEach(() => {
  vi.restoreAllMocks();
});

interface Upload {
  readonly message: Uint8Array;
  readonly wraps: readonly Uint8Array[];
}

/** Watches all members and the relay of this process. */
class Attacker {
  readonly #keys = new Map<string, (Packet & { type: 'key' })[]>();
  readonly #uploads: Upload[] = [];

  constructor() {
    const keys = this.#keys;
    const uploads = this.#uploads;
    // eslint-disable-next-line @typescript-eslint/unbound-method -- called with its own `this`
    const { peerMessage } = Membership.prototype;
    vi.spyOn(Membership.prototype, 'peerMessage').mockImplementation(function (this: Membership, ...args) {
      const packet = decodePacket(args[1].slice());
      if (packet.type === 'key') keys.set(this.id, [...(keys.get(this.id) ?? []), packet]);
      peerMessage.apply(this, args);
    });
    // eslint-disable-next-line @typescript-eslint/unbound-method -- called with its own `this`
    const { say } = SpaceMessages.prototype;
    vi.spyOn(SpaceMessages.prototype, 'say').mockImplementation(function (this: SpaceMessages, ...args) {
      const { multicast } = args[0];
      const numbers = Array.from({ length: 100 }, (_, number) => number);
      const wraps = numbers.flatMap(number => multicast.wrapFor(number)?.slice() ?? []);
      uploads.push({ message: multicast.message.slice(), wraps });
      say.apply(this, args);
    });
  }

  /** What this member can read, with all keys that it was ever given, of what `sender` has ever sent. */
  read(member: string, sender: Participant): string[] {
    const place = { relayKey: fromHex(sender.socket.serverPublicKey), name: 'room' };
    const senderKey = fromHex(sender.socket.publicKey);
    const texts: string[] = [];
    for (const { message, wraps } of this.#uploads) {
      const decoded = decodeSpaceMessage(message);
      for (const { key, signingKey } of this.#keys.get(member) ?? []) {
        const opened = signingKey
          ? [new ReceivedChain(crypto, key, signingKey).open(place, senderKey, decoded)]
          : wraps.map(wrap => openWrapped(crypto, place, senderKey, decoded, wrap, key));
        // Behind the header of the record, the opcode and the length.
        for (const record of opened) if (record) texts.push(Buffer.from(record.subarray(23)).toString());
      }
    }
    return texts;
  }
}

describe.each([
  ['wrapped keys', {}],
  ['sender keys', { senderKeyMembers: 2 }],
])('a modified client in a space with %s', (_, space) => {
  it('reads nothing from before it came, and nothing from after it left', async () => {
    const relay = await scene.relay();
    const attacker = new Attacker();
    const options: ClientSecureWebSocketOptions = { space };
    const [alice, bob] = [await enter(scene, relay, options), await enter(scene, relay, options)];
    await together(alice, bob);
    alice.socket.send('before');
    expect(await bob.take(1)).toEqual(['before']);
    const carol = await enter(scene, relay, options);
    await together(alice, bob, carol);
    alice.socket.send('between');
    for (const each of [bob, carol]) expect(await each.take(1)).toEqual(['between']);
    const { id } = carol;
    await carol.leave();
    expect(await alice.next('memberleave')).toEqual({ id, detail: 'left' });
    alice.socket.send('after');
    expect(await bob.take(1)).toEqual(['after']);
    expect(attacker.read(id, alice)).toEqual(['between']);
    // It is a fair test: whoever may read can.
    expect(attacker.read(bob.id, alice)).toEqual(['before', 'between', 'after']);
    expect(bob.messages.pending).toEqual([]);
  });

  it('reads nothing from after it was given up', async () => {
    const port = await freePort();
    const proxy = await FaultyProxy.start(port);
    scene.after(() => proxy.close());
    const url = `ws://127.0.0.1:${String(proxy.port)}`;
    const relay = `ws://127.0.0.1:${String(port)}`;
    await scene.relay({ port, addresses: [url, relay], spaces: { awayTime: 50 } });
    const attacker = new Attacker();
    const alice = await enter(scene, relay, { space });
    const bob = await enter(scene, relay, { space });
    const carol = await enter(scene, url, { space, reconnect: { minDelay: 0, maxDelay: 50 } });
    await together(alice, bob, carol);
    alice.socket.send('to three');
    for (const each of [bob, carol]) expect(await each.take(1)).toEqual(['to three']);
    const { id } = carol;
    proxy.refusing = true;
    proxy.cut();
    expect(await alice.next('memberleave')).toEqual({ id, detail: 'gone' });
    alice.socket.send('to two');
    expect(await bob.take(1)).toEqual(['to two']);
    expect(attacker.read(id, alice)).toEqual(['to three']);
    expect(attacker.read(bob.id, alice)).toEqual(['to three', 'to two']);
  });
});
