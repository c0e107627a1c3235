import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, utf8 } from '../../../src/core/bytes.js';
import {
  DEFAULT_MAX_FRAME,
  ITEM_OVERHEAD,
  MIN_MAX_FRAME,
  RECEIVE_WINDOW,
} from '../../../src/core/constants.js';
import { Opcode } from '../../../src/core/record.js';
import type { EndpointNode } from '../../support/endpoint-node.js';
import { channels } from '../../support/endpoint-node.js';
import { bytes, runs, SLOW } from '../../support/fuzz.js';
import { credit, openedByRaw, openedToRaw, withRawPeer } from '../../support/raw-peer.js';

const MIB = 1_048_576;

/** Bytes that differ from place to place, so that a fragment too few or in a wrong place shows. */
function pattern(length: number): Uint8Array {
  const data = new Uint8Array(length);
  for (let i = 0; i < length; i++) data[i] = (i * 31 + (i >> 8) * 7 + (i >> 16)) & 0xff;
  return data;
}

/** A fast comparison: a matcher that shows differences takes long for megabytes. */
const same = (a: unknown, b: Uint8Array): boolean => a instanceof Uint8Array && Buffer.compare(a, b) === 0;

describe('messages', SLOW, () => {
  it('arrive whole, in order, as text or binary as they were sent', () => {
    const { network, a, b, ours, theirs } = channels();
    const binary = Uint8Array.of(0, 255);
    for (const data of ['text', binary, '', new Uint8Array(0), 'ü\u0000\u{1f600}']) a.send(ours, data);
    b.send(theirs, 'back');
    network.run();
    expect(b.messages(theirs)).toEqual(['text', binary, '', new Uint8Array(0), 'ü\u0000\u{1f600}']);
    expect(a.messages(ours)).toEqual(['back']);
  });

  it('of any size arrive whole, in frames of any size', () => {
    const sizes = fc.oneof(
      fc.nat(200),
      fc.integer({ min: MIN_MAX_FRAME - 200, max: MIN_MAX_FRAME + 200 }),
      fc.nat(200_000),
    );
    fc.assert(
      fc.property(
        fc.array(sizes, { maxLength: 6 }),
        fc.constantFrom(MIN_MAX_FRAME, MIN_MAX_FRAME + 1, 65_599, 65_600, DEFAULT_MAX_FRAME),
        (list, maxFrame) => {
          const { network, a, b, ours, theirs } = channels({ a: { maxFrame }, b: { maxFrame } });
          const sent = list.map(pattern);
          for (const data of sent) a.send(ours, data);
          network.run();
          const received = b.messages(theirs);
          expect(received).toHaveLength(sent.length);
          expect(sent.every((data, i) => same(received[i], data))).toBe(true);
          for (const packet of network.passed) expect(packet.frame.length).toBeLessThanOrEqual(maxFrame);
        },
      ),
      runs(30),
    );
  });

  it.each([1, 65_535, 65_536, MIB - 1, RECEIVE_WINDOW, RECEIVE_WINDOW + 1, 5 * MIB, 64 * MIB])(
    'of %d bytes arrive whole',
    size => {
      const { network, a, b, ours, theirs } = channels();
      network.recording = false;
      const data = pattern(size);
      a.send(ours, data);
      a.send(ours, 'and then');
      network.run();
      const [received, next] = b.messages(theirs);
      expect([same(received, data), next]).toEqual([true, 'and then']);
      expect(ours.bufferedAmount).toBe(0);
    },
  );

  it('that are small and sent in one turn share one record and one frame', () => {
    const { network, a, b, ours, theirs } = channels();
    const before = network.passed.length;
    for (let i = 0; i < 1_000; i++) a.send(ours, `${i}`);
    network.run();
    expect(network.passed.length - before).toBe(1);
    expect(b.messages(theirs)).toEqual(Array.from({ length: 1_000 }, (_, i) => `${i}`));
    // And a small one takes a small frame: envelope 37, transport 29, record header 21, item 2.
    a.send(ours, 'x');
    network.run();
    expect(network.passed.at(-1)!.frame).toHaveLength(37 + 29 + 21 + 2 + 1);
  });

  it.each([MIN_MAX_FRAME, 65_600, DEFAULT_MAX_FRAME])(
    'that are small take the fewest frames of %d bytes that there can be, from the first turn on',
    maxFrame => {
      const { network, a, b, ours, theirs } = channels({ a: { maxFrame }, b: { maxFrame } });
      for (const [from, to, here, there] of [
        [a, b, ours, theirs],
        [b, a, theirs, ours],
        [a, b, ours, theirs],
      ] as const) {
        const before = network.passed.length;
        const received = to.messages(there).length;
        const sent = Array.from({ length: 3_000 }, (_, i) => pattern((i * 37) % 200));
        for (const data of sent) from.send(here, data);
        network.run();
        expect(to.messages(there).slice(received)).toEqual(sent);
        // Envelope 37, transport 29, record header 21; an item 2 or 3.
        const items = sent.reduce((sum, { length }) => sum + length + (length < 64 ? 2 : 3), 0);
        const frames = network.passed.slice(before).filter(packet => packet.from === from);
        expect(frames).toHaveLength(Math.ceil(items / (maxFrame - 37 - 29 - 21 - 202)));
      }
    },
  );

  it('that are many and empty are spread over several records', () => {
    const { network, a, b, ours, theirs } = channels();
    const before = network.passed.length;
    for (let i = 0; i < 10_000; i++) a.send(ours, '');
    network.run();
    expect(b.messages(theirs)).toHaveLength(10_000);
    expect(network.passed.slice(before).filter(({ from }) => from === a)).toHaveLength(3);
  });

  it('of several channels do not mix, whatever is sent on them', () => {
    const operations = fc.array(
      fc.record({ channel: fc.nat(2), back: fc.boolean(), data: bytes(3_000), run: fc.boolean() }),
      { maxLength: 30 },
    );
    fc.assert(
      fc.property(operations, list => {
        const { network, a, b } = channels();
        const ours = [0, 1, 2].map(() => a.open(b.address));
        network.run();
        const theirs = b.incoming.slice(1);
        const sent = [0, 1, 2].map(() => [[], []] as [Uint8Array[], Uint8Array[]]);
        for (const { channel, back, data, run } of list) {
          if (back) b.send(theirs[channel]!, data);
          else a.send(ours[channel]!, data);
          sent[channel]![back ? 1 : 0].push(data);
          if (run) network.run();
        }
        network.run();
        for (const [i, [there, back]] of sent.entries()) {
          expect(b.messages(theirs[i]!)).toEqual(there);
          expect(a.messages(ours[i]!)).toEqual(back);
        }
      }),
      runs(40),
    );
  });

  it('are copied: what the application does with its buffer later has no effect', () => {
    const { network, a, b, ours, theirs } = channels();
    // Small, large, and more than there is credit for; of a Buffer `slice` is no copy.
    for (const size of [1_000, 300_000, RECEIVE_WINDOW, 1_000]) {
      for (const data of [pattern(size), Buffer.from(pattern(size))]) {
        a.send(ours, data);
        data.fill(0);
      }
    }
    network.collect();
    network.run();
    const received = b.messages(theirs) as Uint8Array[];
    expect(received).toHaveLength(8);
    for (const data of received) expect(same(data, pattern(data.length))).toBe(true);
  });
});

describe('bufferedAmount', () => {
  it('counts payload bytes until they are in a record; `sent` tells as many, no more and no less', () => {
    const { network, a, ours } = channels();
    const sizes = [0, 10, 300_000, 3 * MIB, 5];
    for (const size of sizes) a.send(ours, pattern(size));
    const total = sizes.reduce((sum, size) => sum + size, 0);
    expect(ours.bufferedAmount).toBe(total);
    let told = 0;
    const check = () => {
      told = a.of(ours).reduce((sum, event) => sum + (event.type === 'sent' ? event.bytes : 0), 0);
      expect(ours.bufferedAmount).toBe(total - told);
    };
    a.budget = 1;
    for (let i = 0; i < 4; i++) {
      network.collect();
      check();
      expect(ours.bufferedAmount).toBeGreaterThan(0);
    }
    a.budget = Infinity;
    network.run();
    check();
    expect([told, ours.bufferedAmount]).toEqual([total, 0]);
  });

  it('does not count pings', () => {
    const { a, ours } = channels();
    a.ping(ours, pattern(100));
    expect(ours.bufferedAmount).toBe(0);
  });
});

describe('flow control', SLOW, () => {
  it('lets a sender go on as far as the window, counting each item with its overhead', () => {
    const { node, peer, network, channel } = openedToRaw();
    const items = () => peer.records.flatMap(record => record.items).filter(item => item.opcode <= 2);
    const cost = () => items().reduce((sum, { payload }) => sum + payload.length + ITEM_OVERHEAD, 0);
    let sequence = 1;
    const more = (limit: number) => {
      // All that came is acknowledged: what is not may be sent again, and is bounded, too.
      const acknowledgement = Math.max(...peer.records.map(({ header }) => header.sequence)) + 1;
      peer.record(node, [[Opcode.CREDIT, credit(limit)]], { sequence: sequence++, acknowledgement });
      network.run();
      return cost();
    };
    // Credit is not taken back.
    for (const less of [RECEIVE_WINDOW - 1, 0]) more(less);
    node.send(channel, new Uint8Array(2 * RECEIVE_WINDOW));
    network.run();
    expect(cost()).toBeLessThanOrEqual(RECEIVE_WINDOW);
    // Not a sliver is left that could still have been sent.
    expect(RECEIVE_WINDOW - cost()).toBeLessThan(1_024 + ITEM_OVERHEAD);
    const payloads = items().reduce((sum, { payload }) => sum + payload.length, 0);
    expect(channel.bufferedAmount).toBe(2 * RECEIVE_WINDOW - payloads);

    // More credit, more bytes.
    const before = cost();
    expect(more(RECEIVE_WINDOW)).toBe(before);
    expect(more(RECEIVE_WINDOW + 100_000)).toBeGreaterThan(RECEIVE_WINDOW + 98_000);
    expect(more(Number.MAX_SAFE_INTEGER)).toBeGreaterThan(2 * RECEIVE_WINDOW);
    expect(channel.bufferedAmount).toBe(0);
  });

  it('counts tiny messages for what they take in memory', () => {
    const { node, peer, network, channel } = openedToRaw();
    for (let i = 0; i < 40_000; i++) node.send(channel, 'x');
    network.run();
    const items = peer.records.flatMap(record => record.items).filter(({ opcode }) => opcode === Opcode.TEXT);
    expect(items).toHaveLength(Math.floor((RECEIVE_WINDOW - ITEM_OVERHEAD) / (1 + ITEM_OVERHEAD)) + 1);
  });

  it('begins with the window that came with OPEN or OPEN_ACCEPT, be it none', () => {
    const { node, peer, network } = withRawPeer();
    const channel = node.open(peer.address);
    network.run();
    expect(peer.records[0]!.items[0]!.opcode).toBe(Opcode.OPEN);
    peer.record(node, [[Opcode.OPEN_ACCEPT, peer.acceptance(node, { window: 0 })]], { acknowledgement: 1 });
    network.run();
    node.send(channel, 'x');
    node.ping(channel, utf8('a ping'));
    network.run();
    expect(peer.opcodes).toEqual([Opcode.OPEN]);
    peer.record(node, [[Opcode.CREDIT, credit(ITEM_OVERHEAD + 1)]], { sequence: 1, acknowledgement: 1 });
    network.run();
    expect(peer.opcodes).toEqual([Opcode.OPEN, Opcode.TEXT, Opcode.PING]);
  });

  it('never lets a lack of credit hold up what needs none', () => {
    const { network, node, peer, channel } = openedByRaw();
    node.send(channel, new Uint8Array(3 * MIB));
    network.run();
    peer.record(node, [[Opcode.PING, 'are you there']], { opener: true, sequence: 1, acknowledgement: 1 });
    network.run();
    expect(peer.opcodes.at(-1)).toBe(Opcode.PONG);
  });

  it('holds the sender of a reader who pauses, keeps what arrived, and loses nothing', () => {
    const { network, a, b, ours, theirs } = channels();
    network.recording = false;
    const sent = Array.from({ length: 100 }, (_, i) => pattern(100_000 + i));
    theirs.pause();
    for (const data of sent) a.send(ours, data);
    network.run();
    expect(b.messages(theirs)).toEqual([]);
    const arrived = sent.reduce((sum, data) => sum + data.length, 0) - ours.bufferedAmount;
    expect(arrived).toBeLessThanOrEqual(RECEIVE_WINDOW);
    expect(arrived).toBeGreaterThan(RECEIVE_WINDOW - 110_000);
    // For as long as it pauses.
    network.advance(60_000);
    expect(ours.bufferedAmount).toBe(sent.reduce((sum, data) => sum + data.length, 0) - arrived);
    b.resume(theirs);
    network.run();
    const received = b.messages(theirs);
    expect(received).toHaveLength(sent.length);
    expect(sent.every((data, i) => same(received[i], data))).toBe(true);
    expect(ours.bufferedAmount).toBe(0);
  });

  it('lets a reader pause and go on at any moment', () => {
    const steps = fc.array(fc.record({ paused: fc.boolean(), size: fc.nat(400_000), run: fc.boolean() }), {
      maxLength: 15,
    });
    fc.assert(
      fc.property(steps, list => {
        const { network, a, b, ours, theirs } = channels();
        network.recording = false;
        for (const { paused, size, run } of list) {
          a.send(ours, new Uint8Array(size));
          if (paused) theirs.pause();
          else b.resume(theirs);
          const before = b.messages(theirs).length;
          if (run) network.run();
          if (run && paused) expect(b.messages(theirs)).toHaveLength(before);
        }
        b.resume(theirs);
        network.run();
        const received = b.messages(theirs).map(data => data!.length);
        expect(received).toEqual(list.map(({ size }) => size));
        expect([ours.state, theirs.state]).toEqual(['open', 'open']);
      }),
      runs(30),
    );
  });

  it('keeps no large record alive for the sake of a small message that waits to be read', () => {
    const { network, node, peer, channel } = openedToRaw();
    channel.pause();
    const padding = Array.from({ length: 1_000 }, () => [Opcode.PING, pattern(125)] as [Opcode, Uint8Array]);
    peer.record(node, [...padding, [Opcode.BINARY, Uint8Array.of(1)]], { sequence: 1, acknowledgement: 1 });
    network.run();
    node.resume(channel);
    const [message] = node.messages(channel) as Uint8Array[];
    expect(message).toEqual(Uint8Array.of(1));
    expect(message!.buffer.byteLength).toBe(1);
  });

  it('tells credit before the messages that wait: the peer does not stand still for as long as we speak', () => {
    const { network, node, peer, channel } = openedToRaw();
    for (let i = 0; i < 20_000; i++) node.send(channel, '');
    const before = peer.records.length;
    for (let sequence = 1; sequence <= 60; sequence++) {
      node.receive(sealed(peer, node, [[Opcode.BINARY, 'x'.repeat(10_000)]], sequence), network.now);
    }
    network.run();
    const items = peer.records.slice(before).map(record => record.items.map(({ opcode }) => opcode));
    expect(items.length).toBeGreaterThan(2);
    expect(items[0]).toContain(Opcode.CREDIT);
  });

  it('tells credit in large steps, not with every message', () => {
    const { network, node, peer } = openedToRaw();
    for (let sequence = 1; sequence <= 100; sequence++) {
      peer.record(node, [[Opcode.BINARY, pattern(10_000)]], { sequence, acknowledgement: 1 });
      network.run();
    }
    expect(peer.opcodes.filter(opcode => opcode === Opcode.CREDIT)).toHaveLength(1);
    // What has arrived is acknowledged every 32 records, with that or by itself.
    const told = peer.records.map(({ header }) => header.acknowledgement).filter(number => number > 0);
    expect(told.length).toBeLessThanOrEqual(5);
    expect(told.at(-1)).toBeGreaterThan(100 - 32);
  });
});

describe('PING and PONG', () => {
  it('carry up to 125 bytes each way, between messages', () => {
    const { network, a, b, ours, theirs } = channels();
    a.send(ours, 'before');
    a.ping(ours, pattern(125));
    a.send(ours, 'after');
    b.ping(theirs, new Uint8Array(0));
    network.run();
    expect(b.of(theirs).filter(event => event.type !== 'sent')).toMatchObject([
      { type: 'incoming' },
      { type: 'message' },
      { type: 'ping', data: pattern(125) },
      { type: 'message' },
      { type: 'pong', data: new Uint8Array(0) },
    ]);
    expect(a.of(ours).filter(event => event.type === 'pong')).toMatchObject([{ data: pattern(125) }]);
  });

  it('in a flood are answered by the latest pong only: no memory is taken', () => {
    const { node, peer, network, channel } = openedToRaw();
    for (let record = 0; record < 20; record++) {
      const pings = Array.from(
        { length: 100 },
        (_, i) => [Opcode.PING, `${record}/${i}`] as [Opcode, string],
      );
      node.receive(sealed(peer, node, pings, record + 1), network.now);
    }
    expect(node.of(channel).filter(({ type }) => type === 'ping')).toHaveLength(2_000);
    network.run();
    const pongs = peer.records.flatMap(({ items }) => items).filter(({ opcode }) => opcode === Opcode.PONG);
    expect(pongs.map(({ payload }) => Buffer.from(payload).toString())).toEqual(['19/99']);
  });

  it('of our own share a frame when they are sent in one turn', () => {
    const { network, a, b, ours, theirs } = channels();
    b.pongs = false;
    const before = network.passed.length;
    for (let i = 0; i < 300; i++) a.ping(ours, utf8(`${i}`));
    network.run();
    expect(b.of(theirs).filter(({ type }) => type === 'ping')).toHaveLength(300);
    expect(network.passed.length - before).toBe(1);
  });

  it('do not wait for the messages that were sent before: a pong goes out with the next record', () => {
    const { node, peer, network, channel } = openedToRaw();
    for (let i = 0; i < 20_000; i++) node.send(channel, '');
    const ping: [Opcode, string][] = [[Opcode.PING, 'are you there']];
    node.receive(sealed(peer, node, ping, 1), network.now);
    const before = peer.records.length;
    network.run();
    expect(peer.records.length - before).toBeGreaterThan(2);
    const [first] = peer.records.slice(before);
    expect(first!.items.map(({ opcode }) => opcode)).toContain(Opcode.PONG);
  });

  it('in large numbers of our own all arrive', () => {
    const { network, a, b, ours, theirs } = channels();
    b.pongs = false;
    for (let i = 0; i < 5_000; i++) a.ping(ours, utf8(`${i}`));
    network.run();
    expect(b.of(theirs).filter(({ type }) => type === 'ping')).toHaveLength(5_000);
  });
});

/** A record of the raw peer, as a frame that comes from it. */
function sealed(
  peer: ReturnType<typeof openedToRaw>['peer'],
  node: EndpointNode,
  items: [Opcode, string][],
  sequence: number,
): Uint8Array {
  peer.record(node, items, { sequence, acknowledgement: 1 });
  const [frame] = peer.takeFrames();
  frame!.set(peer.address, 1);
  return frame!;
}

describe('flush', SLOW, () => {
  it('lets channels take turns: a large message does not keep a small one waiting', () => {
    const { network, a, b, ours, theirs } = channels();
    const second = a.open(b.address);
    network.run();
    a.send(ours, pattern(1_500_000));
    a.send(second, 'small');
    a.budget = 1;
    const small = b.incoming[1]!;
    for (let i = 0; i < 2; i++) network.collect();
    while (network.deliver());
    expect(b.messages(small)).toEqual(['small']);
    expect(b.messages(theirs)).toEqual([]);
    for (let i = 0; i < 10; i++) network.run();
    expect(b.messages(theirs)).toHaveLength(1);
  });

  it('seals about as much as it is told to, and at most one record more', () => {
    const { network, a, ours } = channels();
    a.send(ours, pattern(RECEIVE_WINDOW - 100));
    for (const budget of [1, 300_000, 1_000_000]) {
      a.budget = budget;
      const before = network.passed.length;
      network.collect();
      const bytesOut = network.passed.slice(before).reduce((sum, { frame }) => sum + frame.length, 0);
      expect(bytesOut).toBeGreaterThanOrEqual(budget);
      expect(bytesOut).toBeLessThanOrEqual(budget + DEFAULT_MAX_FRAME);
    }
    a.budget = 0;
    const before = network.passed.length;
    network.collect();
    expect([network.passed.length - before, a.endpoint.hasOutput]).toEqual([0, true]);
  });

  it('has nothing to do when there is nothing to say', () => {
    const { network, a, b, ours } = channels();
    expect([a.endpoint.hasOutput, b.endpoint.hasOutput]).toEqual([false, false]);
    a.endpoint.wake(ours);
    expect([a.endpoint.hasOutput, a.takeFrames(network.now)]).toEqual([false, []]);
  });

  it('puts messages of one turn into frames that are full', () => {
    const { network, a, b, ours, theirs } = channels();
    const before = network.passed.length;
    const sent = Array.from({ length: 150 }, () => pattern(10_000));
    for (const data of sent) a.send(ours, data);
    network.run();
    const frames = network.passed.slice(before).filter(({ from }) => from === a);
    expect(frames.length).toBeLessThanOrEqual(Math.ceil(1_500_000 / 250_000) + 1);
    expect(concat(...(b.messages(theirs) as Uint8Array[]))).toHaveLength(1_500_000);
  });
});
