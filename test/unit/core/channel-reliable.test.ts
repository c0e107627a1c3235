import { describe, expect, it } from 'vitest';
import {
  CLOSE_TIMEOUT,
  CONNECT_TIMEOUT,
  DEFAULT_MAX_FRAME,
  INITIAL_RETRY,
  MAX_UNACKNOWLEDGED_BYTES,
  MAX_UNACKNOWLEDGED_RECORDS,
  REKEY_AFTER_TIME,
} from '../../../src/core/constants.js';
import { Opcode } from '../../../src/core/record.js';
import { BodyType } from '../../../src/core/sealed-body.js';
import { channels } from '../../support/endpoint-node.js';
import { SLOW } from '../../support/fuzz.js';
import { credit, openedToRaw, type RawItem, withRawPeer } from '../../support/raw-peer.js';
import { typeOf } from '../../support/virtual-network.js';

const { TEXT, BINARY, CREDIT, OPEN, OPEN_ACCEPT, CLOSE, PING, PROBE, PROBE_ANSWER, GAP } = Opcode;
const REPORT = { sequenced: false, sequence: 1 };

/** A peer that has granted all the credit that there can be. */
function generous() {
  const scene = openedToRaw();
  scene.peer.record(scene.node, [[CREDIT, credit(Number.MAX_SAFE_INTEGER)]], {
    sequence: 1,
    acknowledgement: 1,
  });
  scene.network.run();
  const dataRecords = () =>
    scene.peer.records.filter(({ items }) => items.some(({ opcode }) => opcode <= BINARY));
  return { ...scene, dataRecords };
}

describe('a peer that grants all the credit there is, and never acknowledges', SLOW, () => {
  it('makes us keep a bounded number of bytes, and no more is sent', () => {
    const { network, node, channel, dataRecords } = generous();
    const message = new Uint8Array(1_000_000);
    for (let i = 0; i < 100; i++) node.send(channel, message);
    network.run();
    const written = 100_000_000 - channel.bufferedAmount;
    expect(written).toBeGreaterThanOrEqual(MAX_UNACKNOWLEDGED_BYTES - DEFAULT_MAX_FRAME);
    expect(written).toBeLessThanOrEqual(MAX_UNACKNOWLEDGED_BYTES + DEFAULT_MAX_FRAME);
    const count = dataRecords().length;
    network.advance(20_000);
    expect([dataRecords().length, channel.bufferedAmount]).toEqual([count, 100_000_000 - written]);
  });

  it('makes us keep a bounded number of records', () => {
    const { network, node, channel, dataRecords } = generous();
    for (let i = 0; i < 3 * MAX_UNACKNOWLEDGED_RECORDS; i++) {
      node.send(channel, 'x');
      network.run();
    }
    expect(dataRecords().length).toBeLessThanOrEqual(MAX_UNACKNOWLEDGED_RECORDS);
    expect(dataRecords().length).toBeGreaterThan(MAX_UNACKNOWLEDGED_RECORDS - 3);
    // Nor do answers to its pings take more.
    expect(channel.bufferedAmount).toBe(3 * MAX_UNACKNOWLEDGED_RECORDS - dataRecords().length);
  });

  it('is not owed a pong without end', () => {
    const { network, node, peer, channel } = openedToRaw();
    for (let i = 1; i <= 2 * MAX_UNACKNOWLEDGED_RECORDS; i++) {
      peer.record(node, [[PING, `${i}`]], { sequence: i, acknowledgement: 1 });
      network.run();
    }
    expect(channel.bytesKept).toBeLessThan(100 * MAX_UNACKNOWLEDGED_RECORDS);
    expect(peer.opcodes.filter(opcode => opcode === Opcode.PONG).length).toBeLessThanOrEqual(
      MAX_UNACKNOWLEDGED_RECORDS,
    );
    // All that it says is still heard and acknowledged.
    expect(peer.records.at(-1)!.header.acknowledgement).toBeGreaterThan(2 * MAX_UNACKNOWLEDGED_RECORDS - 64);
  });

  it('gets the rest when it does', () => {
    const { network, node, peer, channel } = generous();
    for (let i = 0; i < 6; i++) node.send(channel, new Uint8Array(1_000_000));
    network.run();
    expect(channel.bufferedAmount).toBeGreaterThan(0);
    const acknowledgement = Math.max(...peer.records.map(({ header }) => header.sequence)) + 1;
    peer.record(node, [], { ...REPORT, sequence: 2, acknowledgement });
    network.run();
    expect(channel.bufferedAmount).toBe(0);
  });

  it('cannot hold up the end: CLOSE_TIMEOUT, and what it has not acknowledged is handed back', () => {
    const { network, node, channel } = generous();
    for (let i = 0; i < 6; i++) node.send(channel, new Uint8Array(1_000_000));
    node.close(channel, 1000);
    network.advance(CLOSE_TIMEOUT);
    const closed = node.closed(channel)!;
    expect(closed).toMatchObject({ code: 1006, wasClean: false, error: { code: 'CLOSE_TIMEOUT' } });
    expect(closed.unacknowledged.map(({ data }) => data.length)).toEqual(Array(6).fill(1_000_000));
  });

  it("is handed back what is nobody else's", () => {
    const { network, node, channel } = generous();
    // As long as buffers that are used again.
    for (let i = 1; i <= 6; i++) node.send(channel, new Uint8Array(1_048_576).fill(i));
    node.close(channel, 1000);
    network.advance(CLOSE_TIMEOUT);
    const messages = node.closed(channel)!.unacknowledged.map(({ data }) => data);
    expect(messages.map(data => data.buffer.byteLength)).toEqual(Array(6).fill(1_048_576));
    expect(messages.every((data, i) => data.every(byte => byte === i + 1))).toBe(true);
  });
});

describe('reports in a flood', SLOW, () => {
  it('of gaps make us send again what is missing, and not again and again', () => {
    const { network, node, peer, channel, dataRecords } = generous();
    for (let i = 0; i < 50; i++) {
      node.send(channel, `${i}`);
      network.run();
    }
    const acknowledged = 11;
    expect(dataRecords()).toHaveLength(50);
    for (let i = 0; i < 500; i++) {
      peer.record(node, [[GAP], [GAP]], { ...REPORT, sequence: 2, acknowledgement: acknowledged - (i % 3) });
      network.run();
    }
    expect(dataRecords().length).toBeLessThanOrEqual(2 * 50);
    // A round trip later it may be true again.
    network.now += 1_000;
    const before = dataRecords().length;
    peer.record(node, [[GAP]], { ...REPORT, sequence: 2, acknowledgement: acknowledged });
    network.run();
    expect(dataRecords().length - before).toBe(51 - acknowledged);
  });

  it('of questions are answered once, when they can be', () => {
    const { network, node, peer } = openedToRaw();
    node.budget = 0;
    for (let i = 0; i < 5_000; i++)
      peer.record(node, [[PROBE, credit(i)]], { ...REPORT, acknowledgement: 1 });
    network.run();
    node.budget = Infinity;
    network.run();
    const answers = peer.records
      .flatMap(({ items }) => items)
      .filter(({ opcode }) => opcode === PROBE_ANSWER);
    expect(answers.map(({ payload }) => payload)).toEqual([credit(4_999)]);
  });

  it('of answers to nothing change nothing', () => {
    const { network, node, peer, channel, dataRecords } = generous();
    node.send(channel, 'x');
    network.run();
    for (let i = 0; i < 1_000; i++) {
      const items: RawItem[] = [
        [PROBE_ANSWER, credit(i)],
        [PROBE_ANSWER, new Uint8Array(i % 12)],
      ];
      peer.record(node, items, { ...REPORT, sequence: 2, acknowledgement: 1 });
    }
    network.run();
    expect([dataRecords().length, channel.state]).toEqual([1, 'open']);
  });

  it('of what lies beyond a gap are reported once', () => {
    const { network, node, peer } = openedToRaw();
    for (let i = 0; i < 1_000; i++) {
      peer.record(node, [[TEXT, 'x']], { sequence: 5 + i, acknowledgement: 1 });
      network.run();
    }
    expect(peer.opcodes.filter(opcode => opcode === GAP)).toHaveLength(1);
  });
});

describe('a tail that was lost', SLOW, () => {
  it('is asked after, and sent again when it is certain that it was lost', () => {
    const { network, node, peer, channel, dataRecords } = generous();
    node.send(channel, 'x');
    network.run();
    network.advance(INITIAL_RETRY);
    const question = peer.records.at(-1)!;
    expect(question.items.map(({ opcode }) => opcode)).toEqual([PROBE]);
    expect([question.header.sequenced, question.header.sequence]).toEqual([false, 2]);
    // The peer has it: nothing more is said.
    peer.record(node, [[PROBE_ANSWER, question.items[0]!.payload]], {
      ...REPORT,
      sequence: 2,
      acknowledgement: 2,
    });
    network.advance(60_000);
    expect([dataRecords().length, peer.opcodes.at(-1)]).toEqual([1, PROBE]);
    // And now it has not.
    node.send(channel, 'y');
    network.advance(10_000);
    const again = peer.records.at(-1)!.items[0]!;
    peer.record(node, [[PROBE_ANSWER, again.payload]], { ...REPORT, sequence: 2, acknowledgement: 2 });
    network.run();
    expect(dataRecords().map(({ header }) => header.sequence)).toEqual([1, 2, 2]);
  });

  it('with OPEN in it is sent again without a question: nobody could answer one', () => {
    for (const dropped of [1, 2, 3]) {
      const { network, node, peer } = withRawPeer();
      let drop = dropped;
      network.fault = packet => (packet.from === node && drop-- > 0 ? [] : [packet]);
      const channel = node.open(peer.address);
      network.advance(10_000);
      expect(new Set(peer.opcodes)).toEqual(new Set([OPEN]));
      peer.record(node, [[OPEN_ACCEPT, peer.acceptance(node)]], { acknowledgement: 1 });
      network.run();
      expect(channel.state).toBe('open');
    }
  });

  it('with OPEN_ACCEPT, CREDIT or CLOSE in it is sent again, too', () => {
    for (let lost = 0; lost < 12; lost++) {
      const { network, a, b } = channels();
      let count = 0;
      network.fault = packet => (count++ === lost ? [] : [packet]);
      const ours = a.open(b.address);
      network.advance(2_000);
      const theirs = b.incoming[1]!;
      a.send(ours, new Uint8Array(600_000));
      network.advance(2_000);
      b.close(theirs, 3000, 'done');
      network.advance(10_000);
      expect(b.messages(theirs)).toHaveLength(1);
      for (const [node, channel] of [
        [a, ours],
        [b, theirs],
      ] as const) {
        expect(node.closed(channel), `${lost}`).toMatchObject({
          code: 3000,
          wasClean: true,
          unacknowledged: [],
        });
      }
    }
  });

  it('is given up with the channel when nothing is heard while it opens', () => {
    const { network, node, peer } = withRawPeer();
    const channel = node.open(peer.address);
    network.fault = () => [];
    network.advance(CONNECT_TIMEOUT);
    expect(node.closed(channel)).toMatchObject({ error: { code: 'SESSION_TIMEOUT' } });
  });
});

describe('the session in which OPEN has arrived', SLOW, () => {
  it('is named by the peer: it may have been sent in several', () => {
    for (const arrives of ['the first', 'the second', 'both'] as const) {
      const { network, a, b } = channels();
      network.advance(REKEY_AFTER_TIME);
      const opens: (typeof network.flight)[number][] = [];
      network.fault = packet => {
        if (packet.from !== a || typeOf(packet) !== BodyType.TRANSPORT || packet.frame.length < 130)
          return [packet];
        opens.push(packet);
        return [];
      };
      const ours = a.open(b.address, { target: '/somewhere', resume: true });
      network.advance(3 * INITIAL_RETRY);
      expect(opens.length).toBeGreaterThanOrEqual(2);
      network.fault = packet => [packet];
      const first = opens[0]!;
      const second = opens[1]!;
      const wanted =
        arrives === 'the first' ? [first] : arrives === 'the second' ? [second] : [first, second];
      for (const packet of wanted) b.receive(packet.frame, network.now);
      network.run();
      const theirs = b.incoming[1]!;
      expect([ours.state, theirs.state, b.incoming.length]).toEqual(['open', 'open', 2]);
      expect(ours.handshakeHash).toEqual(theirs.handshakeHash);
      expect(ours.lineage!.id).toBe(theirs.lineage!.id);
      a.send(ours, 'x');
      network.run();
      expect(b.messages(theirs)).toEqual(['x']);
    }
  });

  it('is none in which it was not sent: PROTOCOL_VIOLATION', () => {
    for (const session of ['', 'AAAAAAAAAAAAAAAAAAAAAA', 'nonsense']) {
      const { network, node, peer } = withRawPeer();
      const channel = node.open(peer.address);
      network.run();
      peer.record(node, [[OPEN_ACCEPT, peer.acceptance(node, { session })]], { acknowledgement: 1 });
      network.run();
      expect(node.closed(channel)).toMatchObject({ code: 1006, error: { code: 'PROTOCOL_VIOLATION' } });
    }
  });

  it('keeps no channel that was not to be kept', () => {
    const { network, node, peer } = withRawPeer();
    const channel = node.open(peer.address);
    network.run();
    peer.record(node, [[OPEN_ACCEPT, peer.acceptance(node, { resume: 120_000 })]], { acknowledgement: 1 });
    network.run();
    expect([channel.state, channel.isResumable]).toEqual(['open', false]);
  });
});

describe('CLOSE', SLOW, () => {
  it('is clean only when the peer has acknowledged it, and with it all that came before', () => {
    const { network, node, peer, channel } = openedToRaw();
    node.send(channel, 'last words');
    node.close(channel, 1000);
    network.run();
    peer.record(node, [[CLOSE, Uint8Array.of(3, 232)]], { sequence: 1, acknowledgement: 1 });
    network.run();
    expect(channel.state).toBe('closing');
    const own = peer.records.find(({ items }) => items.some(({ opcode }) => opcode === CLOSE))!;
    peer.record(node, [], { sequenced: false, sequence: 2, acknowledgement: own.header.sequence + 1 });
    network.run();
    expect(node.closed(channel)).toMatchObject({ code: 1000, wasClean: true, unacknowledged: [] });
  });

  it('without that is not: what was cut off is noticed, and handed back', () => {
    const { network, node, peer, channel } = openedToRaw();
    node.send(channel, 'last words');
    node.close(channel, 1000);
    network.run();
    peer.record(node, [[CLOSE, Uint8Array.of(3, 232)]], { sequence: 1, acknowledgement: 1 });
    network.run();
    network.notice(node, 5, peer.address);
    node.drain();
    const closed = node.closed(channel)!;
    expect(closed).toMatchObject({ code: 1000, wasClean: false, error: { code: 'PEER_GONE' } });
    expect(closed.unacknowledged).toHaveLength(1);
  });
});
