import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { toHex } from '../../../src/core/bytes.js';
import {
  connectionIdOf,
  decodeFrame,
  encodeEnvelope,
  encodeListen,
  encodeToken,
  ENVELOPE_HEADER_LENGTH,
  NoticeReason,
  peerAddress,
} from '../../../src/core/frame.js';
import { BodyType } from '../../../src/core/sealed-body.js';
import type { LimitName } from '../../../src/relay/relay-observer.js';
import {
  type HandshakeAllowance,
  noDrops,
  type PortOptions,
  Router,
  type RouterConnection,
  type RouterOptions,
  type RouterPort,
} from '../../../src/relay/router.js';
import { FakeConnection } from '../../support/fake-connection.js';
import { runs } from '../../support/fuzz.js';

const keyOf = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);
const ALICE = keyOf(0xa1);
const BOB = keyOf(0xb0);
const CAROL = keyOf(0xca);
const NO_HANDSHAKE = BodyType.TRANSPORT;

interface Client {
  readonly key: Uint8Array;
  readonly hex: string;
  readonly address: Uint8Array;
  readonly connection: FakeConnection;
  readonly port: RouterPort;
}

/** A question that the rules were asked, and that waits for an answer. */
interface Question {
  readonly from: string;
  readonly to: string;
  readonly answer: (isAllowed: boolean) => void;
}

function setUp(options: Partial<RouterOptions> = {}) {
  let counter = 0;
  const limits: [LimitName, RouterConnection][] = [];
  const router = new Router({
    randomUint32: () => (counter += 0x01020304),
    limited: (limit, connection) => limits.push([limit, connection]),
    ...options,
  });
  const join = (key: Uint8Array, port: PortOptions = {}): Client => {
    const id = router.allocateConnectionId();
    const connection = new FakeConnection();
    const client = {
      key,
      hex: toHex(key),
      address: peerAddress(key, id),
      connection,
      port: router.add(key, id, connection, port),
    };
    client.port.receive(encodeListen(true));
    return client;
  };
  return { router, join, limits };
}

/** Rules that answer when a test says so. */
function slowRules() {
  const questions: Question[] = [];
  const mayReach = (from: string, to: string): Promise<boolean> =>
    new Promise(resolve => {
      questions.push({ from, to, answer: resolve });
    });
  return { questions, mayReach };
}

/** Everything that waits for nothing but promises has happened. */
const settle = (): Promise<void> => new Promise(resolve => setImmediate(resolve));

const body = (n: number, length = 5): Uint8Array => new Uint8Array(length).fill(n).fill(NO_HANDSHAKE, 0, 1);
const envelope = (address: Uint8Array, content: Uint8Array) => ({ type: 'envelope', address, body: content });
const notice = (reason: NoticeReason, address: Uint8Array) => ({ type: 'notice', reason, address });
const write = (from: Client, to: Uint8Array, content = body(7)): void => {
  from.port.receive(encodeEnvelope(to, content));
};

describe('whom rules let nobody reach', () => {
  it('is not reached, and the sender is told by the address that it dialled', () => {
    const asked: [string, string][] = [];
    const { router, join } = setUp({
      mayReach: (from, to) => {
        asked.push([from, to]);
        return to !== toHex(BOB);
      },
    });
    const [alice, bob, carol] = [join(ALICE), join(BOB), join(CAROL)];
    write(alice, peerAddress(BOB, 0));
    write(alice, bob.address);
    write(alice, carol.address);
    expect(asked).toEqual([
      [alice.hex, bob.hex],
      [alice.hex, bob.hex],
      [alice.hex, carol.hex],
    ]);
    expect(alice.connection.take()).toEqual([
      notice(NoticeReason.NOT_ALLOWED, peerAddress(BOB, 0)),
      notice(NoticeReason.NOT_ALLOWED, bob.address),
    ]);
    expect(bob.connection.sent).toEqual([]);
    expect(carol.connection.take()).toEqual([envelope(alice.address, body(7))]);
    expect(router.statistics).toMatchObject({
      envelopes: 1,
      notices: 2,
      contacts: 1,
      drops: { ...noDrops(), not_allowed: 2 },
    });
  });

  it('is not known to be here or not: rules are asked of nobody who is not', () => {
    const mayReach = vi.fn(() => false);
    const { join } = setUp({ mayReach });
    const alice = join(ALICE);
    write(alice, peerAddress(BOB, 0));
    expect(alice.connection.take()).toEqual([notice(NoticeReason.NOT_HERE, peerAddress(BOB, 0))]);
    expect(mayReach).not.toHaveBeenCalled();
  });

  it('is not who writes to itself: whether a link carries anything is nobody’s to decide', () => {
    const { join } = setUp({ mayReach: () => false });
    const alice = join(ALICE, { peers: [] });
    write(alice, alice.address);
    expect(alice.connection.take()).toEqual([envelope(alice.address, body(7))]);
    // Another connection of the same key is somebody else.
    const other = join(ALICE);
    write(alice, other.address);
    expect(alice.connection.take()).toEqual([notice(NoticeReason.NOT_ALLOWED, other.address)]);
  });
});

describe('whoever was written to', () => {
  it('may answer, though it may not begin, for as long as the other is there', () => {
    const { join } = setUp({ mayReach: from => from === toHex(ALICE) });
    const [alice, bob] = [join(ALICE), join(BOB)];
    write(bob, alice.address);
    expect(bob.connection.take()).toEqual([notice(NoticeReason.NOT_ALLOWED, alice.address)]);
    write(alice, bob.address);
    write(bob, alice.address, body(8));
    expect(bob.connection.take()).toEqual([envelope(alice.address, body(7))]);
    expect(alice.connection.take()).toEqual([envelope(bob.address, body(8))]);
    // Alice’s other connection has not written.
    const elsewhere = join(ALICE);
    write(bob, elsewhere.address);
    expect(bob.connection.take()).toEqual([notice(NoticeReason.NOT_ALLOWED, elsewhere.address)]);
    // Nor has Bob’s other connection been written to.
    const another = join(BOB);
    write(another, alice.address);
    expect(another.connection.take()).toEqual([notice(NoticeReason.NOT_ALLOWED, alice.address)]);
  });

  it('may not any more once the rules do not let the other write either', () => {
    let isAllowed = true;
    const { join } = setUp({ mayReach: from => isAllowed && from === toHex(ALICE) });
    const [alice, bob] = [join(ALICE), join(BOB)];
    write(alice, bob.address);
    isAllowed = false;
    bob.connection.take();
    write(bob, alice.address);
    expect(bob.connection.take()).toEqual([notice(NoticeReason.NOT_ALLOWED, alice.address)]);
  });

  it('may answer when both questions are answered late', async () => {
    const { questions, mayReach } = slowRules();
    const { join } = setUp({ mayReach });
    const [alice, bob] = [join(ALICE), join(BOB)];
    write(alice, bob.address);
    questions.shift()?.answer(true);
    await settle();
    expect(bob.connection.take()).toHaveLength(1);

    for (const [there, back, reason] of [
      [false, true, undefined],
      [true, false, undefined],
      [false, false, NoticeReason.NOT_ALLOWED],
    ] as const) {
      write(bob, alice.address, body(9));
      expect(questions.map(({ from }) => from)).toEqual([bob.hex, alice.hex]);
      for (const question of questions.splice(0)) question.answer(question.from === bob.hex ? there : back);
      await settle();
      expect(alice.connection.take()).toEqual(reason === undefined ? [envelope(bob.address, body(9))] : []);
      expect(bob.connection.take()).toEqual(reason === undefined ? [] : [notice(reason, alice.address)]);
    }
  });
});

describe('a token that names peers', () => {
  it('lets its client reach these and no others, within the rules', () => {
    const { join } = setUp({ mayReach: (_, to) => to !== toHex(CAROL) });
    const alice = join(ALICE, { peers: [toHex(BOB), toHex(CAROL)] });
    const [bob, carol, dave] = [join(BOB), join(CAROL), join(keyOf(0xda))];
    for (const peer of [bob, carol, dave]) write(alice, peer.address);
    expect(bob.connection.take()).toHaveLength(1);
    expect(alice.connection.take()).toEqual([
      notice(NoticeReason.NOT_ALLOWED, carol.address),
      notice(NoticeReason.NOT_ALLOWED, dave.address),
    ]);
    // It may answer others who write to it.
    write(dave, alice.address);
    write(alice, dave.address);
    expect(dave.connection.take()).toEqual([envelope(alice.address, body(7))]);
  });

  it('counts from the moment on that it is shown', () => {
    const { join } = setUp();
    const alice = join(ALICE);
    const bob = join(BOB);
    const reached = (): boolean => {
      write(alice, bob.address);
      alice.connection.take();
      return bob.connection.take().length > 0;
    };
    expect(reached()).toBe(true);
    alice.port.restrict([toHex(CAROL)]);
    expect(reached()).toBe(false);
    alice.port.restrict([toHex(CAROL), toHex(BOB)]);
    expect(reached()).toBe(true);
    alice.port.restrict([]);
    expect(reached()).toBe(false);
    alice.port.restrict(undefined);
    expect(reached()).toBe(true);
  });

  it('does not make anybody ask the rules of those that it does not name', () => {
    const mayReach = vi.fn(() => true);
    const { join } = setUp({ mayReach });
    const alice = join(ALICE, { peers: [] });
    write(alice, join(BOB).address);
    expect(mayReach).not.toHaveBeenCalled();
  });

  it('is handed to whoever judges it, where one is expected', () => {
    const { join } = setUp();
    const seen: Uint8Array[] = [];
    const alice = join(ALICE, { onToken: sealed => seen.push(sealed) });
    alice.port.receive(encodeToken(Uint8Array.of(1, 2, 3)));
    expect(seen).toEqual([Uint8Array.of(1, 2, 3)]);
    expect(alice.connection.closes).toEqual([]);
    const bob = join(BOB);
    bob.port.receive(encodeToken(Uint8Array.of(1, 2, 3)));
    expect(bob.connection.closes).toMatchObject([{ code: 1002 }]);
    alice.port.remove();
    alice.port.receive(encodeToken(Uint8Array.of(1, 2, 3)));
    expect(seen).toHaveLength(1);
  });
});

describe('envelopes that wait for the rules', () => {
  it('go on in their order, as soon as they may, and those that follow behind them', async () => {
    const { questions, mayReach } = slowRules();
    const { router, join } = setUp({ mayReach });
    const [alice, bob] = [join(ALICE), join(BOB)];
    for (let n = 1; n <= 3; n++) write(alice, n === 2 ? peerAddress(BOB, 0) : bob.address, body(n));
    expect(questions).toHaveLength(1);
    expect(bob.connection.sent).toEqual([]);
    expect(router.statistics).toMatchObject({ envelopes: 0, contacts: 0 });
    questions[0]?.answer(true);
    await settle();
    expect(bob.connection.take()).toEqual([1, 2, 3].map(n => envelope(alice.address, body(n))));
    expect(alice.connection.sent).toEqual([]);
    expect(router.statistics).toMatchObject({ envelopes: 3, contacts: 1, drops: noDrops() });
  });

  it('do not hold up those to others', async () => {
    const { questions, mayReach } = slowRules();
    const { join } = setUp({ mayReach });
    const [alice, bob, carol] = [join(ALICE), join(BOB), join(CAROL)];
    write(alice, bob.address, body(1));
    write(alice, carol.address, body(2));
    expect(questions.map(({ to }) => to)).toEqual([bob.hex, carol.hex]);
    questions[1]?.answer(true);
    await settle();
    expect(carol.connection.take()).toEqual([envelope(alice.address, body(2))]);
    expect(bob.connection.sent).toEqual([]);
    questions[0]?.answer(false);
    await settle();
    expect(bob.connection.sent).toEqual([]);
    expect(alice.connection.take()).toEqual([notice(NoticeReason.NOT_ALLOWED, bob.address)]);
  });

  it('are a copy: what the network wrote them into is used again', async () => {
    const { questions, mayReach } = slowRules();
    const { join } = setUp({ mayReach });
    const [alice, bob] = [join(ALICE), join(BOB)];
    const frame = encodeEnvelope(bob.address, body(1));
    alice.port.receive(frame);
    frame.fill(0xee);
    questions[0]?.answer(true);
    await settle();
    expect(bob.connection.take()).toEqual([envelope(alice.address, body(1))]);
  });

  it('are each told of when they may not go on', async () => {
    const { questions, mayReach } = slowRules();
    const { router, join } = setUp({ mayReach });
    const [alice, bob] = [join(ALICE), join(BOB)];
    write(alice, peerAddress(BOB, 0));
    write(alice, bob.address);
    questions[0]?.answer(false);
    await settle();
    expect(alice.connection.take()).toEqual([
      notice(NoticeReason.NOT_ALLOWED, peerAddress(BOB, 0)),
      notice(NoticeReason.NOT_ALLOWED, bob.address),
    ]);
    expect(bob.connection.sent).toEqual([]);
    expect(router.statistics.drops.not_allowed).toBe(2);
    // The next one is asked about anew.
    write(alice, bob.address);
    expect(questions).toHaveLength(2);
  });

  it('are few for each peer: what is too much is dropped, and told', async () => {
    const { questions, mayReach } = slowRules();
    const { router, join } = setUp({ mayReach });
    const [alice, bob] = [join(ALICE), join(BOB)];
    for (let n = 0; n < 20; n++) write(alice, bob.address, body(n));
    expect(alice.connection.take()).toEqual(
      Array.from({ length: 4 }, () => notice(NoticeReason.QUEUE_FULL, bob.address)),
    );
    expect(router.statistics.drops.queue_full).toBe(4);
    questions[0]?.answer(true);
    await settle();
    expect(bob.connection.take()).toEqual(
      Array.from({ length: 16 }, (_, n) => envelope(alice.address, body(n))),
    );
    expect(questions).toHaveLength(1);
  });

  it('are for few peers: about no others is anybody asked', async () => {
    const { questions, mayReach } = slowRules();
    const { join } = setUp({ mayReach });
    const alice = join(ALICE);
    const peers = Array.from({ length: 300 }, (_, n) => {
      const key = new Uint8Array(32);
      new DataView(key.buffer).setUint32(4, n + 1);
      return join(key);
    });
    for (const peer of peers) write(alice, peer.address);
    expect(questions).toHaveLength(256);
    expect(alice.connection.take()).toEqual(
      peers.slice(256).map(({ address }) => notice(NoticeReason.QUEUE_FULL, address)),
    );
    questions[0]?.answer(true);
    await settle();
    const last = peers.at(-1);
    if (!last) throw new Error('nobody');
    write(alice, last.address);
    expect(questions).toHaveLength(257);
  });

  it('end with their sender, and what is answered then means nothing', async () => {
    const { questions, mayReach } = slowRules();
    const { router, join } = setUp({ mayReach });
    const [alice, bob] = [join(ALICE), join(BOB)];
    write(alice, bob.address);
    alice.port.remove();
    questions[0]?.answer(true);
    await settle();
    expect(bob.connection.sent).toEqual([]);
    expect(router.statistics).toMatchObject({ envelopes: 0, contacts: 0, notices: 0 });
  });

  it('are told of when their destination has gone meanwhile', async () => {
    const { questions, mayReach } = slowRules();
    const { join } = setUp({ mayReach });
    const [alice, bob] = [join(ALICE), join(BOB)];
    write(alice, bob.address);
    bob.port.remove();
    questions[0]?.answer(true);
    await settle();
    expect(alice.connection.take()).toEqual([notice(NoticeReason.NOT_HERE, bob.address)]);
  });

  it('count for the limit of peers when they go on', async () => {
    const { questions, mayReach } = slowRules();
    const { router, join, limits } = setUp({ mayReach, maxPeers: 1 });
    const [alice, bob, carol] = [join(ALICE), join(BOB), join(CAROL)];
    write(alice, bob.address);
    write(alice, carol.address);
    for (const question of questions) question.answer(true);
    await settle();
    expect(bob.connection.take()).toHaveLength(1);
    expect(carol.connection.sent).toEqual([]);
    expect(alice.connection.take()).toEqual([notice(NoticeReason.TOO_MANY_PEERS, carol.address)]);
    expect(router.statistics.contacts).toBe(1);
    expect(limits).toEqual([['peers', alice.connection]]);
  });
});

describe('a router whose rules take their time', () => {
  const KEYS = [ALICE, BOB, CAROL];
  const steps = fc.array(
    fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({
          type: fc.constant('write' as const),
          from: fc.nat(3),
          to: fc.nat(3),
          newest: fc.boolean(),
        }),
      },
      {
        weight: 3,
        arbitrary: fc.record({ type: fc.constant('answer' as const), at: fc.nat(9), yes: fc.boolean() }),
      },
      { weight: 1, arbitrary: fc.record({ type: fc.constant('leave' as const), who: fc.nat(3) }) },
    ),
    { maxLength: 60, size: 'max' },
  );

  it('loses no envelope without a word, doubles none, and keeps their order', async () => {
    await fc.assert(
      fc.asyncProperty(steps, fc.boolean(), async (list, soon) => {
        const { questions, mayReach } = slowRules();
        const { router, join } = setUp({
          // Some answers are known at once, as from a cache.
          mayReach: (from, to) => (soon && from < to ? true : mayReach(from, to)),
        });
        const clients = [...KEYS, ALICE].map(key => join(key));
        const here = new Set(clients);
        // By sender and receiver: what was written, in order.
        const written = new Map<Client, number[]>(clients.map(client => [client, []]));
        let count = 0;
        for (const step of list) {
          if (step.type === 'write') {
            const [from, to] = [clients[step.from], clients[step.to]];
            if (!from || !to || !here.has(from) || from === to) continue;
            count += 1;
            const content = new Uint8Array(5).fill(NO_HANDSHAKE);
            new DataView(content.buffer).setUint32(1, count);
            written.get(from)?.push(count);
            write(from, step.newest ? peerAddress(to.key, 0) : to.address, content);
          } else if (step.type === 'answer') {
            questions.splice(step.at % Math.max(1, questions.length), 1)[0]?.answer(step.yes);
            await Promise.resolve();
          } else {
            const client = clients[step.who];
            if (!client) continue;
            here.delete(client);
            client.port.remove();
          }
        }
        do {
          for (const question of questions.splice(0)) question.answer(true);
          await settle();
        } while (questions.length > 0);

        const arrived = new Map<number, number>();
        for (const client of clients) {
          const bySource = new Map<string, number>();
          for (const bytes of client.connection.sent) {
            const frame = decodeFrame(bytes);
            if (frame.type !== 'envelope') continue;
            const n = new DataView(frame.body.slice().buffer).getUint32(1);
            arrived.set(n, (arrived.get(n) ?? 0) + 1);
            const source = toHex(frame.address);
            // What becomes an envelope to oneself while others wait does not wait with them.
            if (source !== toHex(client.address)) expect(n).toBeGreaterThan(bySource.get(source) ?? 0);
            bySource.set(source, n);
            // Stamped with who wrote it.
            const sender = clients.find(each => toHex(each.address) === source);
            expect(sender && written.get(sender)).toContain(n);
          }
        }
        expect([...arrived.values()].every(times => times === 1)).toBe(true);
        for (const client of here) {
          const notices = client.connection.sent.filter(bytes => {
            const frame = decodeFrame(bytes);
            return frame.type === 'notice' && frame.reason !== NoticeReason.PEER_GONE;
          });
          const mine = written.get(client) ?? [];
          expect(notices.length + mine.filter(n => arrived.has(n)).length).toBe(mine.length);
        }
        expect(router.statistics.envelopes).toBe(arrived.size);
        for (const client of clients) client.port.remove();
        expect(router.statistics).toMatchObject({ connections: 0, contacts: 0, queuedBytes: 0 });
      }),
      runs(150),
    );
  });
});

describe('a destination whose queue is full', () => {
  const full = new Uint8Array(1_000 - ENVELOPE_HEADER_LENGTH).fill(NO_HANDSHAKE);

  it('stays, unless those that are slow are to go: with 4002', () => {
    for (const closeSlow of [false, true]) {
      const { router, join, limits } = setUp({ maxQueueBytes: 1_000, closeSlow });
      const [alice, bob, carol] = [join(ALICE), join(BOB), join(CAROL)];
      write(bob, carol.address);
      carol.connection.take();
      bob.connection.stuck = true;
      write(alice, bob.address, full);
      expect(bob.connection.closes).toEqual([]);
      write(alice, peerAddress(BOB, 0));
      // Its sender hears what became of the envelope, by the address that it dialled.
      expect(alice.connection.take()).toEqual([notice(NoticeReason.QUEUE_FULL, peerAddress(BOB, 0))]);
      expect(router.statistics.drops.queue_full).toBe(1);
      // It is the one that does not read whose limit that is.
      expect(limits).toEqual([['queue', bob.connection]]);
      expect(bob.connection.closes).toEqual(closeSlow ? [{ code: 4002, reason: 'too slow' }] : []);
      expect(router.statistics.connections).toBe(closeSlow ? 2 : 3);
      expect(carol.connection.take()).toEqual(closeSlow ? [notice(NoticeReason.PEER_GONE, bob.address)] : []);
    }
  });

  it('is not one that has no room for its notices', () => {
    const { join } = setUp({ maxQueueBytes: 200, closeSlow: true });
    const alice = join(ALICE);
    alice.connection.stuck = true;
    for (let i = 0; i < 50; i++) write(alice, peerAddress(BOB, 0));
    expect(alice.connection.closes).toEqual([]);
  });
});

describe('the limit of peers', () => {
  it('is for each connection, and for peers that are there', () => {
    const { router, join, limits } = setUp({ maxPeers: 2 });
    const alice = join(ALICE);
    const [one, two, three] = [1, 2, 3].map(n => join(keyOf(n)));
    if (!one || !two || !three) throw new Error('nobody');
    for (const peer of [one, two, three]) write(alice, peer.address);
    for (const peer of [three, three]) write(alice, peerAddress(peer.key, 0));
    expect(alice.connection.take()).toEqual([
      notice(NoticeReason.TOO_MANY_PEERS, three.address),
      notice(NoticeReason.TOO_MANY_PEERS, peerAddress(three.key, 0)),
      notice(NoticeReason.TOO_MANY_PEERS, peerAddress(three.key, 0)),
    ]);
    expect(three.connection.sent).toEqual([]);
    expect(router.statistics.drops.too_many_peers).toBe(3);
    // Told once, however often it is met.
    expect(limits).toEqual([['peers', alice.connection]]);
    // Those that it has are written to as before, itself and others by others, too.
    for (const peer of [one, two]) {
      write(alice, peer.address);
      expect(peer.connection.take()).toHaveLength(2);
    }
    write(alice, alice.address);
    expect(alice.connection.take()).toHaveLength(1);
    write(one, three.address);
    expect(three.connection.take()).toHaveLength(1);
    one.port.remove();
    three.connection.take();
    write(alice, three.address);
    expect(three.connection.take()).toEqual([envelope(alice.address, body(7))]);
  });
});

describe('the limit of handshakes', () => {
  it('is asked for once for each connection that sends any, by the address that was dialled', () => {
    const asked: string[][] = [];
    const handshakeLimit = vi.fn((): HandshakeAllowance => {
      const mine: string[] = [];
      asked.push(mine);
      return { allows: destination => mine.push(destination) <= 2 };
    });
    const { router, join, limits } = setUp({ handshakeLimit });
    const [alice, bob] = [join(ALICE), join(BOB)];
    write(alice, bob.address, Uint8Array.of(BodyType.TRANSPORT, 1));
    write(alice, bob.address, Uint8Array.of(0x7f));
    expect(handshakeLimit).not.toHaveBeenCalled();
    write(alice, bob.address, Uint8Array.of(BodyType.HANDSHAKE_INITIATION, 1));
    write(alice, peerAddress(BOB, 0), Uint8Array.of(BodyType.HANDSHAKE_RESPONSE, 1));
    expect(bob.connection.take()).toHaveLength(4);
    for (let i = 0; i < 3; i++) write(alice, bob.address, Uint8Array.of(BodyType.HANDSHAKE_INITIATION));
    expect(bob.connection.sent).toEqual([]);
    expect(alice.connection.take()).toEqual(
      Array.from({ length: 3 }, () => notice(NoticeReason.HANDSHAKES_LIMITED, bob.address)),
    );
    expect(router.statistics.drops.handshakes_limited).toBe(3);
    expect(limits).toEqual([['handshakes', alice.connection]]);
    const name = (address: Uint8Array): string => String.fromCharCode(...address);
    expect(asked[0]?.slice(0, 2)).toEqual([name(bob.address), name(peerAddress(BOB, 0))]);
    // What is no handshake is not limited.
    write(alice, bob.address);
    expect(bob.connection.take()).toHaveLength(1);
    // Each connection has its own; nothing is spent on those who are not here, nor on oneself.
    write(alice, peerAddress(CAROL, 0), Uint8Array.of(BodyType.HANDSHAKE_INITIATION));
    write(alice, alice.address, Uint8Array.of(BodyType.HANDSHAKE_INITIATION));
    expect(asked[0]).toHaveLength(5);
    write(bob, alice.address, Uint8Array.of(BodyType.HANDSHAKE_INITIATION));
    expect(handshakeLimit).toHaveBeenCalledTimes(2);
  });

  it('is not spent a second time on what was held', async () => {
    const { questions, mayReach } = slowRules();
    const allows = vi.fn(() => true);
    const { join } = setUp({ mayReach, handshakeLimit: () => ({ allows }) });
    const [alice, bob] = [join(ALICE), join(BOB)];
    write(alice, bob.address, Uint8Array.of(BodyType.HANDSHAKE_INITIATION));
    questions[0]?.answer(true);
    await settle();
    expect(bob.connection.take()).toHaveLength(1);
    expect(allows).toHaveBeenCalledTimes(1);
  });
});

describe('what was dropped', () => {
  it('is counted by its reason, and notices of other things are not', () => {
    const own = keyOf(0x0e);
    const { router, join, limits } = setUp({
      ownKey: own,
      maxFrame: 100,
      mayReach: (_, to) => to !== toHex(CAROL),
    });
    const [alice, bob, carol] = [join(ALICE), join(BOB), join(CAROL)];
    write(alice, peerAddress(keyOf(1), 0));
    write(alice, peerAddress(own, 0));
    write(alice, carol.address);
    for (let i = 0; i < 2; i++) write(alice, bob.address, body(1, 200));
    write(alice, bob.address);
    alice.port.remove();
    expect(bob.connection.take().map(({ type }) => type)).toEqual(['envelope', 'notice']);
    expect(router.statistics.drops).toEqual({
      ...noDrops(),
      not_here: 1,
      refused: 1,
      not_allowed: 1,
      too_large: 2,
    });
    expect(limits).toEqual([['frame_size', alice.connection]]);
    // A snapshot, not what is counted in.
    const { drops } = router.statistics;
    write(bob, peerAddress(keyOf(1), 0));
    expect(drops.not_here).toBe(1);
    expect(router.statistics.drops.not_here).toBe(2);
  });

  it('is counted also when its sender has no room for the notice', () => {
    const { router, join } = setUp({ maxQueueBytes: 50 });
    const alice = join(ALICE);
    alice.connection.stuck = true;
    for (let i = 0; i < 10; i++) write(alice, peerAddress(BOB, 0));
    expect(router.statistics.drops.not_here).toBe(10);
    expect(router.statistics.notices).toBe(1);
  });

  it('tells of a frame that is too large and no envelope, once, and the connection ends', () => {
    const { join, limits } = setUp({ maxFrame: 100 });
    const alice = join(ALICE);
    alice.port.receive(new Uint8Array(101).fill(3));
    expect(alice.connection.closes).toMatchObject([{ code: 1009 }]);
    expect(limits).toEqual([['frame_size', alice.connection]]);
  });

  it('tells each limit of each connection once', () => {
    const { join, limits } = setUp({ maxFrame: 100, maxPeers: 1 });
    const [alice, bob, carol] = [join(ALICE), join(BOB), join(CAROL)];
    for (let i = 0; i < 3; i++) {
      for (const client of [alice, bob]) {
        for (const peer of [carol, alice, bob]) write(client, peer.address);
        write(client, carol.address, body(1, 200));
      }
    }
    expect(limits).toEqual([
      ['peers', alice.connection],
      ['frame_size', alice.connection],
      ['peers', bob.connection],
      ['frame_size', bob.connection],
    ]);
  });
});

it('a connection that is ended is heard no more, and told of once', () => {
  const { router, join } = setUp();
  const [alice, bob] = [join(ALICE), join(BOB)];
  write(alice, bob.address);
  alice.port.end(4004, 'not admitted');
  expect(alice.connection.closes).toEqual([{ code: 4004, reason: 'not admitted' }]);
  write(alice, bob.address);
  alice.port.remove();
  expect(bob.connection.take()).toEqual([
    envelope(alice.address, body(7)),
    notice(NoticeReason.PEER_GONE, alice.address),
  ]);
  expect(connectionIdOf(alice.address)).not.toBe(0);
  expect(router.statistics.connections).toBe(1);
});
