import { expect, describe, it, onTestFinished, vi } from 'vitest';
import { encodeEnvelope, encodeListen, NoticeReason, peerAddress, type Frame } from '../../src/core/frame.js';
import { Identity } from '../../src/core/identity.js';
import { BodyType } from '../../src/core/sealed-body.js';
import { Relay, type RelayLimited, type RelayOptions } from '../../src/relay/relay.js';
import { DROP_REASONS, type DropReason, type LimitName, LIMITS } from '../../src/relay/relay-observer.js';
import { ClientSecureWebSocket } from '../../src/socket/client-secure-web-socket.js';
import { HostileConnection, type Target } from '../support/hostile/hostile-connection.js';
import { register } from '../support/hostile/attack.js';
import { SpaceFollower } from '../support/space-follower.js';
import { EVENTUALLY } from '../support/hostile/siege.js';

vi.setConfig({ testTimeout: 30_000 });

/** A relay on which a limit is to be met, and all that it said of limits. */
interface Scene {
  readonly relay: Relay;
  readonly target: Target;
  readonly limited: RelayLimited[];
}

async function start(options: Partial<RelayOptions>): Promise<Scene> {
  const identity = await Identity.generate();
  const relay = new Relay({ port: 0, host: '127.0.0.1', identity, internal: { port: 0 }, ...options });
  const limited: RelayLimited[] = [];
  relay.on('limited', limit => limited.push(limit));
  await relay.listen();
  onTestFinished(() => relay.close());
  const target = {
    url: relay.url,
    relayKey: identity.publicKeyBytes,
    service: (await Identity.generate()).publicKeyBytes,
  };
  return { relay, target, limited };
}

async function opened(target: Target): Promise<HostileConnection> {
  const connection = await HostileConnection.open(target);
  onTestFinished(() => connection.leave());
  return connection;
}

async function joined(target: Target, identity?: Identity): Promise<HostileConnection> {
  const connection = await register(target, identity);
  onTestFinished(() => connection.leave());
  return connection;
}

/** The value of a metric, as Prometheus sees it. */
async function metric({ relay }: Scene, name: string): Promise<number> {
  const response = await fetch(`${relay.internalUrl ?? ''}/metrics`);
  const line = (await response.text()).split('\n').find(each => each.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1));
}

const envelope = (to: Uint8Array, length = 10, type: number = BodyType.TRANSPORT): Uint8Array => {
  const body = new Uint8Array(length);
  body[0] = type;
  return encodeEnvelope(to, body);
};

const absent = peerAddress(new Uint8Array(32).fill(9), 0);

/** How a client runs into each limit, and what it hears. */
const TRIPS: Record<
  LimitName,
  {
    options: Partial<RelayOptions>;
    trip: (scene: Scene) => Promise<unknown>;
    heard: unknown;
    /** Whether it is known whose connection it was. */
    anonymous?: boolean;
  }
> = {
  connections: {
    options: { maxConnections: 1 },
    trip: async ({ target }) => {
      await joined(target);
      return (await opened(target)).upgrade();
    },
    heard: 503,
    anonymous: true,
  },
  connections_per_ip: {
    options: { maxConnectionsPerIp: 1 },
    trip: async ({ target }) => {
      await joined(target);
      return (await opened(target)).upgrade();
    },
    heard: 429,
    anonymous: true,
  },
  connections_per_key: {
    options: { maxConnectionsPerKey: 1 },
    trip: async ({ relay, target }) => {
      const identity = await Identity.generate();
      await joined(target, identity);
      const url = `${relay.url}/${(await Identity.generate()).publicKey}`;
      const socket = new ClientSecureWebSocket(url, [], { identity, serverKey: relay.publicKey });
      return new Promise(resolve => {
        socket.onerror = ({ error }) => {
          resolve(error.code);
        };
      });
    },
    heard: 'TOO_MANY_CONNECTIONS',
  },
  accept_rate: {
    // Two at once, and then one each second: the third comes before that, or the fourth, or …
    options: { acceptRate: 1 },
    trip: async ({ target }) => {
      for (;;) {
        const status = await (await opened(target)).upgrade();
        if (status !== 101) return status;
      }
    },
    heard: 503,
    anonymous: true,
  },
  unregistered: {
    options: { maxUnregistered: 1, maxUnregisteredPerIp: 5 },
    trip: async ({ target }) => {
      await (await opened(target)).upgrade();
      return (await opened(target)).upgrade();
    },
    heard: 503,
    anonymous: true,
  },
  unregistered_per_ip: {
    options: { maxUnregisteredPerIp: 1 },
    trip: async ({ target }) => {
      await (await opened(target)).upgrade();
      return (await opened(target)).upgrade();
    },
    heard: 429,
    anonymous: true,
  },
  registration_time: {
    options: { registrationTimeout: 50 },
    trip: async ({ target }) => {
      const connection = await opened(target);
      await connection.upgrade();
      return connection.ended;
    },
    heard: 'ws 1008',
    anonymous: true,
  },
  frames: {
    options: { framesPerSecond: 10 },
    trip: ({ target }) => throttled(target, 15, 10),
    heard: { type: 'THROTTLED', limit: 'frames', perSecond: 10 },
  },
  bytes: {
    options: { bytesPerSecond: 10_000 },
    trip: ({ target }) => throttled(target, 3, 9_000),
    heard: { type: 'THROTTLED', limit: 'bytes', perSecond: 10_000 },
  },
  key_frames: {
    options: { keyFramesPerSecond: 10 },
    trip: ({ target }) => throttled(target, 15, 10),
    heard: { type: 'THROTTLED', limit: 'key_frames', perSecond: 10 },
  },
  key_bytes: {
    options: { keyBytesPerSecond: 10_000 },
    trip: ({ target }) => throttled(target, 3, 9_000),
    heard: { type: 'THROTTLED', limit: 'key_bytes', perSecond: 10_000 },
  },
  handshakes: {
    options: { handshakeRate: 1, handshakeBurst: 2 },
    trip: async ({ target }) => {
      const [sender, other] = [await joined(target), await joined(target)];
      const send = (): void => {
        sender.send(envelope(other.address, 150, BodyType.HANDSHAKE_INITIATION));
      };
      return untilNotice(sender, send, 10);
    },
    heard: NoticeReason.HANDSHAKES_LIMITED,
  },
  frame_size: {
    options: { maxFrame: 32_768 },
    trip: async ({ target }) => {
      const sender = await joined(target);
      return untilNotice(sender, () => {
        sender.send(envelope(absent, 33_000));
      });
    },
    heard: NoticeReason.TOO_LARGE,
  },
  queue: {
    options: { maxFrame: 32_768, maxQueueBytes: 65_536, queuePolicy: 'close-slow' },
    trip: async ({ target }) => {
      const [sender, deaf] = [await joined(target), await joined(target)];
      deaf.socket.pause();
      const send = (): void => {
        sender.send(envelope(deaf.address, 30_000));
      };
      const reason = await untilNotice(sender, send, Infinity);
      deaf.socket.resume();
      return [reason, await deaf.ended];
    },
    heard: [NoticeReason.QUEUE_FULL, 'ws 4002'],
  },
  peers: {
    options: { maxPeers: 1 },
    trip: async ({ target }) => {
      const [sender, one, two] = [await joined(target), await joined(target), await joined(target)];
      sender.send(envelope(one.address));
      return untilNotice(sender, () => {
        sender.send(envelope(two.address));
      });
    },
    heard: NoticeReason.TOO_MANY_PEERS,
  },
  spaces: {
    options: { spaces: { maxSpaces: 1 } },
    trip: async ({ target }) => {
      await entered(target, 'one');
      return refusalOf(await entered(target, 'two'));
    },
    heard: 'TOO_MANY_SPACES',
  },
  spaces_per_client: {
    options: { spaces: { maxSpacesPerClient: 1 } },
    trip: async ({ target }) => {
      const { connection } = await entered(target, 'one');
      return refusalOf(await entered(target, 'two', connection));
    },
    heard: 'TOO_MANY_SPACES',
  },
  space_members: {
    options: { spaces: { maxMembers: 1 } },
    trip: async ({ target }) => {
      await entered(target, 'room');
      return refusalOf(await entered(target, 'room'));
    },
    heard: 'SPACE_FULL',
  },
  space_enters: {
    options: { spaces: { entersPerSecond: 1, maxSpacesPerClient: 1_000 } },
    trip: async ({ target }) => {
      // 64 at once, and then one each second.
      const { connection } = await entered(target, 'room');
      for (;;) {
        const reason = refusalOf(await entered(target, 'room', connection));
        if (reason !== undefined) return reason;
      }
    },
    heard: 'RATE',
  },
  space_messages: {
    options: { spaces: { messagesPerSecond: 1 } },
    trip: async ({ target }) => {
      const { connection, follower } = await entered(target, 'room');
      while (follower.refusals.length === 0) {
        const { sequence } = follower;
        connection.send(follower.say('hello'));
        await connection.until(
          () => follower.accepted.includes(sequence + 1) || follower.refusals.length > 0,
        );
      }
      return follower.refusals[0];
    },
    heard: expect.objectContaining({ reason: 'RATE', retryAfter: 1_000 }) as unknown,
  },
  space_window: {
    options: { maxFrame: 32_768, maxQueueBytes: 65_536 },
    trip: async ({ target }) => {
      const [{ connection, follower }, deaf] = [await entered(target, 'room'), await entered(target, 'room')];
      await connection.until(() => follower.roster.size === 2);
      deaf.connection.socket.pause();
      // There is always more under way than a sender may have: when others wait for whoever does not read, it is too much.
      while (follower.refusals.length === 0) {
        while (follower.unaccepted.size < 300) connection.send(follower.say('x'.repeat(20_000)));
        await connection.until(() => follower.unaccepted.size < 200 || follower.refusals.length > 0);
      }
      return follower.refusals[0];
    },
    heard: expect.objectContaining({ reason: 'RATE', retryAfter: 1_000 }) as unknown,
  },
};

/** Somebody has asked to be let into a space, and was answered. */
async function entered(
  target: Target,
  space: string,
  connection?: HostileConnection,
): Promise<{ connection: HostileConnection; follower: SpaceFollower }> {
  const own = connection ?? (await joined(target));
  const membership = (memberships += 1);
  const follower = new SpaceFollower(own.identity as Identity, target.relayKey, space, { membership });
  own.onFrame = frame => {
    follower.receive(frame);
  };
  own.send(follower.enter());
  await own.until(() => follower.isIn || follower.refusals.length > 0);
  return { connection: own, follower };
}

let memberships = 0;

function refusalOf({ follower }: { follower: SpaceFollower }): string | undefined {
  return follower.refusals[0]?.reason;
}

/** Sends more than it may, and waits to be told. */
async function throttled(target: Target, frames: number, length: number): Promise<unknown> {
  const sender = await joined(target);
  let told: unknown;
  sender.onFrame = frame => {
    if (frame.type === 'control') told = frame.control;
  };
  let sent = 0;
  const isAnswered = (): boolean => sender.heard['notice NOT_HERE'] === sent;
  do {
    // Frames are counted when what comes behind them is read.
    for (let i = 0; i < frames; i++, sent++) sender.send(envelope(absent, length));
    await sender.until(() => told !== undefined || isAnswered());
  } while (told === undefined);
  // All of it is read in the end.
  await sender.until(isAnswered);
  return told;
}

/** Sends again and again, up to `times`, until a notice comes: the reason. */
async function untilNotice(sender: HostileConnection, send: () => void, times = 1): Promise<unknown> {
  let reason: NoticeReason | undefined;
  sender.onFrame = (frame: Frame) => {
    if (frame.type === 'notice') reason ??= frame.reason;
  };
  for (let i = 0; i < times && reason === undefined; i++) {
    send();
    await sender.written();
  }
  await sender.until(() => reason !== undefined);
  return reason;
}

describe('each limit is met through a real socket', () => {
  it('and all are here', () => {
    expect(Object.keys(TRIPS)).toEqual([...LIMITS]);
  });

  it.each(LIMITS)('%s', async limit => {
    const { options, trip, heard, anonymous } = TRIPS[limit];
    const scene = await start(options);
    expect(await metric(scene, `secure_websocket_limits_hit_total{limit="${limit}"}`)).toBe(0);
    expect(await trip(scene)).toEqual(heard);
    const { limited } = scene;
    expect(limited.map(each => each.limit)).toEqual([limit]);
    expect(limited[0]?.publicKey === undefined).toBe(anonymous === true);
    expect(await metric(scene, `secure_websocket_limits_hit_total{limit="${limit}"}`)).toBe(1);
  });
});

it('a frame that is larger than any that is read is the limit of frames, too', async () => {
  const scene = await start({ maxFrame: 32_768 });
  const sender = await joined(scene.target);
  sender.send(envelope(absent, 70_000));
  expect(await sender.ended).toBe('ws 1009');
  expect(scene.limited).toMatchObject([{ limit: 'frame_size', publicKey: sender.identity?.publicKey }]);
});

/** How an envelope comes to be dropped for each reason, and what its sender hears. */
const DROPS: Record<
  DropReason,
  { options?: Partial<RelayOptions>; drop: (scene: Scene) => Promise<unknown>; heard: NoticeReason }
> = {
  not_here: {
    drop: async ({ target }) => {
      const sender = await joined(target);
      return untilNotice(sender, () => {
        sender.send(envelope(absent));
      });
    },
    heard: NoticeReason.NOT_HERE,
  },
  refused: {
    drop: async ({ target }) => {
      const sender = await joined(target);
      return untilNotice(sender, () => {
        sender.send(envelope(peerAddress(target.relayKey, 0)));
      });
    },
    heard: NoticeReason.REFUSED,
  },
  not_allowed: {
    options: { reach: { rules: ['deny * *'] } },
    drop: async ({ target }) => {
      const [sender, other] = [await joined(target), await joined(target)];
      other.send(encodeListen(true));
      return untilNotice(sender, () => {
        sender.send(envelope(other.address));
      });
    },
    heard: NoticeReason.NOT_ALLOWED,
  },
  queue_full: {
    options: { ...TRIPS.queue.options, queuePolicy: 'notify' },
    drop: async ({ target }) => {
      const [sender, deaf] = [await joined(target), await joined(target)];
      deaf.socket.pause();
      const send = (): void => {
        sender.send(envelope(deaf.address, 30_000));
      };
      return untilNotice(sender, send, Infinity);
    },
    heard: NoticeReason.QUEUE_FULL,
  },
  too_large: { ...dropsAs('frame_size'), heard: NoticeReason.TOO_LARGE },
  handshakes_limited: { ...dropsAs('handshakes'), heard: NoticeReason.HANDSHAKES_LIMITED },
  too_many_peers: { ...dropsAs('peers'), heard: NoticeReason.TOO_MANY_PEERS },
};

/** An envelope that is dropped because of a limit. */
function dropsAs(limit: LimitName) {
  const { options, trip } = TRIPS[limit];
  return { options, drop: trip };
}

describe('each reason to drop an envelope is met through a real socket', () => {
  it('and all are here', () => {
    expect(Object.keys(DROPS).sort()).toEqual([...DROP_REASONS].sort());
  });

  it.each(DROP_REASONS)('%s', async reason => {
    const { options, drop, heard } = DROPS[reason];
    const scene = await start(options ?? {});
    const name = `secure_websocket_envelopes_dropped_total{reason="${reason}"}`;
    expect(await metric(scene, name)).toBe(0);
    expect(await drop(scene)).toBe(heard);
    const counted = (): number => scene.relay.snapshot().drops[reason];
    expect(counted()).toBeGreaterThan(0);
    // More of them may be on their way.
    await expect.poll(async () => (await metric(scene, name)) - counted(), EVENTUALLY).toBe(0);
    const others = Object.entries(scene.relay.snapshot().drops).filter(
      ([other, count]) => other !== reason && count > 0,
    );
    expect(others).toEqual([]);
  });
});
