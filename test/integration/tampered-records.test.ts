import { afterEach, describe, expect, it, vi } from 'vitest';
import { CLOSE_TIMEOUT } from '../../src/core/constants.js';
import {
  encodeEnvelope,
  encodeListen,
  encodeNotice,
  ENVELOPE_HEADER_LENGTH,
  NoticeReason,
  peerAddress,
} from '../../src/core/frame.js';
import type { ClientSecureWebSocketOptions } from '../../src/socket/client-secure-web-socket-options.js';
import { BodyType } from '../../src/core/sealed-body.js';
import {
  type Attacked,
  attackDirect,
  attackRelayed,
  type LoggedClient,
  type LoggedServer,
} from '../support/attacked.js';
import {
  changingFrames,
  type Direction,
  type InterceptedConnection,
  relaying,
  theFirst,
} from '../support/man-in-the-middle.js';
import { countOn, inBody, REGIONS, set } from '../support/tampered-body.js';
import { mallory } from '../support/registration.js';
import { failedWith, type SocketLog } from '../support/socket-log.js';

const cleanUp: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  vi.useRealTimers();
  for (const step of cleanUp.splice(0).reverse()) await step();
});

const SERVICES: [string, () => Promise<Attacked>][] = [
  ['a direct connection', attackDirect],
  ['a relayed connection', attackRelayed],
];
const DIRECTIONS: Direction[] = ['to client', 'to server'];

/** Two ends that have exchanged a message each way, and somebody between the client and its server. */
interface Pair {
  readonly attacked: Attacked;
  readonly client: LoggedClient;
  readonly service: LoggedServer;
  readonly connection: InterceptedConnection;
  /** Frames from now on. */
  change(direction: Direction, change: (frame: Uint8Array) => Uint8Array | readonly Uint8Array[]): void;
}

async function pairOf(attacked: Attacked, options: ClientSecureWebSocketOptions = {}): Promise<Pair> {
  const client = attacked.dial(options);
  await client.log.opened;
  const connection = attacked.mitm.latest;
  const service = await attacked.connections.next();
  client.socket.send('before');
  expect(await service.log.messages.next()).toBe('before');
  service.socket.send('before');
  expect(await client.log.messages.next()).toBe('before');
  return {
    attacked,
    client,
    service,
    connection,
    change: (direction, change) => {
      attacked.mitm.tampering = changingFrames(connection, direction, change);
    },
  };
}

async function started(start: () => Promise<Attacked>): Promise<Attacked> {
  const attacked = await start();
  cleanUp.push(() => attacked.close());
  return attacked;
}

async function pair(start: () => Promise<Attacked>): Promise<Pair> {
  return pairOf(await started(start));
}

const sender = ({ client, service }: Pair, direction: Direction): { send(data: string): void } =>
  direction === 'to client' ? service.socket : client.socket;

const log = ({ client, service }: Pair, direction: Direction): SocketLog =>
  direction === 'to client' ? client.log : service.log;

const other = (direction: Direction): Direction => (direction === 'to client' ? 'to server' : 'to client');

const BEFORE = ['open', 'message before'];

/** Where the RESET of the attacked end arrives. A service is told of an end without a closing handshake by `close` alone. */
const resetAt = (direction: Direction): string[] =>
  direction === 'to client' ? failedWith('CHANNEL_RESET') : ['close 1006'];

const isError = (entry: string): boolean => entry.startsWith('error');

/** A service is told of the end alone, unless the cause is its own. */
const isAbnormal = (entry: string): boolean => entry === 'close 1006' || entry === 'error CLOSE_TIMEOUT';

/** Lets so many milliseconds pass in the timers of everybody here, and on their clocks. */
function fakeClock(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
}

/** The first frame is changed, so that it is lost: its message arrives all the same, once, and before the next. */
async function losesOne(
  tampered: Pair,
  direction: Direction,
  change: (frame: Uint8Array) => Uint8Array | readonly Uint8Array[],
  text: string,
): Promise<void> {
  let frames = 0;
  tampered.change(direction, frame => (frames++ > 0 ? frame : change(frame)));
  sender(tampered, direction).send(text);
  await expect.poll(() => frames).toBe(1);
  expect(log(tampered, direction).entries).toEqual(BEFORE);
  sender(tampered, direction).send('behind it');
  expect(await log(tampered, direction).messages.take(2)).toEqual([text, 'behind it']);
  await endsWell(tampered, direction, [text, 'behind it']);
}

/** Both ends go on living, and end as they should; nothing came twice. */
async function endsWell(tampered: Pair, direction: Direction, texts: readonly string[]): Promise<void> {
  sender(tampered, other(direction)).send('still here');
  expect(await log(tampered, other(direction)).messages.next()).toBe('still here');
  tampered.client.socket.close(1000);
  const told = texts.map(text => `message ${text}`);
  expect(await log(tampered, direction).closed).toEqual([...BEFORE, ...told, 'close 1000 clean']);
  expect(await log(tampered, other(direction)).closed).toEqual([
    ...BEFORE,
    'message still here',
    'close 1000 clean',
  ]);
}

describe.each(SERVICES)('%s', (_, start) => {
  describe.each(DIRECTIONS)('%s, ends when somebody changes', direction => {
    it('a record, wherever it is changed', { timeout: 20_000 }, async () => {
      const attacked = await started(start);
      for (const [name, change, code] of REGIONS) {
        // The pair before, and what was done to it, is of no concern to this one.
        attacked.mitm.tampering = relaying;
        const tampered = await pairOf(attacked);
        tampered.change(direction, theFirst(inBody(change)));
        // So short that it is no handshake message, whatever its type says.
        sender(tampered, direction).send('bad');
        const [here, there] = [log(tampered, direction), log(tampered, other(direction))];
        expect([name, ...(await here.closed)]).toEqual([name, ...BEFORE, ...failedWith(code)]);
        expect([name, ...(await there.closed)]).toEqual([name, ...BEFORE, ...resetAt(other(direction))]);
      }
    });

    it('the frame around a record', async () => {
      for (const change of [
        (frame: Uint8Array) => set(0, 0x44)(frame),
        (frame: Uint8Array) => frame.slice(0, ENVELOPE_HEADER_LENGTH),
        (frame: Uint8Array) => frame.slice(0, 10),
        () => new Uint8Array(0),
      ]) {
        const tampered = await pair(start);
        tampered.change(direction, theFirst(change));
        sender(tampered, direction).send('tampered');
        const client = await tampered.client.log.closed;
        const service = await tampered.service.log.closed;
        // It is the link that ends.
        const isClient = direction === 'to client';
        expect(client).toEqual([...BEFORE, ...failedWith(isClient ? 'FRAME_MALFORMED' : 'LINK_LOST')]);
        const told = !isClient && start === attackDirect ? failedWith('FRAME_MALFORMED') : ['close 1006'];
        expect(service).toEqual([...BEFORE, ...told]);
      }
    });
  });

  describe.each(DIRECTIONS)(
    '%s, with a client that reconnects, loses nothing when somebody changes',
    direction => {
      it('a record, wherever it is changed, or the frame around it', { timeout: 20_000 }, async () => {
        const attacked = await started(start);
        const changes = REGIONS.map(([name, change]) => [name, inBody(change)] as const);
        // A client whose frame the server takes for a breach is told not to come back (1002).
        const frame = direction === 'to client' ? [['the frame', set(0, 0x44)] as const] : [];
        for (const [name, change] of [...changes, ...frame]) {
          attacked.mitm.tampering = relaying;
          const tampered = await pairOf(attacked, { reconnect: { minDelay: 0, maxDelay: 50 } });
          const { client, service } = tampered;
          const back = new Promise<boolean>(resolve => {
            client.socket.onreconnected = ({ resumed }) => {
              resolve(resumed);
            };
          });
          tampered.change(direction, theFirst(change));
          sender(tampered, direction).send('bad');
          sender(tampered, other(direction)).send('the other way');
          expect([name, await back]).toEqual([name, true]);
          sender(tampered, direction).send('behind it');
          expect(await log(tampered, direction).messages.take(2)).toEqual(['bad', 'behind it']);
          expect(await log(tampered, other(direction)).messages.next()).toBe('the other way');
          client.socket.close(1000);
          const there = ['message bad', 'message behind it', 'close 1000 clean'];
          expect([name, ...(await log(tampered, direction).closed)]).toEqual([name, ...BEFORE, ...there]);
          const here = ['message the other way', 'close 1000 clean'];
          expect([name, ...(await log(tampered, other(direction)).closed)]).toEqual([
            name,
            ...BEFORE,
            ...here,
          ]);
          expect(attacked.connections.pending).toEqual([]);
          expect(service.socket.failure).toBeUndefined();
        }
      });
    },
  );

  describe.each(DIRECTIONS)('%s, when somebody', direction => {
    it('repeats everything, at once and later, delivers each message once', async () => {
      const tampered = await pair(start);
      const seen: Uint8Array[] = tampered.connection
        .sent(direction)
        .filter(message => typeof message !== 'string');
      tampered.change(direction, frame => {
        seen.push(frame);
        return [frame, frame, ...seen, frame];
      });
      const texts = ['one', 'two', 'three'];
      for (const text of texts) {
        sender(tampered, direction).send(text);
        expect(await log(tampered, direction).messages.next()).toBe(text);
      }
      // ... and so goes on living.
      sender(tampered, other(direction)).send('still here');
      expect(await log(tampered, other(direction)).messages.next()).toBe('still here');
      tampered.client.socket.close(1000);
      const entries = [...BEFORE, ...texts.map(text => `message ${text}`), 'close 1000 clean'];
      expect(await log(tampered, direction).closed).toEqual(entries);
    });

    it.each([
      ['an initiation', BodyType.HANDSHAKE_INITIATION],
      ['an answer', BodyType.HANDSHAKE_RESPONSE],
    ])('makes a long record into %s of a handshake, delivers it a little later', async (_name, type) => {
      const tampered = await pair(start);
      await losesOne(tampered, direction, inBody(set(0, type)), 'x'.repeat(200));
    });

    it('changes their order, delivers them in order', async () => {
      const tampered = await pair(start);
      let held: Uint8Array | undefined;
      tampered.change(direction, frame => {
        if (held) return [frame, held];
        held = frame;
        return [];
      });
      sender(tampered, direction).send('first');
      await expect.poll(() => held).toBeDefined();
      sender(tampered, direction).send('second');
      expect(await log(tampered, direction).messages.take(2)).toEqual(['first', 'second']);
      await endsWell(tampered, direction, ['first', 'second']);
    });

    it.each<[string, (frame: Uint8Array) => Uint8Array | readonly Uint8Array[]]>([
      ['loses one', () => []],
      ['makes one look like an old one', inBody(countOn(-1))],
    ])('%s, delivers it a little later', async (_name, change) => {
      await losesOne(await pair(start), direction, change, 'lost');
    });

    it('loses all that was said last, delivers it when that is noticed', async () => {
      const tampered = await pair(start);
      let lost = 0;
      tampered.change(direction, frame => (++lost <= 3 ? [] : frame));
      for (const text of ['one', 'two', 'three']) {
        sender(tampered, direction).send(text);
        await expect.poll(() => lost).toBeGreaterThanOrEqual(['one', 'two', 'three'].indexOf(text) + 1);
      }
      // Nothing comes behind it: the sender has to ask.
      expect(await log(tampered, direction).messages.take(3)).toEqual(['one', 'two', 'three']);
      await endsWell(tampered, direction, ['one', 'two', 'three']);
    });

    it('loses the last message before a sealed CLOSE, delivers it before the end', async () => {
      const tampered = await pair(start);
      let frames = 0;
      tampered.change(direction, frame => (frames++ > 0 ? frame : []));
      sender(tampered, direction).send('lost');
      await expect.poll(() => frames).toBe(1);
      const { client, service } = tampered;
      if (direction === 'to client') service.socket.close(1000);
      else client.socket.close(1000);
      expect(await log(tampered, direction).closed).toEqual([...BEFORE, 'message lost', 'close 1000 clean']);
      expect(await log(tampered, other(direction)).closed).toEqual([...BEFORE, 'close 1000 clean']);
    });

    it('swallows CLOSE and all that follows, does not end cleanly', async () => {
      const tampered = await pair(start);
      fakeClock();
      let swallowed = 0;
      tampered.change(direction, () => {
        swallowed += 1;
        return [];
      });
      const { client, service } = tampered;
      const [closing, closed] = direction === 'to client' ? [service, client] : [client, service];
      closing.socket.send('lost');
      closing.socket.close(1000);
      await expect.poll(() => swallowed).toBeGreaterThan(0);
      vi.advanceTimersByTime(CLOSE_TIMEOUT + 1);
      // The one that closes knows that it was not heard.
      const end = (await closing.log.closed).slice(BEFORE.length);
      expect(end).toEqual(closing === client ? failedWith('CLOSE_TIMEOUT') : end.filter(isAbnormal));
      // The other one heard nothing, and has no reason to believe in an end.
      expect(closed.log.entries).toEqual(BEFORE);
      tampered.connection.cut(1000);
      expect(await closed.log.closed).not.toContain('close 1000 clean');
      expect(closed.log.entries.at(-1)).toBe('close 1006');
    });

    it('swallows the answer to CLOSE, leaves the one that closed in doubt, and the other one only about what it said', async () => {
      for (const lastWords of [false, true]) {
        const tampered = await pair(start);
        const { client, service } = tampered;
        const [closing, closed] = direction === 'to client' ? [client, service] : [service, client];
        tampered.change(direction, () => []);
        if (lastWords) closed.socket.send('last words');
        closing.socket.close(1000);
        await expect.poll(() => closed.socket.readyState).toBe(2);
        tampered.connection.cut();
        expect((await closing.log.closed).at(-1)).toBe('close 1006');
        expect((await closed.log.closed).filter(isError)).toHaveLength(
          lastWords && closed === client ? 1 : 0,
        );
        if (closed === service) expect(service.socket.failure !== undefined).toBe(lastWords);
        else expect(closed.log.entries.at(-1)).toBe(lastWords ? 'close 1000' : 'close 1000 clean');
      }
    });

    it.each([1000, undefined])('cuts the tail off with %s, does not end cleanly', async code => {
      const tampered = await pair(start);
      let frames = 0;
      tampered.change(direction, () => {
        frames += 1;
        return [];
      });
      sender(tampered, direction).send('lost');
      await expect.poll(() => frames).toBe(1);
      tampered.connection.cut(code);
      expect(await tampered.client.log.closed).toEqual([...BEFORE, ...failedWith('LINK_LOST')]);
      expect(await tampered.service.log.closed).toEqual([...BEFORE, 'close 1006']);
      expect(tampered.service.socket.failure?.code).toBe(start === attackDirect ? 'LINK_LOST' : 'PEER_GONE');
    });

    it('sends an end its own messages, ends', async () => {
      const tampered = await pair(start);
      let own: Uint8Array | undefined;
      // What the other end says next is thrown back at it, with the address of the one it is for.
      const { mitm } = tampered.attacked;
      const peer = addressOf(tampered, direction);
      mitm.tampering = changingFrames(tampered.connection, other(direction), frame => {
        own ??= encodeEnvelope(peer, frame.slice(ENVELOPE_HEADER_LENGTH));
        return [];
      });
      sender(tampered, other(direction)).send('to be reflected');
      await expect.poll(() => own).toBeDefined();
      // Its counter is one that is still to come.
      tampered.connection.inject(direction, inBody(countOn(100))(own!));
      expect(await log(tampered, direction).closed).toEqual([...BEFORE, ...failedWith('DECRYPT_FAILED')]);
    });

    it('plays a message of one connection into another, ends neither the first nor delivers anything', async () => {
      const first = await pair(start);
      const recorded = first.connection.sent(direction).filter(message => typeof message !== 'string');
      const second = await pairOf(first.attacked);
      const body = (recorded.at(-1) as Uint8Array).slice(ENVELOPE_HEADER_LENGTH);
      const frame = encodeEnvelope(addressOf(second, direction), body);
      // As it is, and with a counter that is still to come.
      second.connection.inject(direction, frame);
      second.connection.inject(direction, inBody(countOn(100))(frame));
      if (direction === 'to server' && start === attackRelayed) {
        // It names keys that the service shares with the first: nobody but the first can end those.
        second.client.socket.send('unharmed');
        expect(await second.service.log.messages.next()).toBe('unharmed');
      } else {
        expect(await log(second, direction).closed).toEqual([...BEFORE, ...failedWith('DECRYPT_FAILED')]);
      }
      first.client.socket.send('unharmed');
      expect(await first.service.log.messages.next()).toBe('unharmed');
      first.service.socket.send('unharmed');
      expect(await first.client.log.messages.next()).toBe('unharmed');
      for (const { log: told } of [first.client, first.service])
        expect(told.entries).toEqual([...BEFORE, 'message unharmed']);
    });
  });
});

/** The address that frames in this direction bear on their way between the client and its server. */
function addressOf({ connection }: Pair, direction: Direction): Uint8Array {
  const frame = connection
    .sent(direction)
    .filter(message => typeof message !== 'string')
    .at(-1);
  return (frame as Uint8Array).slice(1, ENVELOPE_HEADER_LENGTH);
}

describe.each(SERVICES)('%s, when somebody lies', (_, start) => {
  it('about the source, ends', async () => {
    const tampered = await pair(start);
    tampered.change('to client', frame =>
      encodeEnvelope(peerAddress(mallory.publicKeyBytes, 7), frame.slice(ENVELOPE_HEADER_LENGTH)),
    );
    tampered.service.socket.send('in the name of another');
    expect(await tampered.client.log.closed).toEqual([...BEFORE, ...failedWith('SOURCE_MISMATCH')]);
    expect(await tampered.service.log.closed).toEqual([...BEFORE, ...resetAt('to server')]);
  });

  it('about the destination, loses what it lies about for a while, and no more', async () => {
    const elsewhere = (frame: Uint8Array): Uint8Array =>
      encodeEnvelope(peerAddress(mallory.publicKeyBytes, 7), frame.slice(ENVELOPE_HEADER_LENGTH));
    await losesOne(await pair(start), 'to server', elsewhere, 'to another');
  });

  it('with the notice QUEUE_FULL, changes nothing: what was lost is sent again', async () => {
    const tampered = await pair(start);
    const peer = addressOf(tampered, 'to client');
    const full = encodeNotice(NoticeReason.QUEUE_FULL, peer);
    await losesOne(
      tampered,
      'to server',
      () => {
        tampered.connection.inject('to client', full);
        return [];
      },
      'lost',
    );
  });

  it.each([
    ['NOT_HERE', 'PEER_NOT_HERE'],
    ['REFUSED', 'PEER_REFUSED'],
    ['TOO_LARGE', 'FRAME_TOO_LARGE'],
    ['PEER_GONE', 'PEER_GONE'],
  ] as const)(
    'with the notice %s, is taken at its word, and told apart from a clean end',
    async (reason, code) => {
      const tampered = await pair(start);
      const peer = addressOf(tampered, 'to client');
      // About somebody else it does nothing.
      for (const about of [peerAddress(mallory.publicKeyBytes, 1), peerAddress(peer.subarray(0, 32), 77)]) {
        tampered.connection.inject('to client', encodeNotice(NoticeReason[reason], about));
      }
      tampered.service.socket.send('after');
      expect(await tampered.client.log.messages.next()).toBe('after');
      tampered.connection.inject('to client', encodeNotice(NoticeReason[reason], peer));
      expect(await tampered.client.log.closed).toEqual([...BEFORE, 'message after', ...failedWith(code)]);
    },
  );

  it('about who it is: frames that only clients send, and others that nobody does, end the link', async () => {
    for (const frame of [
      encodeListen(true),
      encodeNotice(NoticeReason.REFUSED, new Uint8Array(36)).subarray(1),
    ]) {
      const tampered = await pair(start);
      tampered.connection.inject('to client', frame);
      expect(await tampered.client.log.closed).toEqual([...BEFORE, ...failedWith('FRAME_MALFORMED')]);
    }
  });
});
