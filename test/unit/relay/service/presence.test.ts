import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  decodePresenceReport,
  encodePresenceRequest,
  PRESENCE_TARGET,
  type PresenceRequest,
} from '../../../../src/core/presence.js';
import type { SecureWebSocketError } from '../../../../src/core/errors.js';
import type { ChannelListener } from '../../../../src/link/channel-port.js';
import type { ReservedChannel } from '../../../../src/link/link.js';
import type { RelayClient } from '../../../../src/relay/relay-connection.js';
import {
  CHANGE_INTERVAL,
  MAX_WATCHED,
  MAX_WATCHES_PER_KEY,
  Presence,
  type PresencePolicy,
} from '../../../../src/relay/service/presence.js';

const keyOf = (n: number): string => n.toString(16).padStart(64, '0');
const [ALICE, BOB, CAROL] = [keyOf(0xa), keyOf(0xb), keyOf(0xc)];

/** A channel that a client opens, and what it hears over it. */
class FakeChannel {
  readonly target = PRESENCE_TARGET;
  readonly peerConnectionId = 1;
  readonly channel = { bytesKept: 0 };
  readonly refusals: number[] = [];
  readonly closes: number[] = [];
  readonly errors: string[] = [];
  /** Messages as they were sent. */
  readonly sent: Uint8Array[] = [];
  isPaused = false;
  #listener: ChannelListener | undefined;

  constructor(readonly peerPublicKey: string) {}

  refuse(status: number): void {
    this.refusals.push(status);
  }

  accept(_: string, listener: ChannelListener): this {
    this.#listener = listener;
    return this;
  }

  send(data: Uint8Array): void {
    this.sent.push(data);
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  close(code: number): void {
    this.closes.push(code);
  }

  terminate({ code }: SecureWebSocketError): void {
    this.errors.push(code);
  }

  /** The client says something, and hears the answer if there is one already. */
  async say(request: PresenceRequest): Promise<void> {
    this.#listener?.message(encodePresenceRequest(request), false);
    await turn();
  }

  end(): void {
    this.#listener?.closed({ code: 1000, reason: '', wasClean: true, unacknowledged: [] });
  }

  /** What it was told since it was looked at last: `b: present`, or the states of an answer. */
  get told(): string[] {
    return this.sent.splice(0).flatMap(data => {
      const report = decodePresenceReport(data);
      if (report.type === 'answer') return `${report.request}: ${report.states.join(' ')}`;
      return [...report.states].map(([key, state]) => `${key.slice(-1)} is ${state}`);
    });
  }
}

/** Lets the policy answer; changes wait for their time all the same. */
const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve));
const wait = async (milliseconds: number): Promise<void> => {
  vi.advanceTimersByTime(milliseconds);
  await turn();
};

/** Presence among some who are there. */
function scene(policy: PresencePolicy = true) {
  const here = new Set([ALICE]);
  const failures: unknown[] = [];
  const presence = new Presence({
    policy,
    isPresent: key => here.has(key),
    client: (publicKey, connectionId): RelayClient | undefined =>
      publicKey === keyOf(0) ? undefined : { publicKey, connectionId, remoteAddress: undefined },
    failed: error => failures.push(error),
  });
  const open = (key = keyOf(1)): FakeChannel => {
    const channel = new FakeChannel(key);
    presence.accept(channel as unknown as ReservedChannel);
    return channel;
  };
  const come = (key: string): void => {
    here.add(key);
    presence.changed(key);
  };
  const go = (key: string): void => {
    here.delete(key);
    presence.changed(key);
  };
  return { presence, failures, open, come, go, here };
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});

afterEach(() => {
  vi.useRealTimers();
});

describe('who asks who is present', () => {
  it('is a client that is registered', () => {
    const { open } = scene();
    expect(open(keyOf(0)).refusals).toEqual([403]);
  });

  it('has a bounded number of channels with each key, and gets one for each that has ended', () => {
    const { open } = scene();
    const channels = Array.from({ length: MAX_WATCHES_PER_KEY }, () => open());
    expect(channels.flatMap(({ refusals }) => refusals)).toEqual([]);
    expect(open().refusals).toEqual([429]);
    expect(open(keyOf(2)).refusals).toEqual([]);
    channels[0]?.end();
    expect([open().refusals, open().refusals]).toEqual([[], [429]]);
  });

  it('is answered in the order of its questions, and not read meanwhile', async () => {
    const answers: ((answer: boolean) => void)[] = [];
    const { open } = scene(() => new Promise(resolve => answers.push(resolve)));
    const channel = open();
    await channel.say({ type: 'ask', request: 7, keys: [ALICE] });
    await channel.say({ type: 'ask', request: 8, keys: [] });
    expect([channel.isPaused, channel.told]).toEqual([true, []]);
    answers[0]?.(true);
    await turn();
    expect([channel.isPaused, channel.told]).toEqual([false, ['7: present', '8: ']]);
  });

  it('is told what is the case when it is known that it may know', async () => {
    let allow: (answer: boolean) => void = () => undefined;
    const { open, come } = scene(() => new Promise(resolve => (allow = resolve)));
    const channel = open();
    await channel.say({ type: 'ask', request: 1, keys: [BOB] });
    come(BOB);
    allow(true);
    await turn();
    expect(channel.told).toEqual(['1: present']);
  });

  it('hears nothing of what it may not know, be it so or not', async () => {
    const { open } = scene(false);
    const channel = open();
    await channel.say({ type: 'ask', request: 1, keys: [ALICE, BOB] });
    expect(channel.told).toEqual(['1: unknown unknown']);
  });

  it.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('broken');
      },
    ],
    ['rejects', () => Promise.reject(new Error('broken'))],
  ])('may not know where the policy %s, which is told', async (_, answer) => {
    const { open, failures } = scene(answer as () => boolean);
    const channel = open();
    await channel.say({ type: 'ask', request: 1, keys: [ALICE] });
    expect(channel.told).toEqual(['1: unknown']);
    expect(failures).toEqual([expect.objectContaining({ message: 'broken' })]);
  });

  it('may not know where the policy says neither yes nor no', async () => {
    for (const answer of [1, 'yes', {}, Promise.resolve('yes')]) {
      const { open } = scene(() => answer as never);
      const channel = open();
      await channel.say({ type: 'ask', request: 1, keys: [ALICE] });
      expect(channel.told).toEqual(['1: unknown']);
    }
  });

  it('has to go when it reads no answers', async () => {
    const { open } = scene();
    const channel = open();
    channel.channel.bytesKept = 262_144;
    await channel.say({ type: 'ask', request: 1, keys: [] });
    expect([channel.errors, channel.told]).toEqual([[], ['1: ']]);
    channel.channel.bytesKept = 262_145;
    await channel.say({ type: 'ask', request: 2, keys: [] });
    expect([channel.errors, channel.told]).toEqual([['TOO_SLOW'], []]);
  });
});

describe('who has to go', () => {
  /** A client whose questions wait, until it is said that they may be answered. */
  async function waiting(...requests: PresenceRequest[]) {
    const answers: ((answer: boolean) => void)[] = [];
    const { open } = scene(() => new Promise(resolve => answers.push(resolve)));
    const channel = open();
    for (const request of requests) await channel.say(request);
    const answer = async (): Promise<void> => {
      for (const each of answers.splice(0)) each(false);
      await turn();
    };
    return { channel, answer };
  }

  it('is answered nothing of what it has asked after that', async () => {
    const keys = Array.from({ length: 1_000 }, (_, n) => keyOf(n + 1));
    const { channel, answer } = await waiting(
      { type: 'watch', keys },
      { type: 'watch', keys: [keyOf(2_000)] },
      { type: 'ask', request: 7, keys: [] },
    );
    await answer();
    await answer();
    expect(channel.closes).toEqual([1008]);
    expect(channel.told).not.toContain('7: ');
  });

  it('goes once', async () => {
    const keys = [ALICE];
    const { channel, answer } = await waiting(
      { type: 'ask', request: 1, keys },
      { type: 'ask', request: 2, keys },
      { type: 'ask', request: 3, keys },
    );
    channel.channel.bytesKept = 300_000;
    for (let i = 0; i < 3; i++) await answer();
    expect([channel.errors, channel.told]).toEqual([['TOO_SLOW'], []]);
  });
});

describe('who watches', () => {
  it('is told now, and of changes together, a little later', async () => {
    const { open, come, go } = scene();
    const channel = open();
    await channel.say({ type: 'watch', keys: [ALICE, BOB] });
    expect(channel.told).toEqual(['a is present', 'b is absent']);
    come(BOB);
    go(ALICE);
    // Nobody watches her.
    come(CAROL);
    await wait(CHANGE_INTERVAL - 1);
    expect(channel.told).toEqual([]);
    await wait(1);
    expect(channel.sent).toHaveLength(1);
    expect(channel.told.sort()).toEqual(['a is absent', 'b is present']);
    // And the next time as well.
    go(BOB);
    await wait(CHANGE_INTERVAL);
    expect(channel.told).toEqual(['b is absent']);
  });

  it('hears nothing of who was back in time', async () => {
    const { open, come, go } = scene();
    const channel = open();
    await channel.say({ type: 'watch', keys: [ALICE] });
    expect(channel.told).toHaveLength(1);
    go(ALICE);
    come(ALICE);
    await wait(CHANGE_INTERVAL);
    expect(channel.told).toEqual([]);
  });

  it('is told once more when it asks once more, and counts once', async () => {
    const { presence, open } = scene();
    const channel = open();
    for (let i = 0; i < 2; i++) await channel.say({ type: 'watch', keys: [ALICE] });
    expect(channel.told).toEqual(['a is present', 'a is present']);
    expect(presence.watched).toBe(1);
  });

  it('hears no more of whom it has given up, also of what was about to be told', async () => {
    const asked: string[] = [];
    const { presence, open, go, come } = scene((_, about) => asked.push(about) > 0);
    const channel = open();
    await channel.say({ type: 'watch', keys: [ALICE, BOB] });
    channel.sent.length = asked.length = 0;
    go(ALICE);
    await channel.say({ type: 'unwatch', keys: [ALICE, CAROL] });
    await wait(CHANGE_INTERVAL);
    expect([channel.told, asked]).toEqual([[], []]);
    expect(presence.watched).toBe(1);
    come(ALICE);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is not told more while it does not read, and then what is the case', async () => {
    const { open, come, go } = scene();
    const channel = open();
    await channel.say({ type: 'watch', keys: [BOB, CAROL] });
    channel.sent.length = 0;
    channel.channel.bytesKept = 300_000;
    come(BOB);
    come(CAROL);
    await wait(10 * CHANGE_INTERVAL);
    expect(channel.told).toEqual([]);
    go(BOB);
    await wait(CHANGE_INTERVAL);
    // Nothing else has to happen before it is.
    channel.channel.bytesKept = 0;
    await wait(CHANGE_INTERVAL);
    expect(channel.told).toEqual(['c is present']);
  });

  it('hears at once of whom it begins to watch what has changed of others', async () => {
    const { open, go } = scene();
    const channel = open();
    await channel.say({ type: 'watch', keys: [ALICE] });
    channel.sent.length = 0;
    go(ALICE);
    await channel.say({ type: 'watch', keys: [BOB] });
    expect(channel.told).toEqual(['a is absent', 'b is absent']);
    await wait(CHANGE_INTERVAL);
    expect(channel.told).toEqual([]);
  });

  it('is forgotten with its channel, whatever was under way', async () => {
    const answers: ((answer: boolean) => void)[] = [];
    const { presence, open, go } = scene(() => new Promise(resolve => answers.push(resolve)));
    const [channel, other] = [open(), open()];
    for (const each of [channel, other]) await each.say({ type: 'watch', keys: [ALICE] });
    expect(presence.watched).toBe(2);
    channel.end();
    expect(presence.watched).toBe(1);
    for (const answer of answers.splice(0)) answer(true);
    await turn();
    go(ALICE);
    await wait(CHANGE_INTERVAL);
    for (const answer of answers.splice(0)) answer(true);
    await turn();
    expect([channel.told, other.told]).toEqual([[], ['a is present', 'a is absent']]);
    other.end();
    expect(presence.watched).toBe(0);
    go(ALICE);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is told nothing any more when the relay goes down', async () => {
    const { presence, open, go } = scene();
    const channel = open();
    await channel.say({ type: 'watch', keys: [ALICE] });
    channel.sent.length = 0;
    go(ALICE);
    presence.close();
    await wait(CHANGE_INTERVAL);
    expect(channel.told).toEqual([]);
  });

  it(
    'may watch so many keys over one channel, and the relay so many for all',
    { timeout: 60_000 },
    async () => {
      const { presence, open } = scene(false);
      const watch = async (
        from: number,
        count: number,
        channel = open(keyOf(from)),
      ): Promise<FakeChannel> => {
        await channel.say({ type: 'watch', keys: Array.from({ length: count }, (_, n) => keyOf(from + n)) });
        channel.sent.length = 0;
        return channel;
      };
      const first = await watch(1, 1_000);
      expect(first.closes).toEqual([]);
      await watch(1_001, 1, first);
      expect([first.closes, presence.watched]).toEqual([[1008], 1_000]);
      const others: FakeChannel[] = [];
      for (let n = 1; n < MAX_WATCHED / 1_000; n++) {
        others.push(await watch(n * 1_000 + 1, Math.min(1_000, MAX_WATCHED - n * 1_000)));
      }
      expect(presence.watched).toBe(MAX_WATCHED);
      expect(others.flatMap(({ closes }) => closes)).toEqual([]);
      const late = await watch(1, 1);
      expect([late.closes, presence.watched]).toEqual([[1013], MAX_WATCHED]);
      others[0]?.end();
      expect((await watch(1, 1)).closes).toEqual([]);
    },
  );
});
