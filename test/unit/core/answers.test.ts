import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/core/bytes.js';
import { EndedChannels } from '../../../src/core/ended-channels.js';
import { Opcode } from '../../../src/core/record.js';
import { Session } from '../../../src/core/session.js';
import { credit, OPEN, openedByRaw, openedToRaw, type RawItem, withRawPeer } from '../../support/raw-peer.js';

const { OPEN_REFUSE, CLOSE, TEXT, PROBE, RESET, GAP } = Opcode;
const session = () => new Session(new Uint8Array(36), true, () => undefined);
const CLOSE_1000 = [CLOSE, Uint8Array.of(3, 232)] as RawItem;

describe('the last word about a channel', () => {
  it('is kept per session and channel, for a bounded number of them', () => {
    const ended = new EndedChannels();
    const [one, other] = [session(), session()];
    const word = (expected: number) => ({ position: { sequence: 1, expected } });
    for (let i = 0; i < 65; i++) ended.add(one, `+${i}`, word(i));
    ended.add(other, '+0', word(77));
    expect(ended.find(one, '+0')).toBeUndefined();
    expect([ended.find(one, '+1'), ended.find(one, '+64')]).toEqual([word(1), word(64)]);
    expect([ended.find(other, '+0'), ended.find(other, '+1')]).toEqual([word(77), undefined]);
    expect(ended.find(session(), '+1')).toBeUndefined();
  });
});

/** The raw peer has opened a channel and closed it; the endpoint has answered, and heard that this arrived. */
function closedByRaw() {
  const scene = openedByRaw();
  const { network, node, peer, channel } = scene;
  peer.record(node, [CLOSE_1000], { opener: true, sequence: 1, acknowledgement: 1 });
  network.run();
  peer.record(node, [], { opener: true, sequenced: false, sequence: 2, acknowledgement: 2 });
  network.run();
  expect(node.closed(channel)).toMatchObject({ code: 1000, wasClean: true });
  return { ...scene, before: peer.records.length };
}

describe('a peer that did not hear', () => {
  it('that its CLOSE has arrived is told again, as often as it asks', () => {
    const { network, node, peer, before } = closedByRaw();
    for (const [items, sequenced] of [
      [[CLOSE_1000], true],
      [[[PROBE, credit(5)]], false],
      [[CLOSE_1000], true],
    ] as [RawItem[], boolean][]) {
      peer.record(node, items, { opener: true, sequenced, sequence: sequenced ? 1 : 2, acknowledgement: 1 });
      network.run();
    }
    const told = peer.records.slice(before);
    expect(told.map(({ items }) => items)).toEqual([[], [], []]);
    for (const { header } of told) {
      expect(header).toMatchObject({
        channelId: 1,
        opener: false,
        sequenced: false,
        sequence: 2,
        acknowledgement: 2,
      });
    }
  });

  it('is not told what it does not wait for', () => {
    const { network, node, peer, before } = closedByRaw();
    for (const items of [[], [[GAP]], [[RESET, 'X']]] as RawItem[][]) {
      peer.record(node, items, { opener: true, sequenced: false, sequence: 2, acknowledgement: 2 });
    }
    network.run();
    expect(peer.records.slice(before)).toEqual([]);
  });

  it('that it was refused is told again, with the reason', () => {
    const { network, node, peer } = withRawPeer();
    node.answer = channel => {
      node.endpoint.refuse(channel, 403, 'no entry', network.now);
    };
    for (let i = 0; i < 3; i++) {
      peer.record(node, [[Opcode.OPEN, OPEN]], { opener: true });
      network.run();
    }
    // Not three channels: one.
    expect(node.incoming).toHaveLength(1);
    const answers = peer.records.map(({ items, header }) => [
      items[0]!.opcode,
      items[0]!.payload,
      header.sequence,
    ]);
    const refusal = utf8('{"status":403,"reason":"no entry"}');
    expect(answers).toEqual(Array(3).fill([OPEN_REFUSE, refusal, 0]));
  });

  it('that it was accepted is told again by the channel itself', () => {
    const { network, node, peer } = openedByRaw();
    peer.record(node, [[Opcode.OPEN, OPEN]], { opener: true });
    network.run();
    expect(node.incoming).toHaveLength(1);
    peer.record(node, [[PROBE, credit(1)]], {
      opener: true,
      sequenced: false,
      sequence: 1,
      acknowledgement: 0,
    });
    network.run();
    const { header, items } = peer.records.at(-1)!;
    expect([header.acknowledgement, items[0]!.opcode]).toEqual([1, Opcode.PROBE_ANSWER]);
  });

  it('has to live with a session that is gone: what it says then comes to nobody', () => {
    const { network, node, peer, channel } = openedToRaw();
    const session = channel.session!;
    node.close(channel, 1000);
    network.run();
    peer.record(node, [CLOSE_1000], { sequence: 1, acknowledgement: 2 });
    network.run();
    expect(node.closed(channel)).toMatchObject({ wasClean: true });
    network.notice(node, 5, peer.address);
    peer.sessions.drop(peer.sessions.find(node.address)!);
    peer.sessions.dial(node.address, network.now);
    network.run();
    expect(channel.session ?? session).not.toBe(peer.sessions.find(node.address));
    const before = peer.records.length;
    peer.record(node, [CLOSE_1000], { sequence: 1, acknowledgement: 2 });
    network.run();
    const told = peer.records
      .slice(before)
      .map(({ items }) => items.map(({ opcode, payload }) => [opcode, payload]));
    expect(told).toEqual([[[RESET, utf8('CHANNEL_RESET')]]]);
  });

  it('is answered about many channels, and only so often when it does not read', () => {
    const { network, node, peer, before } = closedByRaw();
    node.budget = 0;
    for (let i = 0; i < 3_000; i++) {
      peer.record(node, [[TEXT, 'x']], { opener: true, sequence: 1, acknowledgement: 1 });
    }
    network.run();
    node.budget = Infinity;
    network.run();
    expect(peer.records.length - before).toBe(1_024);
  });
});
