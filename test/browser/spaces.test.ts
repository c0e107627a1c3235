// Spaces with the stack of a browser, through the relay of the services.
import { afterEach, describe, expect, inject, it } from 'vitest';
import {
  ClientSecureWebSocket,
  type ClientSecureWebSocketOptions,
  Identity,
  inviteToSpace,
} from '../../src/index.js';

const { relay, relayKey } = inject('services');

const sockets: ClientSecureWebSocket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.close();
});

interface Heard {
  readonly data: unknown;
  readonly from: string;
}

/** A member of a space, and what it hears. */
class Member {
  readonly heard: Heard[] = [];
  readonly events: string[] = [];
  #changed: (() => void) | undefined;

  constructor(readonly socket: ClientSecureWebSocket) {
    socket.binaryType = 'arraybuffer';
    socket.onmessage = ({ data, from }) => {
      this.heard.push({ data: data as unknown, from });
      this.#changed?.();
    };
    for (const type of ['memberjoin', 'memberleave', 'keyswiped']) {
      socket.addEventListener(type, () => {
        this.events.push(type);
        this.#changed?.();
      });
    }
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>(resolve => {
        this.#changed = resolve;
      });
    }
  }
}

async function enter(name: string, options: ClientSecureWebSocketOptions = {}): Promise<Member> {
  const identity = await Identity.generate();
  const url = `${relay}/space/${encodeURIComponent(name)}`;
  const socket = new ClientSecureWebSocket(url, [], { identity, serverKey: relayKey, ...options });
  sockets.push(socket);
  const member = new Member(socket);
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = ({ error }) => {
      reject(error);
    };
  });
  return member;
}

/** Other engines use the same relay at the same time. */
const unusedName = (): string => `raum ${crypto.randomUUID()} ✓`;

describe('a space, in a browser', () => {
  it.each([
    ['wrapped keys', {}],
    ['sender keys', { senderKeyMembers: 2 }],
  ])('carries text and bytes to everybody, with %s', async (_, space) => {
    const name = unusedName();
    const [alice, bob, carol] = [
      await enter(name, { space }),
      await enter(name, { space }),
      await enter(name, { space }),
    ] as [Member, Member, Member];
    expect(alice.socket.space).toBe(name);
    for (const member of [alice, bob]) await member.until(() => member.socket.members.length === 3);
    const large = new Uint8Array(600_000);
    for (let at = 0; at < large.length; at += 65_536) crypto.getRandomValues(large.subarray(at, at + 65_536));
    alice.socket.send('grüß euch');
    alice.socket.send(new Blob([large]));
    alice.socket.send(Uint8Array.of(1, 2));
    for (const hearer of [bob, carol]) {
      await hearer.until(() => hearer.heard.length === 3);
      const [text, blob, bytes] = hearer.heard as [Heard, Heard, Heard];
      expect(text).toEqual({ data: 'grüß euch', from: alice.socket.publicKey });
      const received = new Uint8Array(blob.data as ArrayBuffer);
      // Half a million elements are too many for `toEqual`.
      expect(received).toHaveLength(large.length);
      expect(received.every((byte, at) => byte === large[at])).toBe(true);
      expect(new Uint8Array(bytes.data as ArrayBuffer)).toEqual(Uint8Array.of(1, 2));
    }
    bob.socket.close();
    await carol.until(() => carol.events.includes('memberleave'));
    carol.socket.send('without him');
    await alice.until(() => alice.heard.length === 1);
    expect(alice.heard).toEqual([{ data: 'without him', from: carol.socket.publicKey }]);
    expect(bob.heard).toHaveLength(3);
    expect(alice.socket.members).toHaveLength(2);
  });

  it('is for those whom an admin has invited', async () => {
    const name = unusedName();
    const [admin, guest] = [await Identity.generate(), await Identity.generate()];
    const admins = [admin.signingKey];
    const invitation = inviteToSpace(admin, { space: name, publicKey: guest.publicKey });
    const alice = await enter(name, { identity: admin, space: { admins } });
    const mallory = await enter(name, { space: { admins } });
    const bob = await enter(name, { identity: guest, space: { admins, invitation } });
    for (const member of [alice, mallory]) await member.until(() => member.socket.members.length === 3);
    alice.socket.send('for members');
    await bob.until(() => bob.heard.length === 1);
    bob.socket.send('thanks');
    await alice.until(() => alice.heard.length === 1);
    expect(mallory.heard).toEqual([]);
    const admitted = mallory.socket.members.filter(member => member.admitted).map(({ id }) => id);
    expect(admitted.sort()).toEqual([alice.socket.memberId, bob.socket.memberId].sort());
  });

  it('lets two sockets of one identity talk', async () => {
    const name = unusedName();
    const identity = await Identity.generate();
    const [left, right] = [await enter(name, { identity }), await enter(name, { identity })];
    await left.until(() => left.socket.members.length === 2);
    left.socket.send('to myself');
    await right.until(() => right.heard.length === 1);
    expect(right.heard).toEqual([{ data: 'to myself', from: identity.publicKey }]);
  });
});
