import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/core/bytes.js';
import type { Channel } from '../../../src/core/channel.js';
import { type ErrorCode, SecureWebSocketError } from '../../../src/core/errors.js';
import { NoticeReason } from '../../../src/core/frame.js';
import { EndpointNode, type EndpointNetwork } from '../../support/endpoint-node.js';
import { flipped, runs, SLOW } from '../../support/fuzz.js';
import { type Packet, VirtualNetwork } from '../../support/virtual-network.js';

/** In everything that is encrypted; in no frame, therefore. */
const MARKER = 'plaintext-marker';
/** The longest that a packet is on its way, milliseconds. */
const LATENCY = 2_000;

type Operation =
  | { type: 'open'; from: number; to: number; exact: boolean }
  | { type: 'cross'; one: number; other: number }
  | { type: 'send'; end: number; size: number; times: number }
  | { type: 'ping' | 'pause' | 'resume' | 'terminate'; end: number }
  | { type: 'close'; end: number; code: number | undefined }
  | { type: 'listen'; node: number; listening: boolean }
  | { type: 'budget'; node: number; budget: number }
  | { type: 'deliver'; packets: number }
  | { type: 'tick' | 'advance'; milliseconds: number };

type Fault = { at: number } & (
  | { type: 'drop' | 'duplicate' | 'hold' | 'swap' | 'reflect' | 'misdirect' }
  | { type: 'tamper'; position: number; bit: number }
  | { type: 'lie'; node: number }
  | { type: 'replay'; packet: number }
  | { type: 'notice'; reason: NoticeReason }
);

const pick = fc.nat(1_000);
const op = <R>(type: Operation['type'], rest: { [K in keyof R]: fc.Arbitrary<R[K]> }) =>
  fc.record({ type: fc.constant(type), ...rest }) as fc.Arbitrary<never>;

const operations: fc.Arbitrary<Operation[]> = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: op('open', { from: pick, to: pick, exact: fc.boolean() }) },
    { weight: 2, arbitrary: op('cross', { one: pick, other: pick }) },
    {
      weight: 8,
      arbitrary: op('send', {
        end: pick,
        size: fc.oneof(fc.nat(100), fc.nat(20_000)),
        times: fc.integer({ min: 1, max: 5 }),
      }),
    },
    { weight: 1, arbitrary: op('ping', { end: pick }) },
    { weight: 1, arbitrary: op('pause', { end: pick }) },
    { weight: 2, arbitrary: op('resume', { end: pick }) },
    { weight: 1, arbitrary: op('terminate', { end: pick }) },
    { weight: 2, arbitrary: op('close', { end: pick, code: fc.constantFrom(undefined, 1000, 3000, 4999) }) },
    { weight: 1, arbitrary: op('listen', { node: pick, listening: fc.boolean() }) },
    { weight: 1, arbitrary: op('budget', { node: pick, budget: fc.constantFrom(0, 1, 10_000, Infinity) }) },
    { weight: 8, arbitrary: op('deliver', { packets: fc.integer({ min: 1, max: 6 }) }) },
    { weight: 4, arbitrary: op('tick', { milliseconds: fc.integer({ min: 1, max: 900 }) }) },
    {
      weight: 3,
      arbitrary: op('advance', {
        milliseconds: fc.constantFrom(
          1,
          5_000,
          119_990,
          120_000,
          165_000,
          169_990,
          175_000,
          180_000,
          7_200_000,
        ),
      }),
    },
  ),
  { minLength: 5, maxLength: 45 },
);

const faults: fc.Arbitrary<Fault[]> = fc.array(
  fc
    .tuple(
      fc.nat(60),
      fc.oneof(
        ...(['drop', 'duplicate', 'hold', 'swap', 'reflect', 'misdirect'] as const).map(type =>
          fc.record({ type: fc.constant(type) }),
        ),
        fc.record({ type: fc.constant('tamper' as const), position: fc.nat(300), bit: fc.nat(7) }),
        fc.record({ type: fc.constant('lie' as const), node: pick }),
        fc.record({ type: fc.constant('replay' as const), packet: pick }),
        fc.record({
          type: fc.constant('notice' as const),
          reason: fc.constantFrom(...Object.values(NoticeReason)),
        }),
      ),
    )
    .map(([at, fault]) => ({ at, ...fault })),
  { minLength: 1, maxLength: 4 },
);

/** One end of a channel: what was sent on it, and what its other end is. */
interface End {
  readonly node: EndpointNode;
  readonly channel: Channel;
  readonly sent: string[];
  other: End | undefined;
  isPaused: boolean;
}

class World {
  readonly network: EndpointNetwork = new VirtualNetwork();
  readonly nodes: EndpointNode[];
  readonly ends: End[] = [];
  readonly #byTarget = new Map<string, End>();
  readonly #sentAt = new WeakMap<Packet, number>();
  readonly #isHostile: boolean;
  #count = 0;

  constructor(nodes: number, faults: Fault[] = []) {
    this.#isHostile = faults.length > 0;
    // Connections of two identities: some nodes have the same key.
    this.nodes = Array.from({ length: nodes }, (_, i) => {
      const node = new EndpointNode(this.network, {
        identity: 1 + (i % 3),
        connectionId: 10 + i,
        maxFrame: 33_000,
      });
      node.answer = (channel, open) => {
        this.#accept(node, channel, open.target);
      };
      return node;
    });
    let count = 0;
    let held: Packet<EndpointNode>[] = [];
    this.network.fault = packet => {
      this.#sentAt.set(packet, this.network.now);
      const here = faults.filter(({ at }) => at === count);
      count++;
      let packets = [packet];
      for (const fault of here) packets = packets.flatMap(each => this.#apply(fault, each, held));
      if (here.length === 0 && held.length > 0) {
        packets.push(...held);
        held = [];
      }
      return packets;
    };
    this.network.collect();
  }

  run(list: Operation[]): void {
    for (const operation of list) this.#do(operation);
  }

  /** Ends all disturbance, and lets time pass until everybody must have noticed what has become of each channel. */
  settle(): void {
    this.network.fault = packet => [packet];
    for (const node of this.nodes) node.budget = Infinity;
    for (const end of this.ends) this.#resume(end);
    for (let round = 0; round < 6; round++) {
      for (const end of this.ends) if (end.channel.state === 'open') this.#send(end, 10);
      this.network.advance(110_000);
    }
  }

  /** Closes everything. Nothing may be left. */
  finish(): void {
    for (const { node, channel } of this.ends) node.close(channel, 1000);
    // Who listens looks after the link, for as long as it does.
    for (const node of this.nodes) node.endpoint.listen(false, this.network.now);
    this.network.advance(3_600_000);
    for (const node of this.nodes) {
      expect(node.endpoint.channelCount).toBe(0);
      expect(node.endpoint.hasOutput).toBe(false);
      expect(node.endpoint.wakeAt).toBe(Infinity);
    }
  }

  /** What must hold at every moment, whatever the network does. */
  check(): void {
    for (const { node, channel, other, isPaused } of this.ends) {
      const received = node.messages(channel);
      const sent = other?.sent ?? [];
      expect(received).toEqual(sent.slice(0, received.length));
      const types = node.typesOf(channel);
      const told = types.filter(type => type === 'closed').length;
      // It is told when everything that arrived before has been read: perhaps not yet, to a reader that pauses.
      if (channel.state !== 'closed') expect(told).toBe(0);
      else if (isPaused) expect(told).toBeLessThanOrEqual(1);
      else expect(told).toBe(1);
      if (told > 0) expect(types.at(-1)).toBe('closed');
      expect(types.filter(type => type === 'opened' || type === 'incoming').length).toBeLessThanOrEqual(1);
      if (other?.channel.handshakeHash && channel.handshakeHash) {
        expect(channel.handshakeHash).toEqual(other.channel.handshakeHash);
      }
    }
    for (const { frame } of this.network.passed) expect(Buffer.from(frame).includes(MARKER)).toBe(false);
  }

  #do(operation: Operation): void {
    const { network } = this;
    switch (operation.type) {
      case 'open': {
        const from = this.nodes[operation.from % this.nodes.length]!;
        const to = this.nodes[operation.to % this.nodes.length]!;
        // Nobody talks to itself.
        if (from !== to) this.#open(from, operation.exact ? to.address : to.anyAddress);
        return;
      }
      case 'cross': {
        const one = this.nodes[operation.one % this.nodes.length]!;
        const other = this.nodes[operation.other % this.nodes.length]!;
        if (one === other) return;
        this.#open(one, other.anyAddress);
        this.#open(other, one.anyAddress);
        return;
      }
      case 'deliver':
        network.collect();
        for (let i = 0; i < operation.packets; i++) network.deliver();
        return;
      case 'tick':
        network.collect();
        network.now += operation.milliseconds;
        while (network.flight[0] && network.now - (this.#sentAt.get(network.flight[0]) ?? 0) > LATENCY)
          network.deliver();
        for (const node of this.nodes) node.timeout(network.now);
        return;
      case 'advance':
        // A network without room for so long would be a fault.
        for (const node of this.nodes) node.budget = Infinity;
        network.advance(operation.milliseconds);
        return;
      case 'listen':
        this.nodes[operation.node % this.nodes.length]!.endpoint.listen(operation.listening, network.now);
        return;
      case 'budget':
        this.nodes[operation.node % this.nodes.length]!.budget = operation.budget;
        return;
      default: {
        const end = this.ends[operation.end % this.ends.length];
        if (end) this.#doAt(end, operation);
      }
    }
  }

  #doAt(end: End, operation: Extract<Operation, { end: number }>): void {
    const { node, channel } = end;
    switch (operation.type) {
      case 'send':
        for (let i = 0; i < operation.times; i++) this.#send(end, operation.size);
        return;
      case 'ping':
        node.ping(channel, utf8(MARKER));
        return;
      case 'pause':
        channel.pause();
        end.isPaused = true;
        return;
      case 'resume':
        this.#resume(end);
        return;
      case 'close':
        node.close(channel, operation.code, MARKER);
        return;
      case 'terminate':
        node.terminate(channel, new SecureWebSocketError('ABORTED', 'why'));
    }
  }

  #resume(end: End): void {
    end.isPaused = false;
    end.node.resume(end.channel);
  }

  #open(from: EndpointNode, address: Uint8Array): void {
    const target = `/${MARKER}/${this.#count++}`;
    const end: End = {
      node: from,
      channel: from.open(address, { target }),
      sent: [],
      other: undefined,
      isPaused: false,
    };
    this.ends.push(end);
    this.#byTarget.set(target, end);
  }

  #accept(node: EndpointNode, channel: Channel, target: string): void {
    const opener = this.#byTarget.get(target);
    // Once, and by the one who has opened it.
    if (!opener || (opener.other && !this.#mayComeAgain(opener, opener.other))) {
      throw new Error(`${target} was opened by nobody, or twice.`);
    }
    if (opener.other) opener.other.other = undefined;
    const mine: End = { node, channel, sent: [], other: opener, isPaused: false };
    opener.other = mine;
    this.ends.push(mine);
    expect(channel.session!.publicKey).toEqual(opener.node.identity.publicKeyBytes);
    node.endpoint.accept(channel, '');
  }

  /**
   * Who was made to forget the session in which it accepted, by a relay that lies, is asked again: its channel has failed
   * then, and the other end has not heard that it was accepted.
   */
  #mayComeAgain(opener: End, acceptor: End): boolean {
    return this.#isHostile && acceptor.channel.state === 'closed' && opener.channel.state === 'opening';
  }

  #send({ node, channel, sent }: End, size: number): void {
    if (channel.state !== 'open') return;
    const text = `${this.#count++} ${MARKER} ${'x'.repeat(size)}`;
    sent.push(text);
    node.send(channel, text);
  }

  #apply(fault: Fault, packet: Packet<EndpointNode>, held: Packet<EndpointNode>[]): Packet<EndpointNode>[] {
    const { network } = this;
    const nodeAt = (i: number) => this.nodes[i % this.nodes.length]!;
    switch (fault.type) {
      case 'drop':
        return [];
      case 'duplicate':
        return [packet, packet];
      case 'hold':
        held.push(packet);
        return [];
      case 'swap': {
        const last = network.flight.at(-1);
        return last ? [packet, last] : [packet];
      }
      case 'reflect':
        return [packet, { ...packet, to: packet.from }];
      case 'misdirect':
        return [
          { ...packet, to: this.nodes.find(node => node !== packet.to && node !== packet.from) ?? packet.to },
        ];
      case 'tamper': {
        const frame = flipped(37 + fault.position, fault.bit)(packet.frame);
        frame.set(packet.frame.subarray(0, 37));
        return [{ ...packet, frame }];
      }
      case 'lie': {
        const frame = packet.frame.slice();
        frame.set(nodeAt(fault.node).address, 1);
        return [{ ...packet, frame }];
      }
      case 'replay':
        return [packet, network.passed[fault.packet % network.passed.length]!];
      case 'notice':
        network.notice(packet.from, fault.reason, packet.to.address);
        packet.from.drain();
        return [];
    }
  }
}

describe('endpoints on a network without faults', SLOW, () => {
  it('deliver all that is sent, in order, once, whoever opens, closes, pauses and waits', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 4 }), operations, (nodes, list) => {
        const world = new World(nodes);
        world.run(list);
        world.check();
        world.settle();
        world.check();
        const expected: ErrorCode[] = [
          'ABORTED',
          'CHANNEL_RESET',
          'CHANNEL_REFUSED',
          'PEER_NOT_HERE',
          'SESSION_TIMEOUT',
        ];
        for (const { node, channel, other } of world.ends) {
          const closed = node.closed(channel);
          if (closed?.error) {
            // Nothing fails that was open and that nobody has ended.
            expect(expected).toContain(closed.error.code);
            const opened = node.typesOf(channel).some(type => type === 'opened' || type === 'incoming');
            if (opened && closed.error.code === 'CHANNEL_RESET')
              expect(closed.error.message).toContain('ABORTED');
            if (opened) expect(['ABORTED', 'CHANNEL_RESET']).toContain(closed.error.code);
          } else if (other && (!closed || closed.wasClean)) {
            expect(node.messages(channel)).toEqual(other.sent);
          }
        }
        world.finish();
      }),
      runs(80),
    );
  });
});

describe('endpoints on a network that loses, repeats, reorders, tampers and lies', SLOW, () => {
  it('deliver nothing but what was sent, in order, once; and each channel works in the end, or has ended', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 4 }), operations, faults, (nodes, list, faultList) => {
        const world = new World(nodes, faultList);
        world.run(list);
        world.check();
        world.settle();
        world.check();
        for (const { node, channel, other } of world.ends) {
          expect(['open', 'closed']).toContain(channel.state);
          if (channel.state !== 'open') continue;
          expect(other?.channel.state).toBe('open');
          expect(node.messages(channel)).toEqual(other!.sent);
        }
        world.finish();
      }),
      runs(80),
    );
  });
});
