import { describe, expect, it } from 'vitest';
import {
  encodeControl,
  encodeEnvelope,
  encodeListen,
  encodeNotice,
  encodeToken,
  ENVELOPE_HEADER_LENGTH,
  NoticeReason,
  peerAddress,
} from '../../../src/core/frame.js';
import {
  noDrops,
  type ObservedEnvelope,
  Router,
  type RouterOptions,
  type RouterPort,
} from '../../../src/relay/router.js';
import { FakeConnection } from '../../support/fake-connection.js';

const keyOf = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);
const ALICE = keyOf(0xa1);
const BOB = keyOf(0xb0);
const CAROL = keyOf(0xca);
const BODY = Uint8Array.of(1, 2, 3, 4, 5);

interface Client {
  readonly key: Uint8Array;
  readonly id: number;
  /** Exact peer address. */
  readonly address: Uint8Array;
  readonly connection: FakeConnection;
  readonly port: RouterPort;
}

function setUp(options: Partial<RouterOptions> = {}): {
  router: Router;
  join: (key: Uint8Array, listening?: boolean) => Client;
} {
  let counter = 0;
  const router = new Router({ randomUint32: () => (counter += 0x01020304), ...options });
  const join = (key: Uint8Array, listening = false): Client => {
    const id = router.allocateConnectionId();
    const connection = new FakeConnection();
    const port = router.add(key, id, connection);
    if (listening) port.receive(encodeListen(true));
    return { key, id, address: peerAddress(key, id), connection, port };
  };
  return { router, join };
}

const envelope = (address: Uint8Array, body = BODY) => ({ type: 'envelope', address, body });
const notice = (reason: NoticeReason, address: Uint8Array) => ({ type: 'notice', reason, address });

describe('forwarding', () => {
  it('delivers to the exact connection, stamped with the source, in the buffer that came in', () => {
    const { join } = setUp();
    const alice = join(ALICE);
    const bob = join(BOB);
    const bobElsewhere = join(BOB, true);
    const frame = encodeEnvelope(bob.address, BODY);
    alice.port.receive(frame);
    expect(bob.connection.sent).toHaveLength(1);
    expect(bob.connection.sent[0]).toBe(frame);
    expect(bob.connection.take()).toEqual([envelope(alice.address)]);
    expect(alice.connection.sent).toEqual([]);
    expect(bobElsewhere.connection.sent).toEqual([]);
  });

  it('reads a frame that is a view into a larger buffer, and touches nothing outside it', () => {
    const { join } = setUp();
    const alice = join(ALICE);
    const bob = join(BOB);
    const frame = encodeEnvelope(bob.address, BODY);
    const around = new Uint8Array(frame.length + 20).fill(0x77);
    around.set(frame, 7);
    alice.port.receive(around.subarray(7, 7 + frame.length));
    expect(bob.connection.take()).toEqual([envelope(alice.address)]);
    expect([...around.subarray(0, 7), ...around.subarray(7 + frame.length)]).toEqual(
      new Array<number>(20).fill(0x77),
    );
  });

  it('carries connection ids above 2^31', () => {
    const router = new Router({ randomUint32: () => 0xfedcba98 });
    const bob = new FakeConnection();
    expect(router.allocateConnectionId()).toBe(0xfedcba98);
    router.add(BOB, 0xfedcba98, bob);
    const alice = new FakeConnection();
    router.add(ALICE, 0xffffffff, alice).receive(encodeEnvelope(peerAddress(BOB, 0xfedcba98), BODY));
    expect(bob.take()).toEqual([envelope(peerAddress(ALICE, 0xffffffff))]);
  });

  it('requires the key to match the connection id, in every byte', () => {
    const { join } = setUp();
    const alice = join(ALICE);
    const bob = join(BOB, true);
    for (let i = 0; i < 32; i++) {
      const address = bob.address.slice();
      address[i] = (address[i] ?? 0) ^ 1;
      alice.port.receive(encodeEnvelope(address, BODY));
      expect(alice.connection.take()).toEqual([notice(NoticeReason.NOT_HERE, address)]);
    }
    expect(bob.connection.sent).toEqual([]);
  });

  it('works between two connections of one key, and from a connection to itself', () => {
    const { join } = setUp();
    const tab = join(ALICE, true);
    const other = join(ALICE);
    other.port.receive(encodeEnvelope(peerAddress(ALICE, 0), BODY));
    expect(tab.connection.take()).toEqual([envelope(other.address)]);
    tab.port.receive(encodeEnvelope(peerAddress(ALICE, 0), BODY));
    tab.port.receive(encodeEnvelope(tab.address, BODY));
    expect(tab.connection.take()).toEqual([envelope(tab.address), envelope(tab.address)]);
  });

  it('counts what passes', () => {
    const { router, join } = setUp();
    const alice = join(ALICE);
    const bob = join(BOB, true);
    alice.port.receive(encodeEnvelope(bob.address, BODY));
    alice.port.receive(encodeEnvelope(peerAddress(CAROL, 0), BODY));
    const length = ENVELOPE_HEADER_LENGTH + BODY.length;
    expect(router.statistics).toEqual({
      connections: 2,
      envelopes: 1,
      bytes: length,
      notices: 1,
      listeningKeys: 1,
      contacts: 1,
      queuedBytes: 0,
      drops: { ...noDrops(), not_here: 1 },
    });
    expect(alice.port.statistics).toEqual({
      framesReceived: 2,
      bytesReceived: 2 * length,
      envelopesSent: 0,
      bytesSent: 0,
    });
    expect(bob.port.statistics).toMatchObject({ framesReceived: 1, envelopesSent: 1, bytesSent: length });
  });
});

describe('listening', () => {
  it('gives connection id 0 to whoever asked last', () => {
    const { join } = setUp();
    const alice = join(ALICE);
    const [first, second, third] = [join(BOB, true), join(BOB, true), join(BOB)];
    const whoGetsIt = (): Client[] => {
      alice.port.receive(encodeEnvelope(peerAddress(BOB, 0), BODY));
      alice.connection.sent.length = 0;
      return [first, second, third].filter(client => client.connection.take().length > 0);
    };
    expect(whoGetsIt()).toEqual([second]);
    third.port.receive(encodeListen(true));
    expect(whoGetsIt()).toEqual([third]);
    first.port.receive(encodeListen(true)); // asking again makes it the newest
    expect(whoGetsIt()).toEqual([first]);
    third.port.receive(encodeListen(false)); // from the middle
    expect(whoGetsIt()).toEqual([first]);
    first.port.remove();
    expect(whoGetsIt()).toEqual([second]);
    second.port.receive(encodeListen(false));
    second.port.receive(encodeListen(false));
    expect(whoGetsIt()).toEqual([]);
    second.port.receive(encodeListen(true));
    expect(whoGetsIt()).toEqual([second]);
  });

  it('does not hand id 0 to a connection that never listened', () => {
    const { join } = setUp();
    const alice = join(ALICE);
    const bob = join(BOB);
    alice.port.receive(encodeEnvelope(peerAddress(BOB, 0), BODY));
    expect(alice.connection.take()).toEqual([notice(NoticeReason.NOT_HERE, peerAddress(BOB, 0))]);
    expect(bob.connection.sent).toEqual([]);
  });
});

describe('what cannot be delivered', () => {
  it('is answered with NOT_HERE, the same for an unknown key, an unknown id and somebody else’s id', () => {
    const { join } = setUp();
    const alice = join(ALICE);
    const bob = join(BOB, true);
    for (const address of [peerAddress(CAROL, 0), peerAddress(BOB, 12345), peerAddress(CAROL, bob.id)]) {
      alice.port.receive(encodeEnvelope(address, BODY));
      expect(alice.connection.take()).toEqual([notice(NoticeReason.NOT_HERE, address)]);
    }
    expect(bob.connection.sent).toEqual([]);
  });

  it('is answered with REFUSED when it is for the relay itself, unless somebody is there', () => {
    const own = keyOf(0x0e);
    const { join } = setUp({ ownKey: own });
    const alice = join(ALICE);
    for (const id of [0, 99]) {
      alice.port.receive(encodeEnvelope(peerAddress(own, id), BODY));
      expect(alice.connection.take()).toEqual([notice(NoticeReason.REFUSED, peerAddress(own, id))]);
    }
    const service = join(own, true);
    alice.port.receive(encodeEnvelope(peerAddress(own, 0), BODY));
    expect(service.connection.take()).toEqual([envelope(alice.address)]);
  });

  it('is answered with TOO_LARGE beyond the frame limit, whoever it is for', () => {
    const { join } = setUp({ maxFrame: 100 });
    const alice = join(ALICE);
    const bob = join(BOB, true);
    const fits = new Uint8Array(100 - ENVELOPE_HEADER_LENGTH);
    alice.port.receive(encodeEnvelope(bob.address, fits));
    expect(bob.connection.take()).toEqual([envelope(alice.address, fits)]);
    for (const address of [bob.address, peerAddress(CAROL, 0)]) {
      alice.port.receive(encodeEnvelope(address, Uint8Array.of(...fits, 0)));
      expect(alice.connection.take()).toEqual([notice(NoticeReason.TOO_LARGE, address)]);
    }
    expect(bob.connection.sent).toEqual([]);
  });

  it('is answered with QUEUE_FULL and the address as it was dialled, and forgotten', () => {
    const { join } = setUp({ maxQueueBytes: 10_000 });
    const alice = join(ALICE);
    const bob = join(BOB, true);
    bob.connection.stuck = true;
    const body = new Uint8Array(5_000 - ENVELOPE_HEADER_LENGTH);
    alice.port.receive(encodeEnvelope(bob.address, body));
    alice.port.receive(encodeEnvelope(bob.address, body));
    expect(bob.connection.take()).toHaveLength(2); // exactly the bound
    for (const address of [bob.address, peerAddress(BOB, 0)]) {
      alice.port.receive(encodeEnvelope(address, BODY));
      expect(alice.connection.take()).toEqual([notice(NoticeReason.QUEUE_FULL, address)]);
    }
    bob.connection.drain();
    alice.port.receive(encodeEnvelope(peerAddress(BOB, 0), body));
    expect(bob.connection.take()).toEqual([envelope(alice.address, body)]);
    expect(alice.connection.sent).toEqual([]);
  });

  it('keeps account of what waits, and drops it when told that it has left', () => {
    const { router, join } = setUp();
    const alice = join(ALICE);
    const bob = join(BOB, true);
    bob.connection.stuck = true;
    for (let i = 0; i < 3; i++) alice.port.receive(encodeEnvelope(bob.address, BODY));
    expect(router.statistics.queuedBytes).toBeGreaterThan(2 * (ENVELOPE_HEADER_LENGTH + BODY.length));
    bob.connection.drain();
    bob.port.drained();
    expect(router.statistics.queuedBytes).toBe(0);
  });

  it('brings no more notices to a client that does not read them than its queue holds', () => {
    const { router, join } = setUp({ maxQueueBytes: 10_000 });
    const alice = join(ALICE);
    alice.connection.stuck = true;
    for (let i = 0; i < 1000; i++) alice.port.receive(encodeEnvelope(peerAddress(BOB, 0), BODY));
    expect(alice.connection.bufferedBytes).toBeLessThanOrEqual(10_000);
    expect(alice.connection.sent.length).toBeGreaterThan(10);
    expect(router.statistics.notices).toBe(alice.connection.sent.length);
    alice.connection.drain();
    alice.connection.take();
    alice.port.receive(encodeEnvelope(peerAddress(BOB, 0), BODY));
    expect(alice.connection.take()).toHaveLength(1);
  });
});

describe('frames that no client may send', () => {
  const cases: [string, Uint8Array, number, RegExp][] = [
    ['an empty frame', new Uint8Array(0), 1002, /empty/],
    ['an unknown type', Uint8Array.of(0x7f, 1, 2), 1002, /unknown type 127/],
    ['type 0', Uint8Array.of(0), 1002, /unknown type 0/],
    ['an ENVELOPE cut short', encodeEnvelope(peerAddress(BOB, 0), BODY).subarray(0, 20), 1002, /ENVELOPE/],
    ['an ENVELOPE without a body', encodeEnvelope(peerAddress(BOB, 0), new Uint8Array(0)), 1002, /ENVELOPE/],
    ['a NOTICE', encodeNotice(NoticeReason.NOT_HERE, peerAddress(BOB, 0)), 1002, /only a relay sends/],
    ['a CONTROL', encodeControl({ type: 'TOKEN_ACCEPTED' }), 1002, /only a relay sends/],
    ['a malformed CONTROL', Uint8Array.of(4, 1), 1002, /CONTROL/],
    ['a TOKEN where none is expected', encodeToken(new Uint8Array(40)), 1002, /TOKEN/],
    ['a LISTEN without a flag', Uint8Array.of(3), 1002, /LISTEN/],
    ['a LISTEN that is too long', Uint8Array.of(3, 1, 1), 1002, /LISTEN/],
    ['a LISTEN with another flag', Uint8Array.of(3, 2), 1002, /LISTEN/],
    ['a large frame that is no ENVELOPE', new Uint8Array(101).fill(3), 1009, /101 bytes is larger than 100/],
  ];
  it.each(cases)('%s ends the connection', (_, frame, code, reason) => {
    const { router, join } = setUp({ maxFrame: 100 });
    const alice = join(ALICE, true);
    const bob = join(BOB, true);
    alice.port.receive(frame);
    expect(alice.connection.closes).toHaveLength(1);
    expect(alice.connection.closes[0]?.code).toBe(code);
    expect(alice.connection.closes[0]?.reason).toMatch(reason);
    expect(new TextEncoder().encode(alice.connection.closes[0]?.reason).length).toBeLessThanOrEqual(123);
    expect(alice.connection.sent).toEqual([]);
    // It is as gone as if its socket were, whether or not the owner has noticed.
    alice.port.receive(encodeEnvelope(bob.address, BODY));
    alice.port.receive(frame);
    alice.port.remove();
    expect(alice.connection.closes).toHaveLength(1);
    expect(bob.connection.sent).toEqual([]);
    expect(router.statistics.connections).toBe(1);
  });
});

describe('the end of a connection', () => {
  it('is told once to each peer that it had written to, and to nobody else', () => {
    const { join } = setUp();
    const bob = join(BOB, true);
    const friend = join(ALICE);
    const stranger = join(CAROL);
    const bystander = join(keyOf(1), true);
    stranger.port.receive(encodeEnvelope(bob.address, BODY));
    friend.port.receive(encodeEnvelope(peerAddress(BOB, 0), BODY));
    for (let i = 0; i < 3; i++) bob.port.receive(encodeEnvelope(friend.address, BODY));
    friend.connection.take();
    bob.port.remove();
    expect(friend.connection.take()).toEqual([notice(NoticeReason.PEER_GONE, bob.address)]);
    bob.port.remove();
    for (const client of [friend, stranger, bystander]) expect(client.connection.take()).toEqual([]);
    // Afterwards it is not here, like one that never was.
    friend.port.receive(encodeEnvelope(bob.address, BODY));
    stranger.port.receive(encodeEnvelope(peerAddress(BOB, 0), BODY));
    expect(friend.connection.take()).toEqual([notice(NoticeReason.NOT_HERE, bob.address)]);
    expect(stranger.connection.take()).toEqual([notice(NoticeReason.NOT_HERE, peerAddress(BOB, 0))]);
  });

  it('is not told to a peer that never got what was sent', () => {
    const { join } = setUp({ maxQueueBytes: 200 });
    const bob = join(BOB);
    const alice = join(ALICE);
    alice.connection.stuck = true;
    alice.connection.send(new Uint8Array(200));
    bob.port.receive(encodeEnvelope(alice.address, BODY));
    alice.connection.drain();
    alice.connection.sent.length = 0;
    bob.port.remove();
    expect(alice.connection.take()).toEqual([]);
  });

  it('is told for a protocol violation too', () => {
    const { join } = setUp();
    const bob = join(BOB);
    const alice = join(ALICE);
    bob.port.receive(encodeEnvelope(alice.address, BODY));
    alice.connection.take();
    bob.port.receive(Uint8Array.of(9));
    expect(alice.connection.take()).toEqual([notice(NoticeReason.PEER_GONE, bob.address)]);
  });

  it('leaves nothing of what came after it', () => {
    const { router, join } = setUp();
    const bob = join(BOB);
    const alice = join(ALICE, true);
    bob.port.remove();
    bob.port.receive(encodeEnvelope(alice.address, BODY));
    bob.port.receive(encodeListen(true));
    bob.port.receive(Uint8Array.of(9));
    bob.port.drained();
    expect(alice.connection.sent).toEqual([]);
    expect(bob.connection.closes).toEqual([]);
    alice.port.receive(encodeEnvelope(peerAddress(BOB, 0), BODY));
    expect(alice.connection.take()).toEqual([notice(NoticeReason.NOT_HERE, peerAddress(BOB, 0))]);
    expect(router.statistics.connections).toBe(1);
  });

  it('is told to those that it wrote to: to no more than it may have as peers', () => {
    const { join } = setUp({ maxPeers: 2 });
    const bob = join(BOB);
    const [first, second, third] = [join(ALICE), join(ALICE), join(ALICE)];
    const write = (to: Client): void => {
      bob.port.receive(encodeEnvelope(to.address, BODY));
    };
    [first, second, third, first].forEach(write);
    expect(bob.connection.take()).toEqual([notice(NoticeReason.TOO_MANY_PEERS, third.address)]);
    expect(third.connection.take()).toEqual([]);
    // Peers that go make room.
    second.port.remove();
    bob.connection.take();
    write(third);
    for (const client of [first, third]) client.connection.take();
    bob.port.remove();
    const gone = [notice(NoticeReason.PEER_GONE, bob.address)];
    expect([first, third].map(client => client.connection.take())).toEqual([gone, gone]);
  });

  it('is told within a bound over all connections', () => {
    const { join } = setUp({ maxTotalContacts: 1 });
    const [bob, carol] = [join(BOB), join(CAROL)];
    const alice = join(ALICE);
    bob.port.receive(encodeEnvelope(alice.address, BODY));
    carol.port.receive(encodeEnvelope(alice.address, BODY)); // no room to remember
    alice.connection.take();
    carol.port.remove();
    expect(alice.connection.take()).toEqual([]);
    bob.port.remove();
    expect(alice.connection.take()).toHaveLength(1);
    // What went has made room.
    const dave = join(keyOf(0xda));
    dave.port.receive(encodeEnvelope(alice.address, BODY));
    alice.connection.take();
    dave.port.remove();
    expect(alice.connection.take()).toHaveLength(1);
  });

  it('makes room when the one written to goes, too', () => {
    const { join } = setUp({ maxTotalContacts: 1 });
    const bob = join(BOB);
    const [gone, here] = [join(ALICE), join(CAROL)];
    bob.port.receive(encodeEnvelope(gone.address, BODY));
    gone.port.remove();
    bob.port.receive(encodeEnvelope(here.address, BODY));
    here.connection.take();
    bob.port.remove();
    expect(here.connection.take()).toEqual([notice(NoticeReason.PEER_GONE, bob.address)]);
    expect(gone.connection.take()).toHaveLength(1); // the envelope, nothing after it went
  });

  it('is not told to a peer that goes while it is being told to others', () => {
    const { join } = setUp();
    const bob = join(BOB);
    const first = join(ALICE);
    const second = join(CAROL);
    for (const client of [first, second]) {
      bob.port.receive(encodeEnvelope(client.address, BODY));
      client.connection.take();
    }
    first.connection.send = () => {
      second.port.remove();
      bob.port.remove();
    };
    bob.port.remove();
    expect(second.connection.take()).toEqual([]);
  });
});

describe('connection ids', () => {
  it('are never 0 and never one that is taken', () => {
    const numbers = [0, 7, 7, 0, 7, 9];
    const router = new Router({ randomUint32: () => numbers.shift() ?? 1 });
    const id = router.allocateConnectionId();
    expect(id).toBe(7);
    const port = router.add(ALICE, id, new FakeConnection());
    expect(router.allocateConnectionId()).toBe(9);
    port.remove();
    numbers.push(7);
    expect(router.allocateConnectionId()).toBe(7);
  });

  it('are checked when a connection is added', () => {
    const { router } = setUp();
    router.add(ALICE, 5, new FakeConnection());
    for (const id of [5, 0, -1, 1.5, 2 ** 32, NaN]) {
      expect(() => router.add(BOB, id, new FakeConnection())).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
      );
    }
    expect(() => router.add(new Uint8Array(31), 6, new FakeConnection())).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
    expect(router.statistics.connections).toBe(1);
  });

  it('do not depend on a key that its owner changes later', () => {
    const { join } = setUp();
    const key = ALICE.slice();
    const alice = join(key);
    key.fill(0);
    const bob = join(BOB);
    alice.port.receive(encodeEnvelope(bob.address, BODY));
    expect(bob.connection.take()).toEqual([envelope(alice.address)]);
  });
});

describe('an observer', () => {
  it('sees what is forwarded, and only that', () => {
    const seen: ObservedEnvelope[] = [];
    const { join } = setUp({
      onEnvelope: observed => seen.push({ ...observed, body: observed.body.slice() }),
    });
    const alice = join(ALICE);
    const bob = join(BOB, true);
    alice.port.receive(encodeEnvelope(peerAddress(BOB, 0), BODY));
    alice.port.receive(encodeEnvelope(peerAddress(CAROL, 0), BODY));
    expect(seen).toEqual([
      { from: alice.address, to: bob.address, body: BODY, size: ENVELOPE_HEADER_LENGTH + BODY.length },
    ]);
    // It gets copies of the addresses: nothing it does to them changes a stamp.
    seen[0]?.from.fill(0);
    seen[0]?.to.fill(0);
    bob.connection.take();
    alice.port.receive(encodeEnvelope(bob.address, BODY));
    expect(bob.connection.take()).toEqual([envelope(alice.address)]);
  });
});
