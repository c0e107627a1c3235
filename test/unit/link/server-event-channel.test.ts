import { describe, expect, it } from 'vitest';
import { toHex } from '../../../src/core/bytes.js';
import { encodeServerEvent } from '../../../src/core/server-event.js';
import type { ChannelListener, ServerEvent } from '../../../src/link/channel-port.js';
import type { ReservedChannel } from '../../../src/link/link.js';
import type { LinkChannel } from '../../../src/link/link-channel.js';
import { ServerEventChannel, type ServerEventTaker } from '../../../src/link/server-event-channel.js';

const RELAY = new Uint8Array(32).fill(7);

/** What somebody wants to open, and what becomes of it. */
class Offer {
  listener: ChannelListener | undefined;
  readonly log: string[] = [];
  readonly incoming: ReservedChannel;

  constructor(publicKey: Uint8Array) {
    const port = {
      pause: () => this.log.push('pause'),
      resume: () => this.log.push('resume'),
      terminate: (error?: { code: string }) => this.log.push(`terminate ${error?.code ?? ''}`.trim()),
    };
    this.incoming = {
      peerPublicKey: toHex(publicKey),
      accept: (_protocol: string, listener: ChannelListener) => {
        this.listener = listener;
        return port as unknown as LinkChannel;
      },
      refuse: (status: number) => this.log.push(`refuse ${String(status)}`),
    } as unknown as ReservedChannel;
  }

  says(space: string, data: string | Uint8Array): void {
    this.listener?.message(encodeServerEvent(space, data), false);
  }
}

function scene(takers = 1) {
  const taken: ServerEvent[] = [];
  const all: ServerEventTaker[] = Array.from({ length: takers }, () => event => taken.push(event));
  const channel = new ServerEventChannel(toHex(RELAY), () => all);
  const open = (key = RELAY): Offer => {
    const offer = new Offer(key);
    channel.incoming(offer.incoming);
    return offer;
  };
  return { channel, taken, open };
}

describe('ServerEventChannel', () => {
  it('is for the relay alone', () => {
    const { channel, taken, open } = scene();
    expect(channel.welcomes(RELAY)).toBe(true);
    const other = RELAY.slice();
    other[31] = 8;
    expect(channel.welcomes(other)).toBe(false);
    expect(open(other).log).toEqual(['refuse 403']);
    const relay = open();
    relay.says('room', 'hello');
    expect(relay.log).toEqual([]);
    expect(taken).toMatchObject([{ space: 'room', isText: true }]);
    expect(Buffer.from(taken[0]?.data ?? []).toString()).toBe('hello');
  });

  it('hears the latest that the relay has opened', () => {
    const { taken, open } = scene();
    const [first, second] = [open(), open()];
    expect(first.log).toEqual(['terminate']);
    first.says('', 'late');
    // The end of the first is told after the second has begun.
    first.listener?.closed({} as never);
    second.says('', 'now');
    expect(taken.map(({ data }) => Buffer.from(data).toString())).toEqual(['now']);
  });

  it('ends a channel on which something else is said', () => {
    const { taken, open } = scene();
    const relay = open();
    relay.listener?.message(Uint8Array.of(9, 9), false);
    expect(relay.log).toEqual(['terminate PROTOCOL_VIOLATION']);
    expect(taken).toEqual([]);
  });

  it('slows the relay down until what it has said is taken by everybody', () => {
    const { taken, open } = scene(2);
    const relay = open();
    const data = new Uint8Array(100_000);
    for (let n = 0; n < 5; n++) relay.says('', data);
    expect(relay.log).toEqual([]);
    relay.says('', data);
    expect(relay.log).toEqual(['pause']);
    for (const event of taken.slice(0, 6)) {
      event.taken();
      // Once is enough.
      event.taken();
    }
    expect(relay.log).toEqual(['pause']);
    taken[6]?.taken();
    expect(relay.log).toEqual(['pause', 'resume']);
    // A channel that takes its place begins where the one before has stopped.
    for (let n = 0; n < 6; n++) relay.says('', data);
    const next = open();
    expect(next.log).toEqual(['pause']);
  });

  it('waits for nobody where nobody listens', () => {
    const { open } = scene(0);
    const relay = open();
    for (let n = 0; n < 20; n++) relay.says('', new Uint8Array(1_000_000));
    expect(relay.log).toEqual([]);
  });
});
