import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/core/bytes.js';
import { CLOSE_TIMEOUT, RECEIVE_WINDOW } from '../../../src/core/constants.js';
import { type ErrorCode, SecureWebSocketError } from '../../../src/core/errors.js';
import { Opcode } from '../../../src/core/record.js';
import { channels } from '../../support/endpoint-node.js';
import { SLOW } from '../../support/fuzz.js';
import { openedByRaw, openedToRaw } from '../../support/raw-peer.js';

const error = (code: ErrorCode) => new SecureWebSocketError(code, 'why');

describe('CLOSE', SLOW, () => {
  it.each([
    [1000, 'bye', 1000, 'bye'],
    [3000, '', 3000, ''],
    [4999, 'ü'.repeat(61), 4999, 'ü'.repeat(61)],
    [undefined, undefined, 1005, ''],
  ] as const)('with %s and %j is told to both ends, and is clean at both', (code, reason, told, why) => {
    for (const closer of ['a', 'b'] as const) {
      const { network, a, b, ours, theirs } = channels();
      if (closer === 'a') a.close(ours, code, reason);
      else b.close(theirs, code, reason);
      network.run();
      for (const [node, channel] of [
        [a, ours],
        [b, theirs],
      ] as const) {
        expect(node.closed(channel)).toMatchObject({ code: told, reason: why, wasClean: true });
        expect(node.closed(channel)).not.toHaveProperty('error');
        expect(node.typesOf(channel).slice(-2)).toEqual(['closing', 'closed']);
        expect(node.endpoint.channelCount).toBe(0);
      }
    }
  });

  it('crossed by another one: each end is told what the other has said', () => {
    const { network, a, b, ours, theirs } = channels();
    a.close(ours, 3001, 'a');
    b.close(theirs, 3002, 'b');
    network.run();
    expect(a.closed(ours)).toMatchObject({ code: 3002, reason: 'b', wasClean: true });
    expect(b.closed(theirs)).toMatchObject({ code: 3001, reason: 'a', wasClean: true });
    expect([a.endpoint.channelCount, b.endpoint.channelCount]).toEqual([0, 0]);
  });

  it('comes after all that was sent before it, in both directions', () => {
    const { network, a, b, ours, theirs } = channels();
    network.recording = false;
    const large = new Uint8Array(5_000_000).fill(7);
    a.send(ours, large);
    a.send(ours, 'last from a');
    b.send(theirs, large);
    b.send(theirs, 'last from b');
    a.close(ours, 1000);
    network.run();
    expect(b.messages(theirs).map(data => data!.length)).toEqual([5_000_000, 11]);
    expect(a.messages(ours).map(data => data!.length)).toEqual([5_000_000, 11]);
    expect([a.closed(ours)?.code, b.closed(theirs)?.code]).toEqual([1000, 1000]);
  });

  it('ends what can be sent', () => {
    const { network, a, b, ours, theirs } = channels();
    a.close(ours);
    a.send(ours, 'too late');
    a.ping(ours, utf8('too late'));
    expect(ours.bufferedAmount).toBe(0);
    a.close(ours, 4000);
    network.run();
    a.send(ours, 'much too late');
    network.run();
    expect(b.messages(theirs)).toEqual([]);
    expect(b.closed(theirs)?.code).toBe(1005);
  });

  it('that is not answered fails the channel after CLOSE_TIMEOUT, however often it is repeated', () => {
    const { network, a, b, ours, theirs } = channels();
    network.fault = () => [];
    a.close(ours, 1000);
    for (let i = 0; i < 10; i++) {
      network.advance(CLOSE_TIMEOUT / 10 - 1);
      a.close(ours, 1000);
    }
    expect(ours.state).toBe('closing');
    network.advance(10);
    expect(a.closed(ours)).toMatchObject({ code: 1006, wasClean: false, error: { code: 'CLOSE_TIMEOUT' } });
    expect([a.endpoint.channelCount, theirs.state]).toEqual([0, 'open']);
    expect(b.closed(theirs)).toBeUndefined();
  });

  it('of the peer that we cannot answer, for want of credit, is waited for only so long', () => {
    const { network, node, peer, channel } = openedByRaw();
    node.send(channel, new Uint8Array(2 * RECEIVE_WINDOW));
    peer.record(node, [[Opcode.CLOSE]], { opener: true, sequence: 1, acknowledgement: 1 });
    network.run();
    expect([channel.state, peer.opcodes.includes(Opcode.CLOSE)]).toEqual(['closing', false]);
    network.advance(CLOSE_TIMEOUT);
    expect(node.closed(channel)).toMatchObject({ error: { code: 'CLOSE_TIMEOUT' } });
    expect(peer.opcodes.at(-1)).toBe(Opcode.RESET);
  });

  it('is the last word: a ping that comes meanwhile is not answered any more', () => {
    const { network, a, b, ours, theirs } = channels();
    network.recording = false;
    b.ping(theirs, utf8('there?'));
    // More than there is credit for: the answer to CLOSE has to wait.
    b.send(theirs, new Uint8Array(2 * RECEIVE_WINDOW));
    network.collect();
    a.close(ours, 1000);
    network.run();
    expect(a.typesOf(ours)).toContain('ping');
    expect([a.closed(ours), b.closed(theirs)]).toMatchObject([
      { code: 1000, wasClean: true },
      { code: 1000, wasClean: true },
    ]);
  });

  it('goes out with what is left of the queue, also when a pong is due', () => {
    const { network, a, b, ours, theirs } = channels();
    a.ping(ours, utf8('x'));
    network.collect();
    while (network.deliver());
    b.close(theirs, 1000);
    network.run();
    expect(a.typesOf(ours)).toContain('pong');
    expect([a.closed(ours)?.wasClean, b.closed(theirs)?.wasClean]).toEqual([true, true]);
  });
});

describe('a reader who pauses', () => {
  /** `b` has paused; `a` has sent two messages and closed. */
  function unread() {
    const scene = channels();
    scene.theirs.pause();
    scene.a.send(scene.ours, 'one');
    scene.a.send(scene.ours, 'two');
    scene.a.close(scene.ours, 3000, 'done');
    scene.network.run();
    return scene;
  }

  it('is told of CLOSE after what was sent before it, and leaves nothing behind', () => {
    const { a, b, ours, theirs } = unread();
    expect(a.closed(ours)).toMatchObject({ code: 3000, wasClean: true });
    expect(theirs.state).toBe('closing');
    b.resume(theirs);
    expect(b.messages(theirs)).toEqual(['one', 'two']);
    expect(b.closed(theirs)).toMatchObject({ code: 3000, reason: 'done', wasClean: true });
    expect(b.endpoint.channelCount).toBe(0);
  });

  it('may take longer than CLOSE_TIMEOUT: the peer has done its part', () => {
    const { network, b, theirs } = unread();
    b.endpoint.listen(false, network.now);
    network.advance(10 * CLOSE_TIMEOUT);
    expect([theirs.state, b.wakeAt]).toEqual(['closing', Infinity]);
    b.resume(theirs);
    expect(b.messages(theirs)).toEqual(['one', 'two']);
    expect(b.closed(theirs)).toMatchObject({ code: 3000, wasClean: true });
    expect(b.endpoint.channelCount).toBe(0);
  });

  it('may close too, and is told the same', () => {
    const { network, b, theirs } = unread();
    b.close(theirs, 4000);
    network.run();
    b.resume(theirs);
    expect(b.closed(theirs)).toMatchObject({ code: 3000, wasClean: true });
  });
});

describe('ending a channel at once', () => {
  it('tells the peer with RESET and the code of the error', () => {
    const { network, a, b, ours, theirs } = channels();
    a.send(ours, 'never sent');
    a.terminate(ours, error('ABORTED'));
    expect(a.closed(ours)).toMatchObject({ code: 1006, wasClean: false, error: { code: 'ABORTED' } });
    network.run();
    expect(b.closed(theirs)).toMatchObject({ code: 1006, wasClean: false, error: { code: 'CHANNEL_RESET' } });
    expect(b.closed(theirs)!.error!.message).toContain('ABORTED');
    expect(b.messages(theirs)).toEqual([]);
    // Once, and for good.
    a.terminate(ours, error('ABORTED'));
    expect(a.typesOf(ours).filter(type => type === 'closed')).toHaveLength(1);
    expect([a.endpoint.channelCount, b.endpoint.channelCount]).toEqual([0, 0]);
  });

  it.each([
    ['MESSAGE_TOO_LARGE', 1009],
    ['INVALID_UTF8', 1007],
  ] as const)('for %s closes with %d at the peer, who can do nothing more about it', (code, status) => {
    const { network, a, b, ours, theirs } = channels();
    b.send(theirs, new Uint8Array(3 * RECEIVE_WINDOW));
    network.collect();
    a.terminate(ours, error(code));
    expect(a.closed(ours)).toMatchObject({ code: 1006, wasClean: false, error: { code } });
    network.run();
    // The peer has said its last word; what there was still to say to it goes nowhere, and is handed back.
    const { unacknowledged, ...closed } = b.closed(theirs)!;
    expect(closed).toMatchObject({ code: status, wasClean: true });
    expect(closed).not.toHaveProperty('error');
    expect(unacknowledged.map(({ data }) => data.length)).toEqual([3 * RECEIVE_WINDOW]);
    expect([a.endpoint.channelCount, b.endpoint.channelCount]).toEqual([0, 0]);
  });

  it('frees a peer who waits for credit, and to whom nothing more would come', () => {
    const { network, a, b, ours, theirs } = channels();
    ours.pause();
    b.send(theirs, new Uint8Array(3 * RECEIVE_WINDOW));
    network.run();
    a.terminate(ours, error('INVALID_UTF8'));
    network.run();
    expect(b.closed(theirs)).toMatchObject({ code: 1007, wasClean: true });
    expect(b.closed(theirs)!.unacknowledged).toHaveLength(1);
  });

  it('after hours of silence tells the peer, too, though keys must be made for it', () => {
    const { network, a, b, ours, theirs } = channels();
    const second = a.open(b.address);
    network.run();
    network.advance(3 * 3_600_000);
    for (const channel of [ours, second]) a.terminate(channel, error('ABORTED'));
    network.run();
    for (const channel of [theirs, b.incoming[1]!]) {
      expect(b.closed(channel)).toMatchObject({ error: { code: 'CHANNEL_RESET' } });
    }
    expect([a.endpoint.hasOutput, b.endpoint.channelCount]).toEqual([false, 0]);
    // And nothing is kept of a peer that has gone in the meantime.
    const next = channels();
    next.network.advance(3_600_000);
    next.network.fault = () => [];
    next.a.terminate(next.ours, error('ABORTED'));
    next.network.advance(200_000);
    expect(next.a.endpoint.wakeAt).toBe(Infinity);
  });

  it('after CLOSE has been sent takes nothing back', () => {
    const { network, a, b, ours, theirs } = channels();
    b.send(theirs, new Uint8Array(2 * RECEIVE_WINDOW));
    a.close(ours, 3000, 'bye');
    network.collect();
    a.terminate(ours, error('MESSAGE_TOO_LARGE'));
    network.run();
    expect(b.closed(theirs)).toMatchObject({ code: 3000, reason: 'bye', wasClean: true });
    expect(b.closed(theirs)!.unacknowledged).toHaveLength(1);
  });

  it('says nothing to a peer that knows nothing of the channel', () => {
    const { network, a, b } = channels();
    const before = network.passed.length;
    const channel = a.open(b.address);
    a.terminate(channel, error('ABORTED'));
    network.run();
    expect(b.incoming).toHaveLength(1);
    expect(network.passed.length - before).toBeLessThanOrEqual(1);
  });
});

describe('maxPayload', SLOW, () => {
  it.each([1_000, 300_000, RECEIVE_WINDOW - 100, RECEIVE_WINDOW, 3_000_000])(
    'of %d bytes: what is larger is refused with 1009, what is not arrives',
    maxPayload => {
      const { network, a, b, ours, theirs } = channels({ b: { maxPayload } });
      a.send(ours, new Uint8Array(maxPayload));
      network.run();
      expect(b.messages(theirs)).toHaveLength(1);
      a.send(ours, new Uint8Array(maxPayload + 1));
      a.send(ours, 'never read');
      network.run();
      expect(b.closed(theirs)).toMatchObject({ code: 1006, error: { code: 'MESSAGE_TOO_LARGE' } });
      expect(a.closed(ours)).toMatchObject({ code: 1009, wasClean: true });
      expect(b.messages(theirs)).toHaveLength(1);
      expect([a.endpoint.channelCount, b.endpoint.channelCount]).toEqual([0, 0]);
    },
  );

  it('is noticed as soon as it is exceeded, not when the message is complete', () => {
    const { network, node, peer, channel } = openedToRaw({ maxPayload: 5_000 });
    const piece = new Uint8Array(3_000);
    peer.record(node, [[Opcode.BINARY, piece, false]], { sequence: 1, acknowledgement: 1 });
    network.run();
    expect(channel.state).toBe('open');
    peer.record(node, [[Opcode.CONTINUATION, piece, false]], { sequence: 2, acknowledgement: 1 });
    network.run();
    expect(node.closed(channel)).toMatchObject({ error: { code: 'MESSAGE_TOO_LARGE' } });
    const close = peer.records.flatMap(({ items }) => items).find(({ opcode }) => opcode === Opcode.CLOSE)!;
    expect([...close.payload]).toEqual([0x03, 0xf1]);
  });
});
