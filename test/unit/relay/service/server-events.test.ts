import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SecureWebSocketError } from '../../../../src/core/errors.js';
import { EVENTS_TARGET } from '../../../../src/core/server-event.js';
import type { ChannelListener } from '../../../../src/link/channel-port.js';
import type { LinkChannel } from '../../../../src/link/link-channel.js';
import type { RelayClient } from '../../../../src/relay/relay-connection.js';
import {
  MAX_EVENT_QUEUE,
  MAX_TOTAL_EVENT_QUEUE,
  ServerEvents,
} from '../../../../src/relay/service/server-events.js';

/** A channel that keeps what it is given until `acknowledge`. */
class FakeChannel {
  readonly sent: string[] = [];
  readonly channel = { bytesKept: 0 };
  terminated = 0;

  constructor(
    readonly client: RelayClient,
    readonly listener: ChannelListener,
  ) {}

  send(data: Uint8Array): void {
    this.sent.push(Buffer.from(data.subarray(2 + (data[1] ?? 0))).toString());
    this.channel.bytesKept += data.length;
  }

  acknowledge(): void {
    this.channel.bytesKept = 0;
  }

  terminate(): void {
    this.terminated++;
  }

  open(): void {
    this.listener.opened?.({} as never);
  }

  end(code: ConstructorParameters<typeof SecureWebSocketError>[0]): void {
    const error = new SecureWebSocketError(code, '');
    this.listener.closed({ code: 1006, reason: '', wasClean: false, error, unacknowledged: [] });
  }
}

const clientOf = (connectionId: number): RelayClient => ({
  publicKey: connectionId.toString(16).padStart(64, '0'),
  connectionId,
  remoteAddress: undefined,
});

let opened: FakeChannel[] = [];
let events: ServerEvents;

/** Lets it begin what it begins at the end of a turn. */
const turn = (): Promise<void> => Promise.resolve();

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  opened = [];
  events = new ServerEvents({
    open: (client, target, listener) => {
      expect(target).toBe(EVENTS_TARGET);
      const channel = new FakeChannel(client, listener);
      opened.push(channel);
      return channel as unknown as LinkChannel;
    },
  });
});

afterEach(() => {
  events.close();
  vi.useRealTimers();
});

describe('ServerEvents', () => {
  it('opens one channel for a connection, and keeps what comes before it is open', async () => {
    const client = clientOf(1);
    for (const text of ['a', 'b']) expect(events.emit([client], '', text)).toBe(1);
    expect(opened).toHaveLength(0);
    await turn();
    expect(opened.map(channel => channel.client)).toEqual([client]);
    events.emit([client], 'room', 'c');
    expect(opened[0]?.sent).toEqual([]);
    opened[0]?.open();
    expect(opened[0]?.sent).toEqual(['a', 'b', 'c']);
    events.emit([client], '', 'd');
    expect(opened[0]?.sent).toEqual(['a', 'b', 'c', 'd']);
    await turn();
    expect(opened).toHaveLength(1);
    expect([events.sent, events.dropped, events.queuedBytes]).toEqual([4, 0, 0]);
  });

  it('hands out no more than is acknowledged in time, and drops what would wait beyond a bound', async () => {
    const client = clientOf(1);
    const text = 'x'.repeat(10_000);
    events.emit([client], '', 'first');
    await turn();
    const [channel] = opened;
    channel?.open();
    let accepted = 0;
    for (let n = 0; n < 500; n++) accepted += events.emit([client], '', text);
    // 256 KiB are under way, 1 MiB waits.
    expect(channel?.sent.length).toBe(1 + 26);
    expect(accepted).toBe(26 + Math.floor(MAX_EVENT_QUEUE / 10_066));
    expect(events.dropped).toBe(500 - accepted);
    expect(events.queuedBytes).toBeLessThanOrEqual(MAX_EVENT_QUEUE);

    events.heard(1);
    expect(channel?.sent.length).toBe(27);
    for (let n = 0; n < 10; n++) {
      channel?.acknowledge();
      events.heard(1);
    }
    expect(channel?.sent.length).toBe(1 + accepted);
    expect(events.emit([client], '', 'again')).toBe(1);
  });

  it('keeps one copy of an event for all, and has a bound for all together', async () => {
    const clients = Array.from({ length: 200 }, (_, n) => clientOf(n + 1));
    const large = 'x'.repeat(1_000_000);
    expect(events.emit(clients, '', large)).toBe(200);
    expect(events.queuedBytes).toBe(1_000_000 + 2 + 64);
    await turn();
    let total = 0;
    for (const client of clients) {
      events.gone(client);
      total += events.emit([client], '', large);
    }
    expect(total).toBe(Math.floor(MAX_TOTAL_EVENT_QUEUE / 1_000_066));
    expect(events.queuedBytes).toBeLessThanOrEqual(MAX_TOTAL_EVENT_QUEUE);
    for (const client of clients) events.gone(client);
    expect(events.queuedBytes).toBe(0);
    expect(events.sent).toBe(0);
    expect(events.dropped).toBe(400);
  });

  it('counts an event once for all who wait for it, also where it is the last one that fits', async () => {
    const clients = Array.from({ length: 70 }, (_, n) => clientOf(n + 1));
    const large = 'x'.repeat(1_000_000);
    for (const client of clients.slice(0, 66)) expect(events.emit([client], '', large)).toBe(1);
    // There is room for one more, and not for two.
    expect(events.emit(clients.slice(66), '', large)).toBe(4);
    expect(events.emit([clientOf(99)], '', large)).toBe(0);
    expect(events.queuedBytes).toBe(67 * 1_000_066);
    await turn();
    events.close();
    expect(events.queuedBytes).toBe(0);
  });

  it('hands out no more than that of what has waited for the channel', async () => {
    const client = clientOf(1);
    for (let n = 0; n < 50; n++) events.emit([client], '', 'x'.repeat(10_000));
    await turn();
    opened[0]?.open();
    expect(opened[0]?.sent).toHaveLength(26);
    opened[0]?.acknowledge();
    events.heard(1);
    expect([opened[0]?.sent.length, events.queuedBytes]).toEqual([50, 0]);
  });

  it('opens 64 channels at a time, and does not wait long for anybody', async () => {
    const clients = Array.from({ length: 200 }, (_, n) => clientOf(n + 1));
    expect(events.emit(clients, '', 'x')).toBe(200);
    await turn();
    expect(opened).toHaveLength(64);
    opened[0]?.open();
    opened[1]?.end('CHANNEL_REFUSED');
    await turn();
    expect(opened).toHaveLength(66);
    vi.advanceTimersByTime(1_000);
    await turn();
    expect(opened).toHaveLength(130);
    // Those who took their time are not forgotten, and give no second place.
    opened[2]?.open();
    await turn();
    expect(opened[2]?.sent).toEqual(['x']);
    expect(opened).toHaveLength(130);
    // Who has gone is not called.
    for (const client of clients) events.gone(client);
    await turn();
    expect(opened).toHaveLength(130);
    expect(opened[5]?.terminated).toBe(1);
  });

  it('leaves a client in peace that takes no events, for a while', async () => {
    const client = clientOf(1);
    events.emit([client], '', 'a');
    await turn();
    opened[0]?.end('SESSION_TIMEOUT');
    expect(events.emit([client], '', 'b')).toBe(0);
    expect([events.dropped, events.queuedBytes]).toEqual([2, 0]);
    await turn();
    expect(opened).toHaveLength(1);
    vi.advanceTimersByTime(60_000);
    expect(events.emit([client], '', 'c')).toBe(1);
    await turn();
    opened[1]?.open();
    expect(opened[1]?.sent).toEqual(['c']);
  });

  it('opens a channel anew that is lost while the client is there', async () => {
    const client = clientOf(1);
    events.emit([client], '', 'a');
    await turn();
    opened[0]?.open();
    opened[0]?.end('SESSION_FAILED');
    await turn();
    expect(opened).toHaveLength(1);
    events.emit([client], '', 'b');
    await turn();
    opened[1]?.end('PEER_GONE');
    await turn();
    opened[2]?.open();
    expect(opened[2]?.sent).toEqual(['b']);
    // Not for ever.
    opened[2]?.end('SESSION_FAILED');
    events.emit([client], '', 'c');
    for (let n = 3; n < 10; n++) {
      await turn();
      opened[n]?.end('PEER_GONE');
    }
    expect(opened.length).toBeLessThan(8);
    expect(events.emit([client], '', 'd')).toBe(0);
  });

  it('knows that a connection id has another client by now', async () => {
    const [before, after] = [clientOf(1), clientOf(1)];
    events.emit([before], '', 'a');
    await turn();
    events.emit([after], '', 'b');
    await turn();
    expect(opened.map(channel => channel.client)).toEqual([before, after]);
    opened[0]?.open();
    opened[1]?.open();
    expect(opened.map(({ sent }) => sent)).toEqual([[], ['b']]);
    // The end of the one before is told late.
    events.gone(before);
    events.emit([after], '', 'c');
    expect(opened[1]?.sent).toEqual(['b', 'c']);
    expect(events.dropped).toBe(1);
  });

  it('takes an event of any size when nothing waits, and hands it out when nothing is under way', async () => {
    const client = clientOf(1);
    const largest = 'x'.repeat(1_048_576);
    expect(events.emit([client], '', largest)).toBe(1);
    // There is no more room for one that waits.
    expect(events.emit([client], '', 'y')).toBe(0);
    await turn();
    opened[0]?.open();
    expect(opened[0]?.sent.map(({ length }) => length)).toEqual([1_048_576]);
    expect(events.emit([client], '', largest)).toBe(1);
    expect(opened[0]?.sent).toHaveLength(1);
    opened[0]?.acknowledge();
    events.heard(1);
    expect(opened[0]?.sent).toHaveLength(2);
  });

  it('hands out nothing before the channel is open, whatever is heard of the client', async () => {
    const client = clientOf(1);
    events.emit([client], '', 'a');
    events.heard(1);
    await turn();
    events.heard(1);
    events.heard(2);
    expect([opened[0]?.sent, events.sent]).toEqual([[], 0]);
    opened[0]?.open();
    expect(opened[0]?.sent).toEqual(['a']);
  });

  it('has less under way to each while it is much to all together', async () => {
    const clients = Array.from({ length: 281 }, (_, n) => clientOf(n + 1));
    events.emit(clients, '', '');
    for (let n = 0; n < clients.length; n++) {
      await turn();
      opened[n]?.open();
      opened[n]?.acknowledge();
      events.heard(n + 1);
    }
    expect(opened).toHaveLength(281);
    const [one] = opened;
    const tell = (channel: FakeChannel | undefined): number => {
      const before = channel?.sent.length ?? 0;
      events.emit([channel?.client as RelayClient], '', 'x'.repeat(10_000));
      events.heard(channel?.client.connectionId ?? 0);
      return (channel?.sent.length ?? 0) - before;
    };
    expect([tell(one), tell(one)]).toEqual([1, 1]);
    // Now there are 70 MB under way to others.
    for (const { channel, client } of opened.slice(1)) {
      channel.bytesKept = 250_000;
      events.heard(client.connectionId);
    }
    expect(tell(one)).toBe(0);
    one?.acknowledge();
    events.heard(1);
    expect(one?.sent).toHaveLength(4);
    expect(tell(one)).toBe(0);
    // What is under way to whoever is lost or gone is so no longer.
    for (const channel of opened.slice(1, 21)) channel.end('SESSION_FAILED');
    events.heard(1);
    expect(one?.sent).toHaveLength(5);
    for (const { channel, client } of opened.slice(21, 41)) {
      channel.bytesKept = 500_000;
      events.heard(client.connectionId);
    }
    expect(tell(one)).toBe(0);
    for (const { client } of opened.slice(21, 41)) events.gone(client);
    events.heard(1);
    expect(one?.sent).toHaveLength(6);
  });

  it('opens a channel anew as often as it was open meanwhile', async () => {
    const client = clientOf(1);
    for (let n = 0; n < 8; n++) {
      expect(events.emit([client], '', String(n))).toBe(1);
      await turn();
      opened[n]?.open();
      opened[n]?.end('SESSION_FAILED');
    }
    expect(opened.map(({ sent }) => sent.join())).toEqual(Array.from({ length: 8 }, (_, n) => String(n)));
    expect(events.dropped).toBe(0);
  });

  it('opens it anew at once where something waits, also when it ended in order', async () => {
    const client = clientOf(1);
    events.emit([client], '', 'a');
    await turn();
    const [channel] = opened;
    channel?.open();
    events.emit([client], '', 'x'.repeat(1_000_000));
    expect(events.queuedBytes).toBeGreaterThan(0);
    channel?.listener.closed({ code: 1000, reason: '', wasClean: true, unacknowledged: [] });
    await turn();
    opened[1]?.open();
    expect(opened[1]?.sent.map(({ length }) => length)).toEqual([1_000_000]);
  });

  it('forgets what waits when it can open nothing any more', async () => {
    let calls = 0;
    const closed = new ServerEvents({
      open: () => {
        calls++;
        throw new SecureWebSocketError('ABORTED', 'The relay is closed.');
      },
    });
    const clients = Array.from({ length: 100 }, (_, n) => clientOf(n + 1));
    closed.emit(clients, '', 'x');
    await turn();
    await turn();
    // Who could not be called does not keep the others from their turn.
    expect([calls, closed.queuedBytes, closed.dropped]).toEqual([100, 0, 100]);
    closed.close();
  });

  it('leaves nothing behind when it is closed', async () => {
    const clients = Array.from({ length: 100 }, (_, n) => clientOf(n + 1));
    events.emit(clients, '', 'x');
    await turn();
    events.close();
    await turn();
    expect(opened.map(({ terminated }) => terminated)).toEqual(Array.from({ length: 64 }, () => 1));
    expect([events.queuedBytes, events.dropped, vi.getTimerCount()]).toEqual([0, 100, 0]);
  });
});
