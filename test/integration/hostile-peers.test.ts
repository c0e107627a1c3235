import { once } from 'node:events';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import {
  DEFAULT_MAX_FRAME,
  MAX_REGISTRATION_MESSAGE,
  MIN_MAX_FRAME,
  REGISTRATION_TIMEOUT,
} from '../../src/core/constants.js';
import {
  encodeEnvelope,
  encodeListen,
  encodeNotice,
  NoticeReason,
  peerAddress,
} from '../../src/core/frame.js';
import { Identity } from '../../src/core/identity.js';
import { RegistrationClient } from '../../src/core/registration.js';
import { beneath, BROKEN_FRAMES, rawFrame } from '../support/raw-frames.js';
import { closing, RelayClient } from '../support/relay-client.js';
import { directVictim, relayedVictim, type Victim } from '../support/victims.js';

const cleanUp: (() => unknown)[] = [];

afterEach(async () => {
  vi.useRealTimers();
  for (const step of cleanUp.splice(0).reverse()) await step();
});

const VICTIMS: [string, () => Promise<Victim>][] = [
  ['a service that is dialled itself', directVictim],
  ['a relay', relayedVictim],
];

async function victimOf(start: () => Promise<Victim>): Promise<Victim> {
  const victim = await start();
  cleanUp.push(() => victim.close());
  return victim;
}

/** A client that does not register by itself, and the challenge that it was sent. */
async function challenged(victim: Victim): Promise<{ ws: WebSocket; challenge: string }> {
  const ws = new WebSocket(victim.url);
  ws.on('error', () => undefined);
  cleanUp.push(() => {
    ws.terminate();
  });
  const [challenge] = (await once(ws, 'message')) as [Buffer];
  return { ws, challenge: challenge.toString() };
}

const stranger = async (victim: Victim): Promise<WebSocket> => (await challenged(victim)).ws;

async function registered(victim: Victim): Promise<RelayClient> {
  const client = await RelayClient.connect(victim.url);
  cleanUp.push(() => {
    client.ws.terminate();
  });
  return client;
}

/** Waits for what takes its time on a busy machine. */
const eventually = <Value>(look: () => Value): ReturnType<typeof expect.poll<Value>> =>
  expect.poll(look, { timeout: 15_000, interval: 10 });

const SOMEBODY = peerAddress((await Identity.generate()).publicKeyBytes, 5);

describe.each(VICTIMS)('%s serves others while', (_, start) => {
  it('clients keep silent, or say all but the last byte, until their time is over', async () => {
    const victim = await victimOf(start);
    const before = victim.sockets.size;
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const slow = await Promise.all(Array.from({ length: 6 }, () => challenged(victim)));
    const ends = slow.map(({ ws }) => closing(ws));
    for (const { ws, challenge } of slow.slice(1)) {
      const identity = await Identity.generate();
      const registration = new RegistrationClient({ identity, now: Date.now() }, victim.url);
      registration.challenge(challenge, Date.now());
      const response = rawFrame(Buffer.from(registration.response(Date.now())), 0x1);
      for (const byte of response.subarray(0, -1)) beneath(ws).write(Buffer.of(byte));
    }
    await victim.serves();
    vi.advanceTimersByTime(REGISTRATION_TIMEOUT);
    expect((await Promise.all(ends)).map(({ code }) => code)).toEqual(slow.map(() => 1008));
    expect(await victim.refusals.take(slow.length)).toEqual(slow.map(() => 'REGISTRATION_TIMEOUT'));
    await eventually(() => victim.sockets.size).toBe(before);
    vi.useRealTimers();
    await victim.serves();
  });

  it('clients neither register nor read that they are refused', async () => {
    const victim = await victimOf(start);
    const before = victim.sockets.size;
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const deaf = await Promise.all(Array.from({ length: 6 }, () => stranger(victim)));
    for (const ws of deaf) ws.pause();
    expect(victim.sockets.size).toBe(before + deaf.length);
    vi.advanceTimersByTime(REGISTRATION_TIMEOUT);
    // They have a moment to read why.
    vi.advanceTimersByTime(1_000);
    await eventually(() => victim.sockets.size).toBe(before);
    vi.useRealTimers();
    await victim.serves();
  });

  it.each<[string, (ws: WebSocket) => void]>([
    ['bytes', ws => ws.send(Uint8Array.of(1, 2, 3))],
    ['a frame', ws => ws.send(encodeEnvelope(SOMEBODY, Uint8Array.of(4, 5)))],
    ['no text', ws => ws.send('')],
    ['text that is no JSON', ws => ws.send('hello')],
    ['what only a server says', ws => ws.send('{"type":"REGISTER_SUCCESS","noise":"AAAA"}')],
    ['much text', ws => ws.send('x'.repeat(MAX_REGISTRATION_MESSAGE + 1))],
    ['very much text', ws => ws.send('x'.repeat(200_000))],
    [
      'a message that has no end',
      ws => {
        for (let i = 0; i < 20; i++) ws.send('x'.repeat(1_000), { fin: false });
      },
    ],
    [
      'a message without content that has no end',
      ws => {
        for (let i = 0; i < 2_000; i++) ws.send('', { fin: false });
      },
    ],
    [
      'a large message, bit by bit',
      ws => {
        const frame = rawFrame(new Uint8Array(DEFAULT_MAX_FRAME), 0x1);
        for (let i = 0; i < 2 * MAX_REGISTRATION_MESSAGE; i += 500)
          beneath(ws).write(frame.subarray(i, i + 500));
      },
    ],
  ])('a client says %s before it is registered', async (_name, say) => {
    const victim = await victimOf(start);
    const ws = await stranger(victim);
    const end = closing(ws);
    say(ws);
    expect(await victim.refusals.next()).toBe('REGISTRATION_MALFORMED');
    expect((await end).code).toBe(1008);
    await victim.serves();
  });

  it('clients break the rules of WebSockets', async () => {
    const victim = await victimOf(start);
    const before = victim.sockets.size;
    for (const [name, bytes] of BROKEN_FRAMES) {
      for (const ws of [await stranger(victim), (await registered(victim)).ws]) {
        const end = closing(ws);
        beneath(ws).write(bytes);
        expect([1002, 1006, 1007, 1008, 1009], name).toContain((await end).code);
      }
    }
    await eventually(() => victim.sockets.size).toBe(before);
    await victim.serves();
  });

  it('clients send text after registration', async () => {
    const victim = await victimOf(start);
    for (const text of ['', 'hello', '{"type":"CHALLENGE_RESPONSE","noise":"AAAA"}']) {
      const client = await registered(victim);
      client.ws.send(text);
      expect((await client.closed).code).toBe(1002);
    }
    await victim.serves();
  });

  it('clients send what is no frame', async () => {
    const victim = await victimOf(start);
    const frames = [
      new Uint8Array(0),
      encodeEnvelope(SOMEBODY, new Uint8Array(0)),
      encodeListen(true).slice(0, 1),
      Uint8Array.of(3, 2),
    ];
    if (victim.relay) frames.push(encodeNotice(NoticeReason.PEER_GONE, SOMEBODY));
    else frames.push(encodeListen(true));
    for (let type = 4; type < 256; type += 12) {
      frames.push(Uint8Array.of(type, ...(await Identity.generate()).exportSeed().subarray(0, type % 32)));
    }
    for (const frame of frames) {
      const client = await registered(victim);
      // What comes behind it is not looked at.
      for (let i = 0; i < 10; i++) client.send(frame);
      expect((await client.closed).code, Buffer.from(frame).toString('hex')).toBe(1002);
    }
    await victim.serves();
  });

  it('clients send frames that are far too large', async () => {
    const victim = await victimOf(start);
    const client = await registered(victim);
    client.send(encodeEnvelope(SOMEBODY, new Uint8Array(2 * DEFAULT_MAX_FRAME)));
    expect((await client.closed).code).toBe(1009);
    await victim.serves();
  });

  it('clients send messages in far too many fragments', async () => {
    const victim = await victimOf(start);
    for (const size of [0, 1]) {
      const client = await registered(victim);
      const fragment = rawFrame(new Uint8Array(size), 0x0, false);
      const fragments = Array.from({ length: 2_000 }, () => fragment);
      beneath(client.ws).write(Buffer.concat([rawFrame(new Uint8Array(size), 0x2, false), ...fragments]));
      expect((await client.closed).code).toBe(1008);
    }
    await victim.serves();
  });

  it('clients send pings without end and read nothing', async () => {
    const victim = await victimOf(start);
    const before = victim.sockets.size;
    const client = await registered(victim);
    client.ws.pause();
    const socket = beneath(client.ws);
    const gone = new Promise(resolve => socket.once('close', resolve));
    const pings = Buffer.concat(Array.from({ length: 500 }, () => rawFrame(new Uint8Array(125), 0x9)));
    let most = 0;
    for (let i = 0; i < 1_000 && !socket.destroyed; i++) {
      if (!socket.write(pings))
        await Promise.race([new Promise(resolve => socket.once('drain', resolve)), gone]);
      most = Math.max(most, victim.buffered());
    }
    expect(most).toBeLessThan(2_000_000);
    await eventually(() => victim.sockets.size).toBe(before);
    await victim.serves();
  });

  it('clients ask for what is not there, without end, and read no answer', async () => {
    const victim = await victimOf(start);
    const client = await registered(victim);
    client.ws.pause();
    const socket = beneath(client.ws);
    const frame = rawFrame(encodeEnvelope(SOMEBODY, Uint8Array.of(1)));
    const frames = Buffer.concat(Array.from({ length: 5_000 }, () => frame));
    for (let i = 0; i < 4; i++) {
      const read = victim.bytesRead(socket);
      socket.write(frames);
      await victim.serves();
      await eventually(() => victim.bytesRead(socket) - read).toBe(frames.length);
    }
    await victim.serves();
  });

  it('clients vanish, wherever they are', async () => {
    const victim = await victimOf(start);
    const before = victim.sockets.size;
    for (let i = 0; i < 10; i++) {
      (await stranger(victim)).terminate();
      const half = await stranger(victim);
      half.send('{"type":', { fin: false });
      half.terminate();
      const client = await registered(victim);
      beneath(client.ws).write(rawFrame(encodeEnvelope(SOMEBODY, new Uint8Array(500))).subarray(0, 100));
      client.ws.terminate();
      (await registered(victim)).ws.terminate();
    }
    await eventually(() => victim.sockets.size).toBe(before);
    if (victim.relay) {
      expect(victim.relay.statistics).toMatchObject({ unregistered: 0, connections: before, queuedBytes: 0 });
    }
    await victim.serves();
  });
});

describe('a relay serves others while', () => {
  const limits = { maxFrame: MIN_MAX_FRAME, maxQueueBytes: 262_144 };

  it('clients say that they listen, and not, and listen, without end', async () => {
    const victim = await victimOf(relayedVictim);
    const client = await registered(victim);
    const both = Buffer.concat(
      [encodeListen(true), encodeListen(true), encodeListen(false)].map(each => rawFrame(each)),
    );
    beneath(client.ws).write(Buffer.concat(Array.from({ length: 10_000 }, () => both)));
    // Whatever the relay answers next, it has seen all of it by then.
    client.send(encodeEnvelope(SOMEBODY, Uint8Array.of(1)));
    expect(await client.frames.next()).toMatchObject({ type: 'notice', reason: NoticeReason.NOT_HERE });
    expect(victim.relay?.statistics.listeningKeys).toBe(1);
    await victim.serves();
  });

  it('one floods another that reads nothing', { timeout: 20_000 }, async () => {
    const victim = await victimOf(() => relayedVictim({}, limits));
    const [sender, deaf] = [await registered(victim), await registered(victim)];
    deaf.ws.pause();
    const envelope = encodeEnvelope(deaf.address, new Uint8Array(MIN_MAX_FRAME - 100));
    let full = 0;
    for (let sent = 0; full < 500; sent += 50) {
      for (let i = 0; i < 50; i++) sender.send(envelope);
      // The answer to this one comes behind the others.
      sender.send(encodeEnvelope(SOMEBODY, Uint8Array.of(1)));
      for (;;) {
        const frame = await sender.frames.next();
        if (frame.type !== 'notice') throw new Error(frame.type);
        if (frame.reason === NoticeReason.NOT_HERE) break;
        expect(frame.reason).toBe(NoticeReason.QUEUE_FULL);
        full += 1;
      }
      expect(victim.relay?.statistics.queuedBytes).toBeLessThan(2 * limits.maxQueueBytes);
      expect(victim.buffered()).toBeLessThan(limits.maxQueueBytes + 100_000);
      if (sent > 20_000) throw new Error('Its queue is never full.');
    }
    await victim.serves();
    deaf.ws.terminate();
    await eventually(() => victim.relay?.statistics.queuedBytes).toBe(0);
    await victim.serves();
  });

  it('one floods the service with what it does not understand', async () => {
    const victim = await victimOf(relayedVictim);
    const client = await registered(victim);
    const service = peerAddress(Buffer.from(victim.service.publicKey ?? '', 'hex'), 0);
    for (const type of [0, 1, 2, 3, 4, 255]) {
      for (const length of [1, 20, 150, 5_000]) {
        const body = new Uint8Array(length).fill(type + length);
        body[0] = type;
        for (let i = 0; i < 50; i++) client.send(encodeEnvelope(service, body));
      }
    }
    await victim.serves();
    expect(victim.connections.pending).toEqual([]);
  });
});
