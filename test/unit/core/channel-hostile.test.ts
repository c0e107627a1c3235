import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/core/bytes.js';
import { INITIAL_RETRY, ITEM_OVERHEAD, MIN_FRAGMENT, RECEIVE_WINDOW } from '../../../src/core/constants.js';
import { Opcode, type RecordHeader } from '../../../src/core/record.js';
import { channels, EndpointNode } from '../../support/endpoint-node.js';
import { bytes, flipped, runs, SLOW, tamperings } from '../../support/fuzz.js';
import {
  ACCEPT,
  credit,
  encodeRecord,
  OPEN,
  openedByRaw,
  openedToRaw,
  type RawItem,
  withRawPeer,
} from '../../support/raw-peer.js';

const { CONTINUATION, TEXT, BINARY, OPEN_ACCEPT, OPEN_REFUSE, CREDIT, RESET, CLOSE, PING, PONG } = Opcode;
const { PROBE, PROBE_ANSWER, GAP, RESUME } = Opcode;
const filled = (length: number) => new Uint8Array(length).fill(length);
const closing = (...payload: number[]): RawItem => [CLOSE, Uint8Array.from(payload)];
/** What a peer says next on a channel that we have opened and it has accepted. */
const NEXT = { sequence: 1, acknowledgement: 1 };

describe('a peer that breaks the protocol loses its channel, and is told why:', () => {
  it.each<[string, RawItem[], Partial<RecordHeader>?]>([
    ['a second OPEN', [[Opcode.OPEN, OPEN]]],
    ['a second OPEN_ACCEPT', [[OPEN_ACCEPT, ACCEPT]]],
    ['OPEN_REFUSE after OPEN_ACCEPT', [[OPEN_REFUSE, '{"status":404,"reason":""}']]],
    ['a continuation of nothing', [[CONTINUATION, filled(2_000)]]],
    [
      'a message inside another',
      [
        [BINARY, filled(2_000), false],
        [TEXT, 'x'],
      ],
    ],
    ['a fragment that is too small', [[BINARY, filled(MIN_FRAGMENT - 1), false]]],
    ['a ping in fragments', [[PING, 'x', false]]],
    ['a pong in fragments', [[PONG, 'x', false]]],
    ['CLOSE in fragments', [[CLOSE, '', false]]],
    ['CREDIT in fragments', [[CREDIT, credit(1), false]]],
    ['RESET in a record with a sequence number', [[RESET]]],
    ['PROBE in a record with a sequence number', [[PROBE, credit(1)]]],
    ['PROBE_ANSWER in a record with a sequence number', [[PROBE_ANSWER, credit(1)]]],
    ['GAP in a record with a sequence number', [[TEXT, 'x'], [GAP]]],
    ['RESUME in a record with a sequence number', [[RESUME, filled(48)]]],
    ['PROBE of 7 bytes', [[PROBE, filled(7)]], { sequenced: false }],
    ['PROBE of 9 bytes', [[PROBE, filled(9)]], { sequenced: false }],
    ['PROBE of nothing', [[PROBE]], { sequenced: false }],
    ['CREDIT without a sequence number', [[CREDIT, credit(1)]], { sequenced: false }],
    ['data beside PROBE', [[PROBE, credit(1)], [PING]], { sequenced: false }],
    ['a bare acknowledgement of what was never sent', [], { sequenced: false, acknowledgement: 2 }],
    ['a report of a gap in what was never sent', [[GAP]], { sequenced: false, acknowledgement: 2 }],
    ['a ping of 126 bytes', [[PING, filled(126)]]],
    ['a pong of 126 bytes', [[PONG, filled(126)]]],
    ['CLOSE of one byte', [closing(3)]],
    ['CLOSE with status 0', [closing(0, 0)]],
    ['CLOSE with status 999', [closing(3, 231)]],
    ['CLOSE with status 1004', [closing(3, 236)]],
    ['CLOSE with status 1005', [closing(3, 237)]],
    ['CLOSE with status 1006', [closing(3, 238)]],
    ['CLOSE with status 1015', [closing(3, 247)]],
    ['CLOSE with status 2999', [closing(11, 183)]],
    ['CLOSE with status 5000', [closing(19, 136)]],
    ['CLOSE with a reason that is not UTF-8', [closing(3, 232, 0xff)]],
    ['CLOSE of 126 bytes', [closing(3, 232, ...filled(124))]],
    ['CREDIT of 7 bytes', [[CREDIT, new Uint8Array(7)]]],
    ['CREDIT of 9 bytes', [[CREDIT, new Uint8Array(9)]]],
    ['CREDIT of nothing', [[CREDIT]]],
    ['CREDIT of 2^53', [[CREDIT, Uint8Array.of(0, 0x20, 0, 0, 0, 0, 0, 0)]]],
    ['CREDIT of 2^64 - 1', [[CREDIT, new Uint8Array(8).fill(0xff)]]],
    ['data without a sequence number', [[TEXT, 'x']], { sequenced: false }],
    ['CLOSE without a sequence number', [[CLOSE]], { sequenced: false }],
    ['a ping without a sequence number', [[PING]], { sequenced: false }],
    ['an acknowledgement of what was never sent', [[TEXT, 'x']], { acknowledgement: 2 }],
    ['an acknowledgement far off', [[TEXT, 'x']], { acknowledgement: Number.MAX_SAFE_INTEGER }],
  ])('%s', (_, items, header) => {
    const { network, node, peer, channel } = openedToRaw();
    const second = node.open(peer.address);
    network.run();
    peer.record(node, [[OPEN_ACCEPT, ACCEPT]], { channelId: 2, acknowledgement: 1 });
    peer.record(node, items, { ...NEXT, ...header });
    network.run();
    expect(node.closed(channel)).toMatchObject({
      code: 1006,
      wasClean: false,
      error: { code: 'PROTOCOL_VIOLATION' },
    });
    const told = peer.records.at(-1)!;
    expect(told.items.map(({ opcode, payload }) => [opcode, Buffer.from(payload).toString()])).toEqual([
      [RESET, 'PROTOCOL_VIOLATION'],
    ]);
    expect(told.header).toMatchObject({ channelId: 1, opener: true });
    // Nothing else is harmed.
    expect(second.state).toBe('open');
    peer.record(node, [[TEXT, 'still here']], { channelId: 2, ...NEXT });
    network.run();
    expect(node.messages(second)).toEqual(['still here']);
  });

  it('what comes after CLOSE, but for CREDIT and RESET', () => {
    for (const item of [[TEXT, 'x'], [PING], [PONG], [CLOSE], [Opcode.OPEN, OPEN]] as RawItem[]) {
      const { network, node, peer, channel } = openedByRaw();
      // The answer to CLOSE has to wait.
      node.send(channel, filled(2 * RECEIVE_WINDOW));
      peer.record(node, [closing(3, 232)], { opener: true, ...NEXT });
      peer.record(node, [[CREDIT, credit(0)]], { opener: true, ...NEXT, sequence: 2 });
      network.run();
      expect(channel.state).toBe('closing');
      peer.record(node, [item], { opener: true, sequence: 3, acknowledgement: 1 });
      network.run();
      expect(node.closed(channel)).toMatchObject({ error: { code: 'PROTOCOL_VIOLATION' } });
    }
  });

  it('data before it has accepted the channel', () => {
    for (const item of [[TEXT, 'x'], [PING], [PONG], [CLOSE]] as RawItem[]) {
      const { network, node, peer } = withRawPeer();
      const channel = node.open(peer.address);
      network.run();
      peer.record(node, [item], { acknowledgement: 1 });
      network.run();
      expect(node.closed(channel)).toMatchObject({ error: { code: 'PROTOCOL_VIOLATION' } });
      expect(node.messages(channel)).toEqual([]);
    }
  });

  it('data before the channel was accepted by us', () => {
    for (const item of [[TEXT, 'x'], [PING], [PONG], closing(3, 232), [OPEN_ACCEPT, ACCEPT]] as RawItem[]) {
      const { network, node, peer } = withRawPeer();
      node.answer = undefined;
      peer.record(node, [[Opcode.OPEN, OPEN]], { opener: true });
      peer.record(node, [item], { opener: true, sequence: 1 });
      network.run();
      const [channel] = node.incoming;
      expect(node.closed(channel!)).toMatchObject({ error: { code: 'PROTOCOL_VIOLATION' } });
      expect(node.typesOf(channel!)).toEqual(['incoming', 'closed']);
    }
  });

  it('data together with OPEN', () => {
    const { network, node, peer } = withRawPeer();
    peer.record(
      node,
      [
        [Opcode.OPEN, OPEN],
        [TEXT, 'x'],
      ],
      { opener: true },
    );
    network.run();
    expect(node.incoming).toEqual([]);
    expect(peer.opcodes).toEqual([RESET]);
  });

  it('an answer to OPEN that is malformed', () => {
    for (const item of [[OPEN_ACCEPT, '{}'], [OPEN_REFUSE, '{'], [OPEN_ACCEPT]] as RawItem[]) {
      const { network, node, peer } = withRawPeer();
      const channel = node.open(peer.address);
      network.run();
      peer.record(node, [item], { acknowledgement: 1 });
      network.run();
      expect(node.closed(channel)).toMatchObject({ error: { code: 'RECORD_MALFORMED' } });
    }
  });

  it('more data than it has credit for: FLOW_CONTROL', () => {
    for (const paused of [false, true]) {
      const { network, node, peer, channel } = openedToRaw();
      if (paused) channel.pause();
      let sequence = 1;
      const say = (size: number) => {
        peer.record(node, [[BINARY, filled(size)]], { sequence: sequence++, acknowledgement: 1 });
        if (paused) network.run();
      };
      // All in one go, so that no new credit is told in between; a reader who pauses gives none anyway.
      for (let i = 0; i < 8; i++) say(RECEIVE_WINDOW / 8 - ITEM_OVERHEAD);
      if (paused) {
        expect(channel.state).toBe('open');
        say(0);
        network.run();
        expect(channel.state).toBe('closed');
        expect(peer.records.at(-1)!.items[0]!.payload).toEqual(utf8('FLOW_CONTROL'));
        // What was within its credit is handed over, should anybody read on; then the end is told.
        expect(node.closed(channel)).toBeUndefined();
        node.resume(channel);
        expect(node.messages(channel)).toHaveLength(8);
        expect(node.closed(channel)).toMatchObject({ error: { code: 'FLOW_CONTROL' } });
      } else {
        network.run();
        expect(channel.state).toBe('open');
        expect(peer.opcodes).toContain(CREDIT);
      }
    }
  });

  it('more tiny messages than there is memory for', () => {
    const { network, node, peer, channel } = openedToRaw();
    channel.pause();
    const most = RECEIVE_WINDOW / ITEM_OVERHEAD;
    for (let i = 0; i < most / 4_096; i++) {
      peer.record(node, Array<RawItem>(4_096).fill([TEXT]), { sequence: i + 1, acknowledgement: 1 });
    }
    network.run();
    expect(channel.state).toBe('open');
    peer.record(node, [[TEXT]], { sequence: most / 4_096 + 1, acknowledgement: 1 });
    network.run();
    expect(channel.state).toBe('closed');
    node.resume(channel);
    expect(node.messages(channel)).toHaveLength(most);
    expect(node.closed(channel)).toMatchObject({ error: { code: 'FLOW_CONTROL' } });
  });
});

describe('records that are lost, repeated or broken', () => {
  it('a gap is reported once, and nothing after it is delivered before what is missing has come', () => {
    const { network, node, peer, channel } = openedToRaw();
    peer.record(node, [[TEXT, 'first']], NEXT);
    for (const sequence of [3, 4, 5]) {
      peer.record(node, [[TEXT, `${sequence}`]], { sequence, acknowledgement: 1 });
    }
    network.run();
    expect(node.messages(channel)).toEqual(['first']);
    expect(channel.state).toBe('open');
    const report = peer.records.at(-1)!;
    expect(report.items.map(({ opcode, payload }) => [opcode, payload.length])).toEqual([[GAP, 0]]);
    expect(report.header).toEqual({
      channelId: 1,
      opener: true,
      sequenced: false,
      sequence: 1,
      acknowledgement: 2,
    });
    expect(peer.opcodes.filter(opcode => opcode === GAP)).toHaveLength(1);
    for (const sequence of [2, 3]) {
      peer.record(node, [[TEXT, `${sequence}`]], { sequence, acknowledgement: 1 });
    }
    network.run();
    expect(node.messages(channel)).toEqual(['first', '2', '3']);
    expect(peer.opcodes.filter(opcode => opcode === GAP)).toHaveLength(1);
  });

  it('a gap in what is sent again is reported again', () => {
    const { network, node, peer, channel } = openedToRaw();
    for (const sequence of [2, 3, 4, 2, 3]) {
      peer.record(node, [[TEXT, `${sequence}`]], { sequence, acknowledgement: 1 });
      network.run();
    }
    expect(peer.opcodes.filter(opcode => opcode === GAP)).toHaveLength(2);
    expect(node.messages(channel)).toEqual([]);
  });

  it('a gap is noticed by what comes without a sequence number, too', () => {
    const { network, node, peer, channel } = openedToRaw();
    peer.record(node, [], { sequenced: false, sequence: 2, acknowledgement: 1 });
    network.run();
    expect([channel.state, peer.opcodes.at(-1)]).toEqual(['open', GAP]);
  });

  it('a message that the network lost is sent again; everything arrives once and in order', () => {
    const { network, a, b, ours, theirs } = channels();
    network.fault = () => [];
    a.send(ours, 'lost');
    network.run();
    network.fault = packet => [packet];
    a.send(ours, 'found');
    network.run();
    expect(b.messages(theirs)).toEqual(['lost', 'found']);
    // And also when nothing comes after it by which it would be noticed.
    network.fault = () => [];
    a.send(ours, 'the last');
    network.run();
    network.fault = packet => [packet];
    network.advance(INITIAL_RETRY);
    expect(b.messages(theirs)).toEqual(['lost', 'found', 'the last']);
    expect([ours.state, theirs.state]).toEqual(['open', 'open']);
  });

  it('a repeated record changes nothing', () => {
    const { network, node, peer, channel } = openedToRaw();
    for (const sequence of [1, 1, 0, 2, 1, 2, 0]) {
      peer.record(node, [[TEXT, `${sequence}`]], { sequence, acknowledgement: 1 });
    }
    network.run();
    expect(node.messages(channel)).toEqual(['1', '2']);
    expect(channel.state).toBe('open');
  });

  it('an empty record changes nothing', () => {
    const { network, node, peer, channel } = openedToRaw();
    peer.record(node, [], { sequenced: false, ...NEXT });
    peer.record(node, [], NEXT);
    peer.record(node, [[TEXT, 'x']], { sequence: 2, acknowledgement: 1 });
    network.run();
    expect([channel.state, node.messages(channel)]).toEqual(['open', ['x']]);
  });

  it('items that are malformed end the channel they are on', () => {
    const { network, node, peer, channel } = openedToRaw();
    const record = Uint8Array.of(...encodeRecord([[TEXT, 'good']], NEXT), 0x8f, 0);
    peer.seal(peer.sessions.find(node.address)!, record);
    network.run();
    expect(node.closed(channel)).toMatchObject({ error: { code: 'RECORD_MALFORMED' } });
    // Not even the good one is taken.
    expect(node.messages(channel)).toEqual([]);
  });

  it('a record that is none ends the session', () => {
    for (const record of [Uint8Array.of(1), encodeRecord([]).fill(0xff, 4, 5)]) {
      const { network, node, peer, channel } = openedToRaw();
      peer.seal(peer.sessions.find(node.address)!, record);
      network.run();
      expect(node.closed(channel)).toMatchObject({ error: { code: 'RECORD_MALFORMED' } });
    }
  });
});

describe('a channel that is not there', SLOW, () => {
  it('is answered with RESET where an answer is waited for, and never otherwise: that would not end', () => {
    for (const [items, sequenced, answered] of [
      [[[TEXT, 'x']], true, true],
      [[[PING]], true, true],
      [[[CLOSE]], true, true],
      [[[CREDIT, credit(1)]], true, true],
      [[[PROBE, credit(1)]], false, true],
      [[], false, false],
      [[[RESET, 'x']], false, false],
      [[[GAP]], false, false],
      [[[PROBE_ANSWER, credit(1)]], false, false],
      [[[RESUME, filled(48)]], false, true],
    ] as [RawItem[], boolean, boolean][]) {
      const { network, node, peer } = withRawPeer();
      peer.record(node, items, { channelId: 77, opener: true, sequenced, sequence: 5, acknowledgement: 3 });
      network.run();
      expect(peer.opcodes).toEqual(answered ? [RESET] : []);
      if (!answered) continue;
      // The peer is to believe it: the numbers are those that it expects.
      expect(peer.records[0]!.header).toEqual({
        channelId: 77,
        opener: false,
        sequenced: false,
        sequence: 3,
        acknowledgement: 0,
      });
      const why = items[0]![0] === RESUME ? 'CHANNEL_LOST' : 'CHANNEL_RESET';
      expect(peer.records[0]!.items[0]!.payload).toEqual(utf8(why));
    }
  });

  it('ends at the other end as well', () => {
    const { network, a, b, ours, theirs } = channels();
    // `b` forgets the channel without a word, as after a failure that could not be told.
    network.fault = () => [];
    b.close(theirs);
    network.advance(60_000);
    expect(theirs.state).toBe('closed');
    network.fault = packet => [packet];
    a.send(ours, 'hello?');
    network.run();
    expect(a.closed(ours)).toMatchObject({ code: 1006, error: { code: 'CHANNEL_RESET' } });
  });

  it.each<[string, RawItem[], Partial<RecordHeader>]>([
    ['without the flag of an opener', [[Opcode.OPEN, OPEN]], {}],
    ['that is not the first record', [[Opcode.OPEN, OPEN]], { opener: true, sequence: 1 }],
    ['without a sequence number', [[Opcode.OPEN, OPEN]], { opener: true, sequenced: false }],
    ['that acknowledges something', [[Opcode.OPEN, OPEN]], { opener: true, acknowledgement: 1 }],
    ['of nonsense', [[Opcode.OPEN, '{}']], { opener: true }],
    ['that is not the first item', [[PING], [Opcode.OPEN, OPEN]], { opener: true }],
  ])('is not opened by OPEN %s', (_, items, header) => {
    const { network, node, peer } = withRawPeer();
    peer.record(node, items, header);
    network.run();
    expect([node.incoming, node.endpoint.channelCount]).toEqual([[], 0]);
    expect(peer.opcodes).toEqual(header.sequenced === false ? [] : [RESET]);
  });

  it('is answered only so often to one who does not read', () => {
    const { network, node, peer } = withRawPeer();
    node.budget = 0;
    for (let i = 0; i < 3_000; i++) peer.record(node, [[TEXT, 'x']], { channelId: 100 + i, opener: true });
    network.run();
    expect(peer.records).toEqual([]);
    node.budget = Infinity;
    network.run();
    expect(peer.records).toHaveLength(1_024);
    expect(node.endpoint.hasOutput).toBe(false);
  });

  it('is not confused with one of the same number that the other end has opened', () => {
    const { network, node, peer, channel } = openedToRaw();
    peer.record(node, [[Opcode.OPEN, OPEN]], { opener: true });
    network.run();
    const [theirs] = node.incoming;
    expect(theirs!.id).toBe(channel.id);
    peer.record(node, [[TEXT, 'to ours']], NEXT);
    peer.record(node, [[TEXT, 'to theirs']], { opener: true, ...NEXT });
    network.run();
    expect([node.messages(channel), node.messages(theirs!)]).toEqual([['to ours'], ['to theirs']]);
  });
});

describe('what a peer says of itself', () => {
  it('in RESET is repeated only when it is a code', () => {
    for (const [payload, shown] of [
      ['FLOW_CONTROL', true],
      ['', false],
      ['\u001b[2J', false],
      ['lower case', false],
      ['A'.repeat(10_000), true],
    ] as const) {
      const { network, node, peer, channel } = openedToRaw();
      peer.record(node, [[RESET, payload]], { sequenced: false, ...NEXT });
      network.run();
      const { error } = node.closed(channel)!;
      expect(error!.code).toBe('CHANNEL_RESET');
      expect(error!.message.includes(payload.slice(0, 64)) && payload !== '').toBe(shown);
      expect(error!.message.length).toBeLessThan(200);
    }
  });

  it('in OPEN_REFUSE is repeated in part, and without what steers a terminal', () => {
    const { network, node, peer } = withRawPeer();
    const channel = node.open(peer.address);
    network.run();
    const reason = `\u001b[2J\n\u202e${'x'.repeat(9_000)}`;
    peer.record(node, [[OPEN_REFUSE, JSON.stringify({ status: 403, reason })]], { acknowledgement: 1 });
    network.run();
    const { error } = node.closed(channel)!;
    expect(error).toMatchObject({ code: 'CHANNEL_REFUSED' });
    expect(error!.message).toContain('403');
    expect(error!.message.length).toBeLessThan(300);
    expect(error!.message).not.toMatch(/\p{C}/u);
  });
});

describe('whatever a peer says on a good session', SLOW, () => {
  const items: fc.Arbitrary<RawItem> = fc.tuple(
    fc.constantFrom(...Object.values(Opcode)),
    fc.oneof(bytes(20), fc.constantFrom(OPEN, ACCEPT, credit(9)), bytes(1_100, 1_020)),
    fc.boolean(),
  );
  const small = fc.oneof(fc.nat(3), fc.maxSafeNat());
  const records = fc.record({
    items: fc.array(items, { maxLength: 4 }),
    header: fc.record({
      channelId: fc.nat(3),
      opener: fc.boolean(),
      sequenced: fc.boolean(),
      sequence: small,
      acknowledgement: small,
    }),
    tamper: fc.option(
      fc.oneof(
        tamperings,
        fc.nat().map(at => flipped(at)),
      ),
      { nil: undefined },
    ),
    run: fc.boolean(),
  });

  it('is survived; each channel ends at most once, and others are not harmed', () => {
    fc.assert(
      fc.property(fc.array(records, { maxLength: 12 }), list => {
        const { network, node, peer } = openedToRaw();
        const honest = new EndpointNode(network, { identity: 3 });
        const channel = honest.open(node.anyAddress);
        network.run();
        const [theirs] = node.incoming;
        for (const { items: some, header, tamper, run } of list) {
          const session = peer.sessions.find(node.address);
          if (!session) break;
          const record = encodeRecord(some, header);
          peer.seal(session, tamper ? tamper(record) : record);
          if (run) network.run();
        }
        network.run();
        honest.send(channel, 'unharmed');
        network.advance(200_000);
        expect(node.messages(theirs!)).toEqual(['unharmed']);
        expect([channel.state, theirs!.state]).toEqual(['open', 'open']);
        for (const event of node.events) {
          if (!('channel' in event)) continue;
          const types = node.typesOf(event.channel);
          expect(types.indexOf('closed')).toBeOneOf([-1, types.length - 1]);
        }
      }),
      runs(60),
    );
  });
});
