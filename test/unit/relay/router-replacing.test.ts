import { describe, expect, it } from 'vitest';
import { REPLACED } from '../../../src/core/constants.js';
import {
  encodeEnvelope,
  encodeListen,
  ENVELOPE_HEADER_LENGTH,
  NoticeReason,
  peerAddress,
} from '../../../src/core/frame.js';
import { Router, type RouterOptions, type RouterPort } from '../../../src/relay/router.js';
import { FakeConnection } from '../../support/fake-connection.js';

const keyOf = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);
const ALICE = keyOf(0xa1);
const BOB = keyOf(0xb0);
const CAROL = keyOf(0xca);
const BODY = Uint8Array.of(1, 2, 3, 4, 5);
const BOBS_ID = 0xfedcba98;

interface Client {
  readonly id: number;
  /** Exact peer address. */
  readonly address: Uint8Array;
  readonly connection: FakeConnection;
  readonly port: RouterPort;
}

function setUp(options: Partial<RouterOptions> = {}): {
  router: Router;
  join: (key: Uint8Array, wanted?: number, listening?: boolean) => Client;
} {
  let counter = 0;
  const router = new Router({ randomUint32: () => ++counter, ...options });
  const join = (key: Uint8Array, wanted?: number, listening = false): Client => {
    const id = router.allocateConnectionId(key, wanted);
    const connection = new FakeConnection();
    const port = router.add(key, id, connection);
    if (listening) port.receive(encodeListen(true));
    return { id, address: peerAddress(key, id), connection, port };
  };
  return { router, join };
}

const envelope = (address: Uint8Array, body = BODY) => ({ type: 'envelope', address, body });
const notice = (reason: NoticeReason, address: Uint8Array) => ({ type: 'notice', reason, address });
const replaced = [{ code: 4001, reason: 'replaced' }];

describe('a wanted connection id', () => {
  it('is granted when nobody has it', () => {
    const { router } = setUp();
    for (const id of [1, BOBS_ID, 2 ** 32 - 1]) expect(router.allocateConnectionId(BOB, id)).toBe(id);
    // Nothing is kept for somebody who never comes.
    expect(router.allocateConnectionId(ALICE, BOBS_ID)).toBe(BOBS_ID);
    expect(router.statistics.connections).toBe(0);
  });

  it('is granted to the key that has it, whose old connection may be half-open', () => {
    const { router, join } = setUp();
    join(BOB, BOBS_ID);
    expect(router.allocateConnectionId(BOB.slice(), BOBS_ID)).toBe(BOBS_ID);
  });

  it('is not granted when another key has it, in any byte, or nobody says for whom it is', () => {
    const { router, join } = setUp();
    const bob = join(BOB, BOBS_ID);
    for (let i = 0; i < 32; i++) {
      const key = BOB.slice();
      key[i] = (key[i] ?? 0) ^ 1;
      expect(router.allocateConnectionId(key, BOBS_ID)).toBe(i + 1);
    }
    expect(router.allocateConnectionId(undefined, BOBS_ID)).toBe(33);
    expect(router.allocateConnectionId(BOB.subarray(0, 31), BOBS_ID)).toBe(34);
    expect(bob.connection.closes).toEqual([]);
  });

  it('that is no connection id is not granted', () => {
    const { router } = setUp();
    for (const wanted of [0, -1, 1.5, 2 ** 32, NaN]) {
      expect(router.allocateConnectionId(BOB, wanted)).toBeLessThan(10);
    }
    expect(router.allocateConnectionId(BOB, undefined)).toBe(6);
  });

  it('that was another’s is free once that one is gone', () => {
    const { join } = setUp();
    const bob = join(BOB, BOBS_ID);
    bob.port.remove();
    expect(join(ALICE, BOBS_ID).id).toBe(BOBS_ID);
  });
});

describe('a connection that comes back under its id', () => {
  it('takes the place of the old one, which is closed with 4001', () => {
    expect(REPLACED).toBe(4001);
    const { router, join } = setUp();
    const alice = join(ALICE);
    const old = join(BOB, BOBS_ID);
    const bob = join(BOB, BOBS_ID);
    expect(bob.address).toEqual(old.address);
    expect(old.connection.closes).toEqual(replaced);
    expect(bob.connection.closes).toEqual([]);
    expect(router.statistics.connections).toBe(2);

    alice.port.receive(encodeEnvelope(bob.address, BODY));
    expect(bob.connection.take()).toEqual([envelope(alice.address)]);
    expect(old.connection.sent).toEqual([]);
    bob.port.receive(encodeEnvelope(alice.address, BODY));
    expect(alice.connection.take()).toEqual([envelope(bob.address)]);
  });

  it('is not touched by what the old one does later', () => {
    const { router, join } = setUp();
    const alice = join(ALICE);
    const old = join(BOB, BOBS_ID, true);
    const bob = join(BOB, BOBS_ID, true);
    old.port.receive(encodeEnvelope(alice.address, BODY));
    old.port.receive(encodeListen(false));
    old.port.receive(encodeListen(true));
    old.port.receive(Uint8Array.of(9));
    old.port.drained();
    old.port.remove(); // its socket has closed at last
    old.port.remove();
    expect(old.connection.closes).toEqual(replaced);
    expect(alice.connection.sent).toEqual([]);
    expect(bob.connection.closes).toEqual([]);
    expect(router.statistics).toMatchObject({ connections: 2, listeningKeys: 1 });
    for (const address of [bob.address, peerAddress(BOB, 0)]) {
      alice.port.receive(encodeEnvelope(address, BODY));
      expect(bob.connection.take()).toEqual([envelope(alice.address)]);
    }
    expect(old.connection.sent).toEqual([]);
  });

  it('may be closed within the call that replaces it', () => {
    const { router, join } = setUp();
    const old = join(BOB, BOBS_ID, true);
    old.connection.close = () => {
      old.port.remove();
    };
    const bob = join(BOB, BOBS_ID);
    bob.port.receive(encodeEnvelope(bob.address, BODY));
    expect(bob.connection.take()).toEqual([envelope(bob.address)]);
    expect(router.statistics).toMatchObject({ connections: 1, listeningKeys: 0 });
  });

  it('is told to those that the old one had written to, once and before anything of the new one', () => {
    const { join } = setUp();
    const [friend, stranger] = [join(ALICE), join(CAROL)];
    const old = join(BOB, BOBS_ID);
    old.port.receive(encodeEnvelope(friend.address, BODY));
    stranger.port.receive(encodeEnvelope(old.address, BODY));
    friend.connection.take();
    const bob = join(BOB, BOBS_ID);
    bob.port.receive(encodeEnvelope(friend.address, BODY));
    old.port.remove();
    expect(friend.connection.take()).toEqual([
      notice(NoticeReason.PEER_GONE, bob.address),
      envelope(bob.address),
    ]);
    expect(stranger.connection.take()).toEqual([]);
    // The new one has contacts of its own.
    bob.port.remove();
    expect(friend.connection.take()).toEqual([notice(NoticeReason.PEER_GONE, bob.address)]);
  });

  it('forgets the peers of the old one, and what waits in it as soon as that is gone', () => {
    const { router, join } = setUp();
    const alice = join(ALICE);
    const old = join(BOB, BOBS_ID, true);
    old.port.receive(encodeEnvelope(alice.address, BODY));
    alice.port.receive(encodeEnvelope(old.address, BODY));
    old.connection.stuck = true;
    for (let i = 0; i < 3; i++) alice.port.receive(encodeEnvelope(old.address, BODY));
    expect(router.statistics.queuedBytes).toBeGreaterThan(0);
    expect(router.statistics.contacts).toBe(2);
    const { queuedBytes } = router.statistics;
    const bob = join(BOB, BOBS_ID);
    // Its connection is being closed, and still holds them.
    expect(router.statistics.queuedBytes).toBe(queuedBytes);
    old.connection.drain(2);
    old.port.drained();
    expect(router.statistics.queuedBytes).toBeLessThan(queuedBytes);
    expect(router.statistics.queuedBytes).toBeGreaterThan(0);
    old.port.remove();
    expect(router.statistics).toMatchObject({
      connections: 2,
      listeningKeys: 0,
      contacts: 0,
      queuedBytes: 0,
      envelopes: 5,
      bytes: 5 * (ENVELOPE_HEADER_LENGTH + BODY.length),
    });
    expect(bob.port.statistics).toEqual({
      framesReceived: 0,
      bytesReceived: 0,
      envelopesSent: 0,
      bytesSent: 0,
    });
  });

  it('listens only when it says so, and is then the newest; others of its key are as before', () => {
    const { join } = setUp();
    const alice = join(ALICE);
    const [first, second, third] = [join(BOB, 100, true), join(BOB, 101, true), join(BOB, 102, true)];
    const all = [first, second, third];
    const whoGetsIt = (): number[] => {
      alice.port.receive(encodeEnvelope(peerAddress(BOB, 0), BODY));
      alice.connection.sent.length = 0;
      return all.flatMap((client, i) => (client.connection.take().length > 0 ? [i] : []));
    };
    expect(whoGetsIt()).toEqual([2]);
    all.push(join(BOB, 102)); // the newest, which has not said yet that it listens
    expect(whoGetsIt()).toEqual([1]);
    all.push(join(BOB, 101, true));
    expect(whoGetsIt()).toEqual([4]);
    all.push(join(BOB, 100)); // the oldest
    for (const client of all.slice(0, 3)) client.port.remove();
    expect(whoGetsIt()).toEqual([4]);
    all[4]?.port.receive(encodeListen(false));
    expect(whoGetsIt()).toEqual([]);
  });

  it('can do so again and again', () => {
    const { router, join } = setUp();
    const links = Array.from({ length: 5 }, () => join(BOB, BOBS_ID, true));
    for (const link of links.slice(0, 4)) {
      expect(link.connection.closes).toEqual(replaced);
      link.port.remove();
    }
    expect(links[4]?.connection.closes).toEqual([]);
    expect(router.statistics).toMatchObject({ connections: 1, listeningKeys: 1 });
  });
});

describe('an id that another key has', () => {
  it('is not taken from it, also when it was free as it was promised', () => {
    const { router, join } = setUp();
    expect(router.allocateConnectionId(ALICE, BOBS_ID)).toBe(BOBS_ID);
    const bob = join(BOB, BOBS_ID);
    const late = new FakeConnection();
    expect(() => router.add(ALICE, BOBS_ID, late)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
    expect([...bob.connection.closes, ...late.closes]).toEqual([]);
    bob.port.receive(encodeEnvelope(bob.address, BODY));
    expect(bob.connection.take()).toEqual([envelope(bob.address)]);
    expect(router.statistics.connections).toBe(1);
  });
});

describe('an envelope to oneself', () => {
  it('comes back to the exact connection that sent it, listening or not', () => {
    const { router, join } = setUp();
    const bob = join(BOB, BOBS_ID);
    const elsewhere = join(BOB, 5, true);
    const frame = encodeEnvelope(bob.address, BODY);
    bob.port.receive(frame);
    expect(bob.connection.sent[0]).toBe(frame);
    expect(bob.connection.take()).toEqual([envelope(peerAddress(BOB, BOBS_ID))]);
    expect(elsewhere.connection.sent).toEqual([]);
    expect(bob.port.statistics).toMatchObject({ framesReceived: 1, envelopesSent: 1 });
    expect(router.statistics).toMatchObject({ envelopes: 1, notices: 0 });
  });

  it('makes nobody a contact of itself: nothing is told to the one that goes', () => {
    const { router, join } = setUp({ maxPeers: 1 });
    const [alice, bob] = [join(ALICE), join(BOB)];
    bob.port.receive(encodeEnvelope(alice.address, BODY));
    bob.port.receive(encodeEnvelope(bob.address, BODY));
    expect(router.statistics.contacts).toBe(1);
    alice.connection.take();
    bob.connection.take();
    bob.port.remove();
    expect(alice.connection.take()).toEqual([notice(NoticeReason.PEER_GONE, bob.address)]);
    expect(bob.connection.sent).toEqual([]);
  });

  it('is dropped with QUEUE_FULL like any other when its sender does not read', () => {
    const { join } = setUp({ maxQueueBytes: 1_000 });
    const bob = join(BOB);
    bob.connection.stuck = true;
    bob.connection.send(new Uint8Array(1_000));
    bob.connection.sent.length = 0;
    bob.port.receive(encodeEnvelope(bob.address, BODY));
    expect(bob.connection.sent).toEqual([]);
    bob.connection.drain();
    bob.port.receive(encodeEnvelope(bob.address, BODY));
    expect(bob.connection.take()).toEqual([envelope(bob.address)]);
  });
});
