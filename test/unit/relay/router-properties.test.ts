import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeFrame,
  encodeEnvelope,
  encodeListen,
  ENVELOPE_HEADER_LENGTH,
  NoticeReason,
  peerAddress,
} from '../../../src/core/frame.js';
import { Router, type RouterPort } from '../../../src/relay/router.js';
import { FakeConnection } from '../../support/fake-connection.js';

const KEYS = Array.from({ length: 4 }, (_, i) => new Uint8Array(32).fill(0x10 + i));
const OWN_KEY = new Uint8Array(32).fill(0x99);
const ABSENT_KEY = new Uint8Array(32).fill(0x55);
const MAX_FRAME = 600;
const MAX_QUEUE = 4_000;
const MAX_PEERS = 2;
const MAX_HANDSHAKES = 3;

/** What a client should have received: an envelope or a notice, written out byte by byte. */
type Expected = Uint8Array;

interface Client {
  readonly key: Uint8Array;
  readonly id: number;
  readonly connection: FakeConnection;
  readonly port: RouterPort;
  alive: boolean;
  closeCode: number | undefined;
  /** In the order in which they were first written to since they were last forgotten. */
  contacts: Client[];
  /** Handshakes by destination. */
  handshakes: Map<string, number>;
  /** How many frames of `connection.sent` have been looked at. */
  seen: number;
}

type Command =
  | { type: 'join'; key: number }
  | { type: 'return'; client: number; key: number | undefined }
  | { type: 'leave'; client: number }
  | { type: 'listen'; client: number; listening: boolean }
  | { type: 'write'; from: number; to: number; how: How; body: Uint8Array; margin: number; times: number }
  | { type: 'garbage'; client: number; bytes: Uint8Array }
  | { type: 'stick'; client: number; stuck: boolean }
  | { type: 'drain'; client: number; frames: number };
type How = 'exact' | 'newest' | 'wrong id' | 'wrong key' | 'absent' | 'own';

const pick = fc.nat(1_000);
const commands = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ type: fc.constant('join' as const), key: fc.nat(KEYS.length - 1) }) },
    {
      weight: 2,
      arbitrary: fc.record({
        type: fc.constant('return' as const),
        client: pick,
        key: fc.option(fc.nat(KEYS.length - 1), { nil: undefined }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('leave' as const), client: pick }) },
    {
      weight: 3,
      arbitrary: fc.record({ type: fc.constant('listen' as const), client: pick, listening: fc.boolean() }),
    },
    {
      weight: 12,
      arbitrary: fc.record({
        type: fc.constant('write' as const),
        from: pick,
        to: pick,
        how: fc.constantFrom<How>(
          'exact',
          'exact',
          'exact',
          'newest',
          'newest',
          'wrong id',
          'wrong key',
          'absent',
          'own',
        ),
        body: fc.oneof(
          fc.uint8Array({ minLength: 1, maxLength: 60 }),
          // A handshake.
          fc.uint8Array({ maxLength: 40 }).map(rest => Uint8Array.of(1 + (rest.length % 2), ...rest)),
          fc
            .integer({ min: 300, max: MAX_FRAME - ENVELOPE_HEADER_LENGTH + 20 })
            .map(n => new Uint8Array(n).fill(n)),
        ),
        margin: fc.nat(9),
        times: fc.constantFrom(1, 1, 1, 10),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        type: fc.constant('garbage' as const),
        client: pick,
        bytes: fc.oneof(
          fc.uint8Array({ maxLength: 80 }),
          fc.integer({ min: MAX_FRAME - 5, max: MAX_FRAME + 5 }).map(n => new Uint8Array(n).fill(3)),
          fc.uint8Array({ maxLength: 3 }).map(rest => Uint8Array.of(3, ...rest)),
        ),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ type: fc.constant('stick' as const), client: pick, stuck: fc.boolean() }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ type: fc.constant('drain' as const), client: pick, frames: fc.nat(20) }),
    },
  ),
  { maxLength: 120, size: 'max' },
);

/** One of the keys may begin no conversation with the first one. */
function mayInitiate(from: Uint8Array, to: Uint8Array): boolean {
  return Buffer.compare(from, KEYS[1] ?? ABSENT_KEY) !== 0 || Buffer.compare(to, KEYS[0] ?? ABSENT_KEY) !== 0;
}

/** The router beside the simplest thing that does the same. */
class Model {
  readonly clients: Client[] = [];
  /** Alive clients by age of their wish to listen: the last is the newest. */
  readonly listening: Client[] = [];
  /** How many came back while their old connection was still there. */
  replaced = 0;
  readonly #router: Router;
  #draws = 0;

  constructor() {
    this.#router = new Router({
      maxFrame: MAX_FRAME,
      maxQueueBytes: MAX_QUEUE,
      maxPeers: MAX_PEERS,
      ownKey: OWN_KEY,
      mayReach: (from, to) => mayInitiate(Buffer.from(from, 'hex'), Buffer.from(to, 'hex')),
      handshakeLimit: () => {
        const counts = new Map<string, number>();
        return {
          allows: destination => {
            const count = counts.get(destination) ?? 0;
            counts.set(destination, count + 1);
            return count < MAX_HANDSHAKES;
          },
        };
      },
      // Through 0, and every number twice: ids that are taken come up.
      randomUint32: () => (0xfffffffe + Math.floor(this.#draws++ / 2)) >>> 0,
    });
  }

  run(command: Command): void {
    switch (command.type) {
      case 'join':
        this.#join(KEYS[command.key] ?? ABSENT_KEY);
        break;
      case 'return': {
        // Somebody who is here, half-open or gone; or another who wants the same connection id.
        const before = this.clients[command.client % Math.max(1, this.clients.length)];
        if (before) this.#join(KEYS[command.key ?? -1] ?? before.key, before.id);
        break;
      }
      case 'leave':
        this.#with(command.client, client => {
          client.port.remove();
          this.#left(client);
        });
        break;
      case 'listen':
        this.#with(command.client, client => {
          client.port.receive(encodeListen(command.listening));
          this.#listened(client, command.listening);
        });
        break;
      case 'write':
        this.#with(command.from, from => {
          for (let i = 0; i < command.times; i++) this.#write(from, command);
        });
        break;
      case 'garbage':
        this.#with(command.client, client => {
          this.#garbage(client, command.bytes);
        });
        break;
      case 'stick':
        this.#with(command.client, client => {
          client.connection.stuck = command.stuck;
        });
        break;
      case 'drain':
        this.#with(command.client, client => {
          client.connection.drain(command.frames);
          if (command.frames % 2 === 0) client.port.drained();
        });
        break;
    }
    this.#checkInvariants();
  }

  finish(): void {
    for (const client of this.clients) {
      client.port.remove();
      client.port.receive(encodeEnvelope(peerAddress(OWN_KEY, 0), Uint8Array.of(1)));
      if (client.alive) this.#left(client);
    }
    expect(this.#router.statistics).toMatchObject({
      connections: 0,
      listeningKeys: 0,
      contacts: 0,
      queuedBytes: 0,
    });
  }

  #with(index: number, act: (client: Client) => void): void {
    const client = this.clients[index % Math.max(1, this.clients.length)];
    if (client === undefined) return;
    if (client.alive) {
      act(client);
      return;
    }
    // Whatever a connection that is gone still says goes nowhere.
    client.port.receive(encodeListen(true));
    client.port.receive(encodeEnvelope(peerAddress(client.key, 0), Uint8Array.of(1)));
    client.port.remove();
  }

  #join(key: Uint8Array, wanted?: number): void {
    const id = this.#router.allocateConnectionId(key, wanted);
    expect(id).not.toBe(0);
    const holder = this.clients.find(client => client.alive && client.id === wanted);
    const granted = wanted !== undefined && (holder === undefined || holder.key === key);
    if (granted) expect(id).toBe(wanted);
    else expect(this.clients.some(client => client.alive && client.id === id)).toBe(false);
    const connection = new FakeConnection();
    const port = this.#router.add(key, id, connection);
    if (granted && holder !== undefined) {
      expect(holder.connection.closes).toEqual([{ code: 4001, reason: 'replaced' }]);
      this.replaced += 1;
      this.#left(holder);
    }
    this.clients.push({
      key,
      id,
      connection,
      port,
      alive: true,
      closeCode: undefined,
      contacts: [],
      handshakes: new Map(),
      seen: 0,
    });
  }

  #listened(client: Client, listening: boolean): void {
    const at = this.listening.indexOf(client);
    if (at >= 0) this.listening.splice(at, 1);
    if (listening) this.listening.push(client);
  }

  #left(client: Client): void {
    client.alive = false;
    this.#listened(client, false);
    for (const other of this.clients) other.contacts = other.contacts.filter(contact => contact !== client);
    for (const contact of client.contacts) {
      this.#expectNotice(contact, NoticeReason.PEER_GONE, peerAddress(client.key, client.id));
    }
    client.contacts = [];
  }

  #write(from: Client, command: Extract<Command, { type: 'write' }>): void {
    const target = this.clients[command.to % this.clients.length] ?? from;
    const address = {
      exact: peerAddress(target.key, target.id),
      newest: peerAddress(target.key, 0),
      'wrong id': peerAddress(target.key, target.id ^ 0x01000000),
      'wrong key': peerAddress(target.key === KEYS[0] ? ABSENT_KEY : (KEYS[0] ?? ABSENT_KEY), target.id),
      absent: peerAddress(ABSENT_KEY, 0),
      own: peerAddress(OWN_KEY, command.to % 2),
    }[command.how];
    const destination = this.clients.find(client => {
      if (!client.alive || Buffer.compare(client.key, address.subarray(0, 32)) !== 0) return false;
      const id = Buffer.from(address).readUInt32BE(32);
      return id === 0
        ? this.listening.filter(each => each.key === client.key).at(-1) === client
        : client.id === id;
    });
    // Somewhere in a larger buffer, as a network chunk has it.
    const frame = encodeEnvelope(address, command.body);
    const chunk = new Uint8Array(frame.length + 2 * command.margin).fill(0xee);
    chunk.set(frame, command.margin);
    const waiting = destination?.connection.bufferedBytes ?? 0;
    from.port.receive(chunk.subarray(command.margin, command.margin + frame.length));

    const refusal =
      destination && destination !== from ? this.#refusal(from, destination, address, command.body) : 0;
    if (frame.length > MAX_FRAME) {
      this.#expectNotice(from, NoticeReason.TOO_LARGE, address);
    } else if (refusal) {
      this.#expectNotice(from, refusal, address);
    } else if (destination === undefined) {
      this.#expectNotice(from, command.how === 'own' ? NoticeReason.REFUSED : NoticeReason.NOT_HERE, address);
    } else {
      const stamped = encodeEnvelope(peerAddress(from.key, from.id), command.body);
      const delivered = destination.connection.sent.length > destination.seen;
      // The bound of bytes is exact, beneath it the bound of frames may refuse: never when nothing waits.
      if (waiting + frame.length > MAX_QUEUE) this.#expectNotice(from, NoticeReason.QUEUE_FULL, address);
      else if (waiting === 0 || delivered) this.#expectDelivered(from, destination, stamped);
      else this.#expectNotice(from, NoticeReason.QUEUE_FULL, address);
    }
    for (let i = 0; i < command.margin; i++) {
      if (chunk[i] !== 0xee || chunk[chunk.length - 1 - i] !== 0xee)
        expect.fail('bytes around the frame have changed');
    }
  }

  /** Why the relay does not take an envelope, although its destination is here. */
  #refusal(from: Client, to: Client, address: Uint8Array, body: Uint8Array): NoticeReason | 0 {
    if (body.length > MAX_FRAME - ENVELOPE_HEADER_LENGTH) return 0;
    if (from.contacts.length >= MAX_PEERS && !from.contacts.includes(to)) return NoticeReason.TOO_MANY_PEERS;
    if (body[0] === 1 || body[0] === 2) {
      const name = Buffer.from(address).toString('hex');
      const count = from.handshakes.get(name) ?? 0;
      from.handshakes.set(name, count + 1);
      if (count >= MAX_HANDSHAKES) return NoticeReason.HANDSHAKES_LIMITED;
    }
    if (mayInitiate(from.key, to.key)) return 0;
    return to.contacts.includes(from) && mayInitiate(to.key, from.key) ? 0 : NoticeReason.NOT_ALLOWED;
  }

  #expectDelivered(from: Client, destination: Client, stamped: Expected): void {
    this.#expectNext(destination, stamped);
    if (destination === from || from.contacts.includes(destination)) return;
    from.contacts.push(destination);
  }

  #garbage(client: Client, bytes: Uint8Array): void {
    let listening: boolean | undefined;
    let code = bytes.length > MAX_FRAME ? 1009 : 1002;
    if (bytes[0] === 1 && bytes.length > ENVELOPE_HEADER_LENGTH) return; // `write` covers these
    try {
      const frame = decodeFrame(bytes);
      if (frame.type === 'listen') listening = frame.listening;
    } catch {
      // Malformed.
    }
    client.port.receive(bytes.slice());
    if (listening !== undefined) {
      this.#listened(client, listening);
      code = 0;
    }
    expect(client.connection.closes.map(close => close.code)).toEqual(code === 0 ? [] : [code]);
    if (code !== 0) this.#left(client);
  }

  /** A notice, unless so much waits already that there is no room for it. */
  #expectNotice(to: Client, reason: NoticeReason, address: Uint8Array): void {
    const frame = to.connection.sent[to.seen];
    if (frame === undefined) {
      // Room for a notice is only ever missing behind what waits.
      expect(to.connection.bufferedBytes, 'bytes that explain a missing notice').toBeGreaterThan(0);
      return;
    }
    this.#expectNext(to, Uint8Array.of(2, reason, ...address));
  }

  #expectNext(to: Client, expected: Expected): void {
    expect(Buffer.from(to.connection.sent[to.seen] ?? []).toString('hex')).toBe(
      Buffer.from(expected).toString('hex'),
    );
    to.seen += 1;
  }

  #checkInvariants(): void {
    for (const client of this.clients) {
      // Nobody got anything but what was expected, and no queue is beyond its bound. (`expect` takes its time.)
      const { sent, bufferedBytes } = client.connection;
      if (sent.length !== client.seen) expect(sent.length).toBe(client.seen);
      if (bufferedBytes > MAX_QUEUE) expect(bufferedBytes).toBeLessThanOrEqual(MAX_QUEUE);
    }
    const alive = this.clients.filter(client => client.alive);
    expect(this.#router.statistics).toMatchObject({
      connections: alive.length,
      listeningKeys: new Set(this.listening.map(client => client.key)).size,
      contacts: alive.reduce((sum, client) => sum + client.contacts.length, 0),
    });
  }
}

describe('the router', () => {
  it('does what the simplest model of it does, whatever its clients do', () => {
    let delivered = 0;
    let replaced = 0;
    const notices = new Map<number, number>();
    fc.assert(
      fc.property(commands, list => {
        const model = new Model();
        for (const command of list) model.run(command);
        model.finish();
        replaced += model.replaced;
        for (const frame of model.clients.flatMap(client => client.connection.sent)) {
          if (frame[0] === 1) delivered += 1;
          else notices.set(frame[1] ?? 0, (notices.get(frame[1] ?? 0) ?? 0) + 1);
        }
      }),
      { numRuns: 300 },
    );
    // The commands reach every outcome, often.
    expect(delivered).toBeGreaterThan(1_000);
    expect(replaced).toBeGreaterThan(100);
    expect(new Set(notices.keys())).toEqual(new Set(Object.values(NoticeReason)));
  }, 60_000);

  it('survives any bytes on any connection', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(2), fc.uint8Array({ maxLength: 120 })), { maxLength: 30 }),
        frames => {
          const router = new Router({ randomUint32: () => 1 });
          const ports = KEYS.slice(0, 3).map((key, i) => router.add(key, i + 1, new FakeConnection()));
          for (const [index, bytes] of frames) ports[index]?.receive(bytes);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('keeps nothing of a connection that is gone, even for a peer that stays', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const router = new Router({ randomUint32: () => Math.floor(Math.random() * 2 ** 32) });
    const [stayingKey, comingKey] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
    const staying = router.add(stayingKey, 1, new FakeConnection());
    staying.receive(encodeListen(true));
    const come = (id: number): WeakRef<object>[] => {
      const connection = new FakeConnection();
      const port = router.add(comingKey, id, connection);
      port.receive(encodeListen(true));
      port.receive(encodeEnvelope(peerAddress(stayingKey, 0), Uint8Array.of(1)));
      staying.receive(encodeEnvelope(peerAddress(comingKey, id), Uint8Array.of(1)));
      expect(connection.sent).toHaveLength(1);
      connection.stuck = true;
      for (let i = 0; i < 5; i++)
        staying.receive(encodeEnvelope(peerAddress(comingKey, id), Uint8Array.of(1)));
      port.remove();
      return [new WeakRef(connection), new WeakRef(port)];
    };
    const gone = Array.from({ length: 20 }, (_, i) => come(i + 2)).flat();
    for (let attempt = 0; attempt < 10 && gone.some(each => each.deref() !== undefined); attempt++) {
      await new Promise(resolve => setImmediate(resolve));
      collect();
    }
    expect(gone.filter(each => each.deref() !== undefined)).toEqual([]);
    expect(router.statistics).toMatchObject({ connections: 1, contacts: 0, queuedBytes: 0 });
  });
});
