import { describe, expect, it } from 'vitest';
import type { Channel } from '../../../src/core/channel.js';
import { DEFAULT_MAX_FRAME } from '../../../src/core/constants.js';
import { Endpoint } from '../../../src/core/endpoint.js';
import { FrameType, peerAddress } from '../../../src/core/frame.js';
import type { Identity } from '../../../src/core/identity.js';
import type { ChannelListener, ChannelPort } from '../../../src/link/channel-port.js';
import { type CarryingLink, LinkChannel } from '../../../src/link/link-channel.js';
import { Link } from '../../../src/link/link.js';
import type { RawSocket } from '../../../src/websocket/raw-socket.js';
import { alice, crypto, relay } from '../../support/registration.js';
import { transportKeys } from '../../support/transport-keys.js';

/** Hands what is sent to the other end in a turn of its own, while it has room. */
class Wire implements RawSocket {
  readonly tellsDrained = true;
  /** How many frames with something in them have gone through. */
  frames = 0;
  /** Without room everything waits, and is counted. */
  hasRoom = true;
  #waiting: Uint8Array[] = [];

  constructor(readonly deliver: (frame: Uint8Array) => void) {}

  get bufferedAmount(): number {
    return this.hasRoom ? 0 : 2_000_000;
  }

  send(data: string | Uint8Array): void {
    if (typeof data === 'string' || data[0] !== FrameType.ENVELOPE) return;
    this.frames++;
    this.#waiting.push(data.slice());
    queueMicrotask(() => {
      for (const frame of this.#waiting.splice(0)) this.deliver(frame);
    });
  }

  close(): void {}
  terminate(): void {}
  pause(): void {}
  resume(): void {}
}

/** All turns that follow from each other are over. */
const settle = (): Promise<void> => new Promise(resolve => setImmediate(resolve));

const textOf = (data: Uint8Array): string => Buffer.from(data).toString();

/** One end of an open channel: two links that face each other carry it. */
class End {
  readonly link: Link;
  readonly wire: Wire;
  readonly received: string[] = [];
  port: ChannelPort | undefined;
  /** Called from inside the listener. */
  onMessage: (text: string) => void = () => undefined;
  onSent: () => void = () => undefined;
  /** The end that faces it. */
  other: End | undefined;

  constructor(identity: Identity, connectionId: number, isInitiator: boolean, peer: Uint8Array) {
    const address = peerAddress(identity.publicKeyBytes, connectionId);
    this.wire = new Wire(frame => {
      frame.set(address, 1);
      this.other?.link.binary(frame);
    });
    const endpoint = new Endpoint({
      crypto,
      keyPair: identity.keyPair,
      connectionId,
      maxFrame: DEFAULT_MAX_FRAME,
      wallClock: () => Date.now(),
    });
    endpoint.adopt(peer, transportKeys(isInitiator));
    this.link = new Link({
      endpoint,
      socket: this.wire,
      maxFrame: DEFAULT_MAX_FRAME,
      publicKey: identity.publicKey,
      serverPublicKey: relay.publicKey,
      connectionId,
      onIncoming: incoming => {
        this.port = incoming.accept('', this.listener);
      },
    });
    this.link.listen();
  }

  readonly listener: ChannelListener = {
    message: data => {
      const text = textOf(data);
      this.received.push(text);
      this.onMessage(text);
    },
    sent: () => {
      this.onSent();
    },
    closed: () => undefined,
  };

  send(...texts: string[]): void {
    for (const text of texts) this.port?.send(Buffer.from(text), true);
  }
}

async function connect(): Promise<{ a: End; b: End }> {
  const [atA, atB] = [peerAddress(alice.publicKeyBytes, 1), peerAddress(relay.publicKeyBytes, 2)];
  const a = new End(alice, 1, true, atB);
  const b = new End(relay, 2, false, atA);
  a.other = b;
  b.other = a;
  a.port = a.link.open(atB, { target: '/', protocols: [] }, a.listener);
  await settle();
  expect([a, b].map(({ port }) => port instanceof LinkChannel)).toEqual([true, true]);
  a.wire.frames = b.wire.frames = 0;
  return { a, b };
}

describe('what is sent over a link', () => {
  it('in one turn shares a frame', async () => {
    const { a, b } = await connect();
    const texts = Array.from({ length: 300 }, (_, i) => `${i}`);
    for (let turn = 1; turn <= 3; turn++) {
      a.send(...texts);
      await settle();
      expect(a.wire.frames).toBe(turn);
    }
    expect(b.received).toEqual([...texts, ...texts, ...texts]);
  });

  it('in one microtask after the other goes out each time', async () => {
    const { a, b } = await connect();
    for (let i = 0; i < 10; i++) {
      a.send(`${i}`);
      await Promise.resolve();
    }
    await settle();
    expect(b.received.join(' ')).toBe('0 1 2 3 4 5 6 7 8 9');
  });

  it.each<[string, (port: ChannelPort) => void]>([
    [
      'resumed',
      port => {
        port.pause();
        port.resume();
      },
    ],
    [
      'paused',
      port => {
        port.pause();
      },
    ],
    [
      'pinged',
      port => {
        port.ping(Buffer.from('p'));
      },
    ],
    [
      'answered',
      port => {
        port.pong(Buffer.from('p'));
      },
    ],
  ])('goes out when the channel was %s in the same turn, before it and after it', async (_, act) => {
    const { a, b } = await connect();
    for (let round = 0; round < 3; round++) {
      act(a.port!);
      a.send(`${round} first`);
      act(a.port!);
      a.send(`${round} second`);
      await settle();
      expect(b.received.splice(0)).toEqual([`${round} first`, `${round} second`]);
    }
  });

  it('from inside a `message` listener goes out, be it much and often', async () => {
    const { a, b } = await connect();
    b.onMessage = text => {
      b.send(`${text}!`, `${text}?`);
    };
    a.onMessage = text => {
      if (text.length < 6) a.send(text);
    };
    a.send('a', 'b');
    await settle();
    const answers = (text: string): string[] => (text.length < 6 ? [`${text}!`, `${text}?`] : []);
    let expected = ['a', 'b'];
    let count = 0;
    while (expected.length > 0) {
      expected = expected.flatMap(answers);
      count += expected.length;
    }
    expect(a.received).toHaveLength(count);
  });

  it('from inside a `sent` listener goes out', async () => {
    const { a, b } = await connect();
    let left = 10;
    a.onSent = () => {
      if (left-- > 0) a.send(`${left}`, 'and');
    };
    a.send('first');
    await settle();
    expect(b.received).toEqual([
      'first',
      ...Array.from({ length: 10 }, (_, i) => [`${9 - i}`, 'and']).flat(),
    ]);
  });

  it('while the socket has no room goes out when it has', async () => {
    const { a, b } = await connect();
    a.wire.hasRoom = false;
    for (let turn = 0; turn < 3; turn++) {
      a.send(`${turn}`, 'more');
      await settle();
    }
    expect([a.wire.frames, b.received]).toEqual([0, []]);
    a.wire.hasRoom = true;
    a.link.drained();
    a.send('last');
    await settle();
    expect(b.received).toEqual(['0', 'more', '1', 'more', '2', 'more', 'last']);
  });

  it('belongs to the caller again when `send` returns', async () => {
    const { a, b } = await connect();
    for (const data of [Buffer.from('small'), Buffer.alloc(400_000, 'l'), Buffer.from('behind it')]) {
      a.port!.send(data, true);
      data.fill('x');
    }
    await settle();
    expect(b.received).toEqual(['small', 'l'.repeat(400_000), 'behind it']);
  });
});

/** A link that counts what it is asked for. */
class CountingLink {
  turn = 0;
  wakes = 0;
  schedules = 0;
  readonly endpoint = {
    wake: (): void => {
      this.wakes++;
    },
  } as unknown as Endpoint;

  schedule(): void {
    this.schedules++;
  }

  keysOf: CarryingLink['keysOf'] = () => {
    throw new Error('Nobody asks.');
  };
}

describe('a channel wakes its link', () => {
  const channel = { send: () => undefined, ping: () => undefined } as unknown as Channel;
  const listener: ChannelListener = { message: () => undefined, closed: () => undefined };

  it('once for all messages of a turn, and in each turn', () => {
    const link = new CountingLink();
    const port = new LinkChannel(channel, listener, link);
    for (let turn = 1; turn <= 3; turn++) {
      for (let i = 0; i < 100; i++) port.send(Uint8Array.of(i), false);
      expect([link.wakes, link.schedules]).toEqual([turn, turn]);
      link.turn++;
    }
  });

  it('for each ping', () => {
    const link = new CountingLink();
    const port = new LinkChannel(channel, listener, link);
    port.send(Uint8Array.of(1), false);
    for (let i = 0; i < 3; i++) port.ping(Uint8Array.of(1));
    expect(link.wakes).toBe(4);
  });

  it('be it another one, or the same again, in whatever turn that is', () => {
    const [one, other] = [new CountingLink(), new CountingLink()];
    const port = new LinkChannel(channel, listener, one);
    port.send(Uint8Array.of(1), false);
    port.attach(other);
    // What it carried is for the first one to let go of.
    expect([one.wakes, one.schedules]).toEqual([1, 2]);
    port.send(Uint8Array.of(2), false);
    expect([one.wakes, other.wakes]).toEqual([1, 1]);
    port.attach(other);
    port.send(Uint8Array.of(3), false);
    expect(other.wakes).toBe(2);
  });
});
