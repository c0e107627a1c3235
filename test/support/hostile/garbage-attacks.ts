import { encodeEnvelope, encodeNotice, encodeToken, NoticeReason } from '../../../src/core/frame.js';
import { Identity } from '../../../src/core/identity.js';
import { BROKEN_FRAMES, rawFrame } from '../raw-frames.js';
import { type Attack, flood, type Plan, register } from './attack.js';
import type { HostileConnection } from './hostile-connection.js';
import { count, type Tally } from './tally.js';

/** Bytes that no client sends. Each connection stays until the relay has ended it, unless it says so. */
export const GARBAGE_ATTACKS = {
  /** Random bytes in place of a request. */
  asRequest: plan =>
    flood(
      plan,
      async connection => {
        connection.write(plan.random.bytes(2_000));
        await connection.ended;
      },
      { tcp: true },
    ),

  /** Random bytes in place of an answer to the challenge. */
  beforeRegistration: plan =>
    flood(plan, async connection => {
      if ((await connection.upgrade()) !== 101) return;
      // More than an unregistered client may send: whatever they mean, they are not waited for.
      connection.write(plan.random.bytes(20_000));
      await connection.ended;
    }),

  /** Random bytes once it is registered. */
  afterRegistration: plan =>
    registered(plan, async connection => {
      // The first bit that is looked at is a reserved one, every other time.
      connection.write(Buffer.concat([Buffer.of(0x80 | plan.random.below(128)), plan.random.bytes(5_000)]));
      await endOf(connection);
    }),

  /** Frames of random bytes, each in a proper WebSocket frame. */
  unknownFrames: plan =>
    registered(plan, async connection => {
      for (let i = 0; i < 50; i++) {
        const frame = plan.random.bytes(1 + plan.random.below(300));
        // Types 1 and 3 are those that a client may send.
        frame[0] = plan.random.pick([0, 2, 4, 5, 6, 9, 0x7f, 0xff]);
        connection.send(frame);
      }
      await connection.ended;
    }),

  /** A good envelope, in a frame that says it is compressed. */
  compressed: plan =>
    registered(plan, async connection => {
      const frame = rawFrame(encodeEnvelope(connection.address, Uint8Array.of(1)));
      frame[0] = 0xc2;
      connection.write(frame);
      await connection.until(() => connection.heard['envelope'] === 1);
      await connection.leave();
    }),

  /** What RFC 6455 forbids: reserved, unmasked, of no known kind. */
  brokenFrames: plan =>
    registered(plan, async (connection, index) => {
      const [, bytes] = BROKEN_FRAMES[index % BROKEN_FRAMES.length] as [string, Buffer];
      connection.write(bytes);
      await connection.ended;
    }),

  /** Frames that say they are far larger than any may be. */
  giantsAnnounced: plan =>
    registered(plan, async connection => {
      connection.write(Buffer.from([0x82, 0xff, 0, 0, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
      await connection.ended;
    }),

  /** Frames that are larger than any may be, and are sent. */
  giantsSent: plan =>
    registered(plan, async connection => {
      const frame = rawFrame(encodeEnvelope(connection.address, new Uint8Array(1_000_000)));
      for (let i = 0; i < 4; i++) connection.write(frame);
      await connection.ended;
    }),

  /** A message in more fragments than one may have, of one byte each. */
  tinyFragments: plan =>
    registered(plan, async connection => {
      const fragment = rawFrame(Uint8Array.of(1), 0x0, false);
      connection.write(rawFrame(Uint8Array.of(1), 0x2, false));
      connection.write(Buffer.concat(Array.from({ length: 5_000 }, () => fragment)));
      await connection.ended;
    }),

  /** Whole messages in as many fragments of one byte as they may have: slow to read, but allowed. It leaves by itself. */
  fragmentedMessages: plan =>
    registered(plan, async connection => {
      // To itself: what arrives has been read.
      const message = encodeEnvelope(connection.address, new Uint8Array(900));
      const last = message.length - 1;
      const fragments = Array.from(message, (byte, at) =>
        rawFrame(Uint8Array.of(byte), at === 0 ? 0x2 : 0x0, at === last),
      );
      for (let i = 0; i < 5; i++) connection.write(Buffer.concat(fragments));
      await connection.until(() => connection.heard['envelope'] === 5);
    }),

  /** Pings by the thousand. It leaves by itself. */
  pings: plan =>
    registered(plan, async connection => {
      connection.write(
        Buffer.concat(Array.from({ length: 5_000 }, () => rawFrame(new Uint8Array(125), 0x9))),
      );
      connection.send(encodeEnvelope(connection.address, Uint8Array.of(1)));
      await connection.until(() => connection.heard['envelope'] === 1);
    }),

  /** A fresh token where none is expected. */
  tokens: plan =>
    registered(plan, async connection => {
      connection.send(encodeToken(plan.random.bytes(100)));
      await connection.ended;
    }),

  /** What only a relay says. */
  relaysFrames: plan =>
    registered(plan, async connection => {
      connection.send(encodeNotice(NoticeReason.PEER_GONE, connection.address));
      await connection.ended;
    }),
} satisfies Record<string, Attack>;

/** Recorded answers to a challenge, sent again on other connections. `count`: how often. */
export const REPLAYS = {
  /** Of one that was accepted, while that connection lives: and lives on. */
  ofTheLiving: async plan => {
    const victim = await register(plan.target);
    const ends = await replay(plan, victim.response);
    victim.send(encodeEnvelope(victim.address, Uint8Array.of(1)));
    if (!(await victim.until(() => victim.heard['envelope'] === 1))) count(ends, 'the owner was ended');
    await victim.leave();
    return ends;
  },

  /** Of one that is gone. */
  ofTheDead: async plan => {
    const victim = await register(plan.target);
    await victim.leave();
    return replay(plan, victim.response);
  },
} satisfies Record<string, Attack>;

async function replay(plan: Plan, response: string): Promise<Tally> {
  return flood(plan, async connection => {
    if ((await connection.upgrade()) !== 101) return;
    await connection.text();
    connection.write(rawFrame(Buffer.from(response), 0x1));
    await connection.ended;
  });
}

/** Connections that register first. Those that are not let in are counted as such. */
async function registered(
  plan: Plan,
  act: (connection: HostileConnection, index: number) => Promise<unknown>,
): Promise<Tally> {
  const outside: Tally = {};
  const inside = await flood(
    plan,
    async (connection, index) => {
      if (await connection.register(plan.target, await Identity.generate())) await act(connection, index);
      else count(outside, 'not let in');
    },
    { atOnce: 8 },
  );
  return { ...inside, ...outside };
}

/** Random bytes may be the beginning of a frame whose rest the relay waits for: then it goes by itself. */
async function endOf(connection: HostileConnection): Promise<void> {
  connection.socket.end();
  await connection.ended;
}
