import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { fromUtf8, utf8 } from '../../../src/core/bytes.js';
import { DEFAULT_MAX_FRAME } from '../../../src/core/constants.js';
import type { Control } from '../../../src/core/control.js';
import { Endpoint } from '../../../src/core/endpoint.js';
import type { SecureWebSocketError } from '../../../src/core/errors.js';
import {
  decodeFrame,
  encodeControl,
  encodeListen,
  encodeToken,
  FrameType,
  peerAddress,
} from '../../../src/core/frame.js';
import { type RegisteredClient, RegistrationServer } from '../../../src/core/registration.js';
import { TransportKeys } from '../../../src/core/transport-keys.js';
import type { Throttling } from '../../../src/link/channel-port.js';
import { dialChannel } from '../../../src/link/dial.js';
import type { AttemptOptions } from '../../../src/link/dial-options.js';
import type { Link } from '../../../src/link/link.js';
import { leaseLink, type LinkUser } from '../../../src/link/link-pool.js';
import { expectCode } from '../../support/errors.js';
import { alice, crypto, LOCATION, relay } from '../../support/registration.js';
import { transportKeys } from '../../support/transport-keys.js';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const settle = async (): Promise<void> => {
  await vi.advanceTimersByTimeAsync(0);
};

/** A WebSocket without a network, at whose other end is a relay that does what the test says. */
class ScriptedWebSocket extends EventTarget {
  binaryType = 'blob';
  readonly bufferedAmount = 0;
  readyState = 0;
  readonly closes: unknown[][] = [];
  readonly frames: Uint8Array[] = [];
  client: RegisteredClient | undefined;
  #response: string | undefined;
  readonly #registration = new RegistrationServer(
    { identity: relay, now: Date.now() },
    { addresses: [LOCATION, 'wss://server.example'], maxFrame: DEFAULT_MAX_FRAME },
  );

  send(data: string | Uint8Array): void {
    if (typeof data === 'string') this.#response = data;
    else this.frames.push(data.slice());
  }

  close(...args: unknown[]): void {
    this.closes.push(args);
    this.readyState = 2;
  }

  says(data: string | Uint8Array): void {
    this.dispatchEvent(Object.assign(new Event('message'), { data }));
  }

  control(control: Control): void {
    this.says(encodeControl(control));
  }

  /** Up to the answer that admits the client; `atOnce` comes with it. */
  async register(expiresIn?: number, ...atOnce: Control[]): Promise<void> {
    this.readyState = 1;
    this.dispatchEvent(new Event('open'));
    this.says(this.#registration.challenge());
    await settle();
    this.client = this.#registration.receive(this.#response ?? '', Date.now(), performance.now());
    this.says(this.#registration.success(7, expiresIn));
    for (const control of atOnce) this.control(control);
    await settle();
  }

  lose(code: number): void {
    this.readyState = 3;
    this.dispatchEvent(Object.assign(new Event('close'), { code, reason: '' }));
  }

  /** The tokens that were shown since the last call. */
  tokens(): (string | undefined)[] {
    return this.frames.splice(0).map(bytes => {
      const frame = decodeFrame(bytes);
      if (frame.type !== 'token') throw new Error(frame.type);
      const token = this.client?.keys.open(frame.sealed);
      return token && fromUtf8(token);
    });
  }
}

/** A relay, the options that lead to it, and those who share a link to it. */
function setUp(options: Partial<AttemptOptions> = {}) {
  const sockets: ScriptedWebSocket[] = [];
  let dialled: () => void = () => undefined;
  const WebSocket = class extends ScriptedWebSocket {
    constructor() {
      super();
      sockets.push(this);
      dialled();
    }
  };
  const all: AttemptOptions = { identity: alice, WebSocket, trustStore: { check: () => true }, ...options };
  const lease = (more: Partial<AttemptOptions> = {}) => {
    const throttled: Throttling[] = [];
    const ends: SecureWebSocketError[] = [];
    const user: LinkUser = {
      throttled: each => throttled.push(each),
      closed: error => ends.push(error),
    };
    const lease = leaseLink(`${LOCATION}/`, LOCATION, alice, { ...all, ...more }, user);
    lease.ready.catch(() => undefined);
    return {
      ready: lease.ready,
      release: () => {
        lease.release();
      },
      throttled,
      ends,
    };
  };
  return {
    sockets,
    lease,
    options: all,
    /** The latest socket that was dialled, once there is one. */
    socket: async (): Promise<ScriptedWebSocket> => {
      if (sockets.length === 0) await new Promise<void>(resolve => (dialled = resolve));
      return sockets.at(-1) as ScriptedWebSocket;
    },
    registered: async (expiresIn?: number, ...atOnce: Control[]) => {
      const one = lease();
      const socket = sockets.at(-1);
      if (!socket) throw new Error('nothing was dialled');
      await socket.register(expiresIn, ...atOnce);
      const link: Link = await one.ready;
      return { ...one, link, socket };
    },
  };
}

const throttledBy = { type: 'THROTTLED', limit: 'key_bytes', perSecond: 1_000 } as const;

describe('a relay that says THROTTLED', () => {
  it('says it to everybody who shares the link, once', async () => {
    const { lease, registered, sockets } = setUp();
    const one = await registered();
    const [two, gone] = [lease(), lease()];
    await settle();
    gone.release();
    one.socket.control(throttledBy);
    expect([one, two, gone].map(({ throttled }) => throttled.length)).toEqual([1, 1, 0]);
    expect(one.throttled[0]).toMatchObject({ limit: 'key_bytes', perSecond: 1_000 });
    const late = lease();
    await settle();
    expect(late.throttled).toEqual([]);
    expect(sockets).toHaveLength(1);
    for (const each of [one, two, late]) each.release();
    await settle();
  });

  it('together with its first answer is heard, too', async () => {
    const { registered } = setUp();
    const { throttled, release } = await registered(undefined, throttledBy);
    expect(throttled).toHaveLength(1);
    release();
    await settle();
  });
});

describe('a relay that says RESTARTING', () => {
  const restarting = (reconnectIn: number, tryFor: number): Control => ({
    type: 'RESTARTING',
    reconnectIn,
    tryFor,
  });

  it('is left when it has said, and not before', async () => {
    const { registered } = setUp();
    const { link, socket, ends } = await registered();
    const since = performance.now();
    socket.control(restarting(5_000, 30_000));
    expect(link.tryUntil).toBe(since + 35_000);
    await vi.advanceTimersByTimeAsync(4_999);
    expect(link.isClosed).toBe(false);
    link.sendFrame(encodeListen(true));
    expect(socket.frames).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(link.isClosed).toBe(true);
    expect(socket.closes).toHaveLength(1);
    expect(ends).toMatchObject([{ code: 'RESTARTING' }]);
  });

  it('is dialled anew by whoever comes from now on', async () => {
    const { registered, lease, sockets } = setUp();
    const one = await registered();
    one.socket.control(restarting(5_000, 30_000));
    const late = lease();
    expect(sockets).toHaveLength(2);
    await sockets[1]?.register();
    expect(await late.ready).not.toBe(one.link);
    // The old link’s end is not that of the new one.
    await vi.advanceTimersByTimeAsync(5_000);
    expect([one.ends.length, late.ends.length]).toEqual([1, 0]);
    const third = lease();
    await settle();
    expect(await third.ready).toBe(await late.ready);
    for (const each of [late, third]) each.release();
    await settle();
  });

  it('is believed once', async () => {
    const { registered } = setUp();
    const { link, socket } = await registered();
    socket.control(restarting(5_000, 30_000));
    const { tryUntil } = link;
    await vi.advanceTimersByTimeAsync(1_000);
    socket.control(restarting(0, 1));
    socket.control(restarting(60_000, 60_000));
    expect(link.tryUntil).toBe(tryUntil);
    await vi.advanceTimersByTimeAsync(3_999);
    expect(link.isClosed).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(link.isClosed).toBe(true);
  });

  it('cannot make anybody wait, or try, for ever', async () => {
    const { registered } = setUp();
    const { link, socket } = await registered();
    const since = performance.now();
    socket.control(restarting(1e300, 1e300));
    expect(link.tryUntil).toBe(since + 600_000 + 300_000);
    await vi.advanceTimersByTimeAsync(599_999);
    expect(link.isClosed).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(link.isClosed).toBe(true);
  });

  it('together with its first answer is left, too', async () => {
    const { registered } = setUp();
    const { link, ends } = await registered(undefined, restarting(5_000, 30_000));
    expect(link.tryUntil).toBe(performance.now() + 35_000);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(ends).toMatchObject([{ code: 'RESTARTING' }]);
  });

  it('is not left by who has lost it before', async () => {
    const { registered } = setUp();
    const { socket, ends } = await registered();
    socket.control(restarting(5_000, 30_000));
    socket.lose(1012);
    expect(ends).toMatchObject([{ code: 'RESTARTING' }]);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('a relay that says what is not known', () => {
  it('is listened to as if it had said nothing', async () => {
    const { registered } = setUp();
    const { link, socket, throttled, ends, release } = await registered();
    for (const text of ['{"type":"LATER"}', '{"type":"THROTTLED","limit":"words","perSecond":1}']) {
      socket.says(Uint8Array.of(FrameType.CONTROL, ...utf8(text)));
    }
    expect([link.isClosed, throttled, ends, link.tryUntil]).toEqual([false, [], [], undefined]);
    socket.control(throttledBy);
    expect(throttled).toHaveLength(1);
    release();
    await settle();
  });

  it.each([
    ['no JSON', Uint8Array.of(FrameType.CONTROL, 0x7b)],
    ['nothing', Uint8Array.of(FrameType.CONTROL)],
    ['too much', new Uint8Array(1_026).fill(0x20).fill(FrameType.CONTROL, 0, 1)],
    ['what clients say', encodeToken(new Uint8Array(40))],
  ])('is left when it says %s', async (_, frame) => {
    const { registered } = setUp();
    const { link, socket, ends } = await registered();
    socket.says(frame);
    expect(link.isClosed).toBe(true);
    expect(socket.closes).toHaveLength(1);
    expect(ends).toMatchObject([{ code: 'FRAME_MALFORMED' }]);
    // Nobody else gets a link that is over.
    socket.control(throttledBy);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('a relay that lets in for some time', () => {
  it('is shown a fresh token in time, on the same link, again and again', async () => {
    let n = 0;
    const { registered } = setUp({ freshToken: () => `token ${String(++n)}`, token: 'token 0' });
    const { socket, link, ends, release } = await registered(10_000);
    await vi.advanceTimersByTimeAsync(7_999);
    expect(socket.tokens()).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(socket.tokens()).toEqual(['token 1']);
    socket.control({ type: 'TOKEN_ACCEPTED', expiresIn: 20_000 });
    await vi.advanceTimersByTimeAsync(16_000);
    expect(socket.tokens()).toEqual(['token 2']);
    socket.control({ type: 'TOKEN_REFUSED', reason: 'TOKEN_INVALID', message: 'why' });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(socket.tokens()).toEqual(['token 3']);
    socket.control({ type: 'TOKEN_ACCEPTED' });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(socket.tokens()).toEqual([]);
    expect([link.isClosed, ends]).toEqual([false, []]);
    release();
    await settle();
  });

  it('is shown none any more once the link is over, and the keys are wiped', async () => {
    const wipe = vi.spyOn(TransportKeys.prototype, 'wipe');
    const freshToken = vi.fn(() => 'fresh');
    const { registered } = setUp({ freshToken });
    const { socket } = await registered(10_000);
    expect(wipe).not.toHaveBeenCalled();
    socket.lose(1006);
    expect(wipe).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(freshToken).not.toHaveBeenCalled();
  });

  it('is shown none by who has only one, whose keys have served at once', async () => {
    const wipe = vi.spyOn(TransportKeys.prototype, 'wipe');
    const { registered } = setUp({ token: 'the only one' });
    const { socket, link, release } = await registered(10_000);
    expect(wipe).toHaveBeenCalledTimes(1);
    socket.control({ type: 'TOKEN_ACCEPTED', expiresIn: 5_000 });
    socket.control({ type: 'TOKEN_REFUSED', reason: 'TOKEN_INVALID', message: 'why' });
    await vi.advanceTimersByTimeAsync(9_000);
    expect(socket.frames).toEqual([]);
    expect(link.isClosed).toBe(false);
    release();
    await settle();
  });

  it('has one link with those whose tokens come from one function, and others with others', async () => {
    const freshToken = (): string => 'fresh';
    const { registered, lease, sockets } = setUp({ freshToken, token: 'one' });
    const one = await registered(10_000);
    lease({ token: 'two' });
    expect(sockets).toHaveLength(1);
    lease({ freshToken: () => 'fresh', token: 'one' });
    expect(sockets).toHaveLength(2);
    lease({ freshToken: undefined, token: 'one' });
    expect(sockets).toHaveLength(3);
    lease({ freshToken: undefined, token: 'two' });
    expect(sockets).toHaveLength(4);
    lease({ freshToken: undefined, token: 'two' });
    expect(sockets).toHaveLength(4);
    for (const socket of sockets) socket.lose(1006);
    expect(one.link.isClosed).toBe(true);
    await vi.advanceTimersByTimeAsync(60_000);
  });
});

describe('in direct use, where there is no relay', () => {
  const CONTROL = encodeControl(throttledBy);
  const endpoint = (): Endpoint =>
    new Endpoint({
      crypto,
      keyPair: alice.keyPair,
      connectionId: 1,
      maxFrame: DEFAULT_MAX_FRAME,
      wallClock: () => Date.now(),
    });

  it('neither end takes a word of one', () => {
    const [dialling, accepting, relayed] = [endpoint(), endpoint(), endpoint()];
    dialling.adopt(peerAddress(relay.publicKeyBytes, 0), transportKeys(true));
    accepting.acceptDirect();
    for (const each of [dialling, accepting]) {
      expectCode(() => {
        each.receive(CONTROL.slice(), 0);
      }, 'FRAME_MALFORMED');
      expectCode(() => {
        each.receive(Uint8Array.of(FrameType.CONTROL, ...utf8('{"type":"LATER"}')), 0);
      }, 'FRAME_MALFORMED');
      expect(each.takeEvents()).toEqual([]);
    }
    relayed.receive(CONTROL.slice(), 0);
    expect(relayed.takeEvents()).toEqual([{ type: 'control', control: throttledBy }]);
  });

  it('a server that says it is left', async () => {
    vi.useRealTimers();
    const { socket: dialled, options } = setUp();
    const throttled = vi.fn();
    let registered!: () => void;
    const isRegistered = new Promise<void>(resolve => (registered = resolve));
    const closed = new Promise<SecureWebSocketError | undefined>(resolve => {
      dialChannel(new URL('wss://server.example/chat'), [], options, {
        registered,
        message: () => undefined,
        throttled,
        closed: ({ error }) => {
          resolve(error);
        },
      });
    });
    const socket = await dialled();
    vi.useFakeTimers();
    await socket.register();
    vi.useRealTimers();
    await isRegistered;
    socket.says(CONTROL);
    expect(await closed).toMatchObject({ code: 'FRAME_MALFORMED' });
    expect(socket.closes).toHaveLength(1);
    expect(throttled).not.toHaveBeenCalled();
  });
});
