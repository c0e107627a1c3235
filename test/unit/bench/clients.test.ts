// The clients of the benchmark with a network of their own, in this process.
import { describe, expect, it } from 'vitest';
import type { Adapter, OnMessage } from '../../../bench/adapters/index.js';
import { Connections } from '../../../bench/clients/connections.js';
import { FanOut } from '../../../bench/clients/fan-out.js';
import { Latency } from '../../../bench/clients/latency.js';
import { Throughput } from '../../../bench/clients/throughput.js';

/** How long a message is waited for, milliseconds: where all arrive, and where one does not. */
const TIME_LIMIT = 20_000;
const SHORT = 50;

/** Passes messages on in a later task; `lose` says for each, by its number, whether it goes astray. */
function adapterThat({ lose = () => false }: { lose?: (number: number) => boolean } = {}): Adapter {
  const listeners: OnMessage[] = [];
  let number = 0;
  const pass = (onMessage: OnMessage, from: OnMessage, data: Uint8Array): void => {
    if (lose(number++)) return;
    setImmediate(() => onMessage(data, answer => pass(from, onMessage, answer)));
  };
  return {
    startRelay: () => Promise.resolve({ url: '' }),
    createIdentity: () => undefined,
    listen: (_url, _identity, onMessage) => Promise.resolve({ address: listeners.push(onMessage) - 1 }),
    dial: (_url, _identity, address, onMessage) => {
      const listener = listeners[address as number]!;
      return Promise.resolve({ send: data => pass(listener, onMessage, data) });
    },
  };
}

describe('throughput', () => {
  it('counts what arrived', async () => {
    const clients = await Throughput.start(adapterThat(), '', TIME_LIMIT);
    await clients.prepare({ size: 64, warmUp: 1 });
    const { messages, elapsed, cpu } = await clients.measure({ size: 64, duration: 5 });
    expect(messages % 256).toBe(0);
    expect(messages).toBeGreaterThan(0);
    expect(elapsed).toBeGreaterThanOrEqual(5);
    expect(cpu).toBeGreaterThan(0);
  });

  it.each([0, 100, 255])('fails when message %d is lost', async lost => {
    const clients = await Throughput.start(adapterThat({ lose: number => number === lost }), '', SHORT);
    await expect(clients.measure({ size: 64, duration: 1 })).rejects.toThrow(/did not arrive|not the next/);
  });
});

describe('latency', () => {
  it('gives the round trips', async () => {
    const clients = await Latency.start(adapterThat(), '', TIME_LIMIT);
    await clients.prepare({ size: 64, warmUp: 1 });
    const { roundTrips, median, p99 } = await clients.measure({ size: 64, duration: 5 });
    expect(roundTrips).toBeGreaterThan(0);
    expect(p99).toBeGreaterThanOrEqual(median);
  });

  it('fails when an answer is lost', async () => {
    const clients = await Latency.start(adapterThat({ lose: number => number === 7 }), '', SHORT);
    await expect(clients.measure({ size: 64, duration: 100 })).rejects.toThrow(
      /message \d+ did not come back within 50 ms/,
    );
  });
});

describe('fan-out', () => {
  it('counts what arrived, while receivers are added', async () => {
    const clients = await FanOut.start(adapterThat(), '', TIME_LIMIT);
    for (const receivers of [1, 40]) {
      await clients.prepare({ receivers, size: 64, warmUp: 1 });
      const { messages } = await clients.measure({ receivers, size: 64, duration: 1 });
      expect(messages).toBeGreaterThan(0);
      expect(messages % receivers).toBe(0);
    }
  });

  it('fails when one of the messages is lost', async () => {
    // The greetings of all receivers come first, then the messages themselves.
    const clients = await FanOut.start(adapterThat({ lose: number => number === 15 }), '', SHORT);
    await expect(clients.prepare({ receivers: 10, size: 64, warmUp: 5 })).rejects.toThrow(
      /of 10 messages did not arrive/,
    );
  });
});

it('connections are opened with keys made before', async () => {
  const adapter = adapterThat();
  let made = 0;
  let opened = 0;
  const clients = Connections.start(
    {
      ...adapter,
      createIdentity: () => made++,
      listen: (...args) => {
        opened += 1;
        return adapter.listen(...args);
      },
    },
    '',
  );
  await clients.prepare({ connections: 30, first: 10 });
  expect([made, opened]).toEqual([40, 10]);
  await clients.measure({ connections: 30 });
  expect([made, opened]).toEqual([40, 40]);
});
