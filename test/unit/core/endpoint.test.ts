import { describe, expect, it, vi } from 'vitest';
import { fromUtf8 } from '../../../src/core/bytes.js';
import {
  ACCEPT_TIMEOUT,
  CONNECT_TIMEOUT,
  ECHO_INTERVAL,
  MAX_CHANNELS_PER_PEER,
  REKEY_AFTER_TIME,
} from '../../../src/core/constants.js';
import { SecureWebSocketError } from '../../../src/core/errors.js';
import { encodeEnvelope, encodeListen, NoticeReason, peerAddress } from '../../../src/core/frame.js';
import { BodyType } from '../../../src/core/sealed-body.js';
import { channels, EndpointNode, endpoints } from '../../support/endpoint-node.js';
import { expectCode } from '../../support/errors.js';
import { transportMessage } from '../../support/transport-message.js';
import { bodyOf, typeOf, VirtualNetwork } from '../../support/virtual-network.js';

// A limit that is reached with less work than the real one.
vi.mock('../../../src/core/constants.js', async importOriginal => ({
  ...(await importOriginal<typeof import('../../../src/core/constants.js')>()),
  MAX_CHANNELS_PER_PEER: 4,
}));

const initiations = (network: ReturnType<typeof endpoints>['network']) =>
  network.passed.filter(packet => typeOf(packet) === BodyType.HANDSHAKE_INITIATION);

describe('opening a channel', () => {
  it('tells the peer what was dialled, and opens when the peer accepts', () => {
    const { network, a, b } = endpoints();
    b.answer = undefined;
    const open = { target: '/chat?x=1', protocols: ['v2', 'v1'], origin: 'https://app.example' };
    const ours = a.open(b.anyAddress, open);
    expect(ours.state).toBe('opening');
    network.run();
    expect(b.events).toMatchObject([{ type: 'incoming', open: { ...open, window: 2_097_152 } }]);
    const theirs = b.incoming[0]!;
    expect([ours.state, theirs.state, a.of(ours)]).toEqual(['opening', 'incoming', []]);

    b.endpoint.accept(theirs, 'v1');
    network.run();
    expect([ours.state, theirs.state]).toEqual(['open', 'open']);
    expect([ours.protocol, theirs.protocol]).toEqual(['v1', 'v1']);
    expect(a.of(ours)).toMatchObject([{ type: 'opened' }]);
    expect(ours.session!.publicKey).toEqual(b.identity.publicKeyBytes);
    expect(theirs.session!.publicKey).toEqual(a.identity.publicKeyBytes);
    expect([a.endpoint.channelCount, b.endpoint.channelCount]).toEqual([1, 1]);
  });

  it('binds both ends to the hash of one handshake, however often keys change', () => {
    const { network, a, b, ours, theirs } = channels();
    const { handshakeHash } = ours;
    expect(handshakeHash).toHaveLength(64);
    expect(theirs.handshakeHash).toEqual(handshakeHash);
    network.advance(REKEY_AFTER_TIME);
    a.send(ours, 'x');
    network.run();
    const second = a.open(b.address);
    network.run();
    expect([ours.handshakeHash, theirs.handshakeHash]).toEqual([handshakeHash, handshakeHash]);
    expect(second.handshakeHash).not.toEqual(handshakeHash);
    expect(b.incoming[1]!.handshakeHash).toEqual(second.handshakeHash);
  });

  it('shows the relay nothing of it', () => {
    const { network, a, b } = endpoints();
    a.open(b.anyAddress, {
      target: '/secret-path',
      protocols: ['secret-protocol'],
      origin: 'https://secret',
    });
    network.run();
    expect(b.incoming).toHaveLength(1);
    const seen = network.passed.map(packet => fromUtf8(bodyOf(packet).map(byte => byte & 0x7f))).join();
    expect(seen).not.toContain('secret');
  });

  it('needs one handshake, whether one channel is opened or several', () => {
    const { network, a, b } = endpoints();
    const several = [1, 2, 3].map(() => a.open(b.anyAddress));
    network.run();
    expect(several.map(({ state }) => state)).toEqual(['open', 'open', 'open']);
    expect(initiations(network)).toHaveLength(1);
    // With whom there is a session, there is no need of another.
    const more = a.open(b.address);
    network.run();
    expect(more.state).toBe('open');
    expect(initiations(network)).toHaveLength(1);
    expect(new Set([...several, more].map(({ id }) => id)).size).toBe(4);
  });

  it.each(['exact', 'any'] as const)(
    'gets through for both when both open at once, each at the %s address',
    how => {
      const { network, a, b } = endpoints();
      const fromA = a.open(how === 'any' ? b.anyAddress : b.address, { target: '/a' });
      const fromB = b.open(how === 'any' ? a.anyAddress : a.address, { target: '/b' });
      network.run();
      expect([fromA.state, fromB.state]).toEqual(['open', 'open']);
      a.send(fromA, 'to b');
      b.send(fromB, 'to a');
      network.run();
      expect(b.messages(b.incoming[0]!)).toEqual(['to b']);
      expect(a.messages(a.incoming[0]!)).toEqual(['to a']);
      expect(b.incoming[0]!.handshakeHash).toEqual(fromA.handshakeHash);
      expect(a.incoming[0]!.handshakeHash).toEqual(fromB.handshakeHash);
      // The numbers of channels are each end's own: these two are the same, and are not mixed up.
      expect(fromA.id).toBe(fromB.id);
      expect([a.refusals, b.refusals]).toEqual([[], []]);
    },
  );

  it('numbers channels from a random place on: peers may still know those of an endpoint that is gone', () => {
    const ids = [1, 2, 3].map(identity => {
      const node = new EndpointNode(new VirtualNetwork(), { identity, firstChannel: 'random' });
      const one = node.open(peerAddress(node.identity.publicKeyBytes, 9));
      const two = node.open(peerAddress(node.identity.publicKeyBytes, 9));
      expect(two.id).toBe(one.id + 1);
      return one.id;
    });
    expect(new Set(ids).size).toBe(3);
    expect(Math.min(...ids)).toBeGreaterThan(1_000);
    // After the last comes the first; none is 0.
    const node = new EndpointNode(new VirtualNetwork(), { identity: 1, firstChannel: 0xffff_fffe });
    const opened = [1, 2, 3].map(() => node.open(peerAddress(node.identity.publicKeyBytes, 9)).id);
    expect(opened).toEqual([0xffff_fffe, 0xffff_ffff, 1]);
  });

  it('opens channels with several connections of one identity, the newest when any will do', () => {
    const { network, a, b } = endpoints();
    const second = new EndpointNode(network, { identity: 2, connectionId: 99 });
    network.collect();
    const any = a.open(b.anyAddress);
    const first = a.open(b.address);
    network.run();
    expect([any.state, first.state]).toEqual(['open', 'open']);
    a.send(any, 'to the second');
    a.send(first, 'to the first');
    network.run();
    expect(second.messages(second.incoming[0]!)).toEqual(['to the second']);
    expect(b.messages(b.incoming[0]!)).toEqual(['to the first']);
  });
});

describe('a channel that is not opened', () => {
  it('because the application refuses it: the reason is told', () => {
    const { network, a, b } = endpoints();
    b.answer = channel => {
      b.endpoint.refuse(channel, 403, 'no entry', network.now);
    };
    const ours = a.open(b.anyAddress);
    network.run();
    expect(a.closed(ours)).toMatchObject({ code: 1006, wasClean: false, error: { code: 'CHANNEL_REFUSED' } });
    expect(a.closed(ours)!.error!.message).toMatch(/403.*no entry/);
    expect([a.endpoint.channelCount, b.endpoint.channelCount]).toEqual([0, 0]);
    // Once only, and never for a channel that is open.
    const next = channels();
    next.b.endpoint.refuse(next.theirs, 403, '', next.network.now);
    next.network.run();
    expect([next.ours.state, next.theirs.state]).toEqual(['open', 'open']);
  });

  it('because nobody listens any more', () => {
    const { network, a, b } = channels();
    b.endpoint.listen(false, network.now);
    network.run();
    const second = a.open(b.address);
    network.run();
    expect(a.closed(second)!.error!.message).toMatch(/404.*nobody listens/);
    expect(b.incoming).toHaveLength(1);
  });

  it('because nobody is there', () => {
    const { network, a } = endpoints();
    const channel = a.open(peerAddress(new Uint8Array(32).fill(3), 0));
    network.run();
    expect(a.closed(channel)).toMatchObject({ code: 1006, error: { code: 'PEER_NOT_HERE' } });
    expect(a.endpoint.channelCount).toBe(0);
  });

  it('because there are too many with this peer; others may', () => {
    const { network, a, b } = endpoints();
    const opened = Array.from({ length: MAX_CHANNELS_PER_PEER + 1 }, () => a.open(b.address));
    network.run();
    expect(opened.map(({ state }) => state)).toEqual([
      ...Array<string>(MAX_CHANNELS_PER_PEER).fill('open'),
      'closed',
    ]);
    expect(a.closed(opened.at(-1)!)!.error!.message).toMatch(/503.*too many channels/);
    const c = new EndpointNode(network, { identity: 3 });
    const other = c.open(b.anyAddress);
    network.run();
    expect(other.state).toBe('open');
    // And again when one is closed.
    a.close(opened[0]!);
    network.run();
    const again = a.open(b.address);
    network.run();
    expect(again.state).toBe('open');
  });

  it('because the peer does not answer the handshake within CONNECT_TIMEOUT', () => {
    const { network, a, b } = endpoints();
    network.fault = () => [];
    const channel = a.open(b.anyAddress);
    network.advance(CONNECT_TIMEOUT - 1);
    expect(channel.state).toBe('opening');
    network.advance(1);
    expect(a.closed(channel)).toMatchObject({ error: { code: 'SESSION_TIMEOUT' } });
    expect(a.endpoint.channelCount).toBe(0);
  });

  it('because the peer answers the handshake, but not OPEN', () => {
    const { network, a, b } = endpoints();
    network.fault = packet => (typeOf(packet) === BodyType.TRANSPORT ? [] : [packet]);
    const channel = a.open(b.anyAddress);
    network.advance(CONNECT_TIMEOUT);
    expect(a.closed(channel)).toMatchObject({ error: { code: 'SESSION_TIMEOUT' } });
  });

  it('because the application does not decide within ACCEPT_TIMEOUT', () => {
    const { network, a, b } = endpoints();
    b.answer = undefined;
    const channel = a.open(b.anyAddress);
    network.run();
    const theirs = b.incoming[0]!;
    b.timeout(network.now + ACCEPT_TIMEOUT - 1);
    expect(theirs.state).toBe('incoming');
    // The dialling end would give up in the same moment: its clock stands still.
    b.timeout(network.now + ACCEPT_TIMEOUT);
    network.run();
    expect(b.closed(theirs)).toMatchObject({ error: { code: 'CHANNEL_REFUSED' } });
    expect(a.closed(channel)!.error!.message).toContain('503');
    b.endpoint.accept(theirs, '');
    network.run();
    expect([theirs.state, b.endpoint.channelCount]).toEqual(['closed', 0]);
  });

  it('because this end gives up, before the peer has heard of it and after', () => {
    for (const wait of [false, true]) {
      const { network, a, b } = endpoints();
      b.answer = undefined;
      const channel = a.open(b.anyAddress);
      if (wait) network.run();
      a.close(channel, 1000, 'never mind');
      network.run();
      expect(a.closed(channel)).toMatchObject({ code: 1006, wasClean: false, error: { code: 'ABORTED' } });
      expect(b.incoming).toHaveLength(wait ? 1 : 0);
      for (const theirs of b.incoming) {
        expect(b.closed(theirs)).toMatchObject({ error: { code: 'CHANNEL_RESET' } });
        b.endpoint.accept(theirs, '');
      }
      network.run();
      expect([a.endpoint.channelCount, b.endpoint.channelCount]).toEqual([0, 0]);
    }
  });

  it('because the peer closes instead of answering', () => {
    const { network, a, b } = endpoints();
    b.answer = channel => {
      b.endpoint.close(channel, network.now, 1000);
    };
    const channel = a.open(b.anyAddress);
    network.run();
    expect(a.closed(channel)).toMatchObject({ error: { code: 'CHANNEL_RESET' } });
    expect([a.endpoint.channelCount, b.endpoint.channelCount]).toEqual([0, 0]);
  });

  it('because what it wants to say is too long: nothing has begun then', () => {
    const { network, a, b } = endpoints({ a: { maxFrame: 32_768, listening: false } });
    expectCode(() => a.open(b.anyAddress, { target: `/${'x'.repeat(17_000)}` }), 'INVALID_ARGUMENT');
    expectCode(() => a.open(peerAddress(new Uint8Array(32).fill(0xff), 0)), 'NON_CANONICAL_ADDRESS');
    expect([a.endpoint.channelCount, a.endpoint.wakeAt]).toEqual([0, Infinity]);
    // The longest there can be fits into the smallest frames that a server may ask for.
    const channel = a.open(b.anyAddress, { target: `/${'x'.repeat(16_300)}` });
    network.run();
    expect(channel.state).toBe('open');
  });
});

describe('an endpoint', () => {
  it('tells the relay that it listens, and that it does not, once each', () => {
    const node = new EndpointNode(new VirtualNetwork(), { identity: 1, listening: false });
    for (const listening of [false, true, true, false, false, true]) node.endpoint.listen(listening, 0);
    expect(node.endpoint.takeFrames()).toEqual([encodeListen(true), encodeListen(false), encodeListen(true)]);
    expect(node.endpoint.takeFrames()).toEqual([]);
  });

  it('has no use for a relay that breaks the protocol', () => {
    const { a } = endpoints();
    for (const frame of [new Uint8Array(0), Uint8Array.of(9), encodeListen(true), Uint8Array.of(1, 2, 3)]) {
      expectCode(() => {
        a.receive(frame, 0);
      }, 'FRAME_MALFORMED');
    }
  });

  it('tells its owner what a relay says of spaces, and takes no message that is meant for a relay', () => {
    const { a } = endpoints();
    a.endpoint.takeEvents();
    a.endpoint.receive(Uint8Array.of(6, 0, 0, 0, 7, 0x86, 1, 2), 0);
    const body = Uint8Array.of(1, 2);
    expect(a.endpoint.takeEvents()).toEqual([{ type: 'space', membership: 7, operation: 0x86, body }]);
    const multicast = Uint8Array.of(7, 0, 0, 0, 7, 1, 2);
    const error = expectCode(() => {
      a.endpoint.receive(multicast, 0);
    }, 'FRAME_MALFORMED');
    expect(error.message).toContain('clients of a relay');
  });

  it('takes nothing of spaces in direct use: there is no relay', () => {
    const { a } = endpoints();
    a.endpoint.acceptDirect();
    for (const [type, who] of [
      [6, 'relays'],
      [7, 'clients of a relay'],
    ] as const) {
      const error = expectCode(() => {
        a.endpoint.receive(Uint8Array.of(type, 0, 0, 0, 7, 0x86, 1, 2), 0);
      }, 'FRAME_MALFORMED');
      expect(error.message).toContain(who);
    }
    expect(a.endpoint.takeEvents().filter(({ type }) => type === 'space')).toEqual([]);
  });

  it('is not harmed by a peer that does', () => {
    const { network, a, b, ours } = channels();
    const c = new EndpointNode(network, { identity: 3 });
    for (const body of [
      Uint8Array.of(1),
      Uint8Array.of(9),
      new Uint8Array(100),
      new Uint8Array(1_000).fill(4),
    ]) {
      network.inject(c, a, encodeEnvelope(a.address, body));
    }
    expect(a.refusals.length).toBeGreaterThan(0);
    a.send(ours, 'still here');
    network.run();
    expect(b.messages(b.incoming[0]!)).toEqual(['still here']);
  });

  it('ends every channel when its link is lost, and wipes its keys', () => {
    const { network, a, b, ours } = channels();
    const second = a.open(b.address);
    const silent = new EndpointNode(network, { identity: 3 });
    network.fault = packet => (packet.to === silent ? [] : [packet]);
    const waiting = a.open(silent.address);
    b.open(a.address);
    network.collect();
    const { current } = ours.session!;
    a.fail(new SecureWebSocketError('LINK_LOST', 'gone'));
    for (const channel of [ours, second, waiting]) {
      expect(a.closed(channel)).toMatchObject({ code: 1006, wasClean: false, error: { code: 'LINK_LOST' } });
    }
    expect([a.endpoint.channelCount, a.endpoint.hasOutput, a.takeFrames(0)]).toEqual([0, false, []]);
    expectCode(() => transportMessage(current!, new Uint8Array(0)), 'NOISE_STATE');
    network.remove(a, b);
    expect(b.closed(b.incoming[0]!)).toMatchObject({ error: { code: 'PEER_GONE' } });
  });

  it.each([
    [NoticeReason.PEER_GONE, 'PEER_GONE'],
    [NoticeReason.TOO_LARGE, 'FRAME_TOO_LARGE'],
    [NoticeReason.NOT_HERE, 'PEER_NOT_HERE'],
  ] as const)('ends the channels with a peer, and only these, on notice %d: %s', (reason, code) => {
    const { network, a, b, ours } = channels();
    const c = new EndpointNode(network, { identity: 3 });
    network.collect();
    const other = a.open(c.anyAddress);
    network.run();
    network.notice(a, reason, b.address);
    a.drain();
    expect(a.closed(ours)).toMatchObject({ code: 1006, wasClean: false, error: { code } });
    expect([other.state, a.endpoint.channelCount]).toEqual(['open', 1]);
    // The peer is told, should it still be there: it would wait for ever.
    network.run();
    const told = reason === NoticeReason.TOO_LARGE;
    expect(b.incoming[0]!.state).toBe(told ? 'closed' : 'open');
  });

  it('ends nothing when the queue of a peer is full: what was lost there is sent again', () => {
    const { network, a, b, ours, theirs } = channels();
    let lost = 0;
    network.fault = packet => {
      if (packet.from !== a || lost++ > 0) return [packet];
      network.notice(a, NoticeReason.QUEUE_FULL, b.address);
      return [];
    };
    for (const text of ['one', 'two', 'three']) {
      a.send(ours, text);
      network.run();
    }
    expect(b.messages(theirs)).toEqual(['one', 'two', 'three']);
    expect([ours.state, a.refusals]).toEqual(['open', ['PEER_QUEUE_FULL']]);
  });

  it('ends all channels of a session in which something was tampered with, at both ends', () => {
    const { network, a, b, ours, theirs } = channels();
    const second = a.open(b.address);
    network.run();
    network.fault = packet => {
      packet.frame[60]! ^= 1;
      return [packet];
    };
    a.send(ours, 'x');
    network.collect();
    network.fault = packet => [packet];
    network.run();
    for (const channel of [theirs, b.incoming[1]!]) {
      expect(b.closed(channel)).toMatchObject({ code: 1006, error: { code: 'DECRYPT_FAILED' } });
    }
    for (const channel of [ours, second]) {
      expect(a.closed(channel)).toMatchObject({ code: 1006, error: { code: 'CHANNEL_RESET' } });
    }
    // And can begin anew at once.
    const again = a.open(b.anyAddress);
    network.run();
    expect(again.state).toBe('open');
  });

  it('wants to be woken only while it waits for something', () => {
    const { network, a, b, ours } = channels({ a: { listening: false } });
    expect(a.wakeAt).toBeLessThan(Infinity);
    network.advance(1_000_000);
    expect(a.wakeAt).toBe(Infinity);
    expect([ours.state, a.endpoint.channelCount]).toEqual(['open', 1]);
    // Whoever listens wants to know that it would hear something.
    expect(b.wakeAt - network.now).toBeLessThanOrEqual(ECHO_INTERVAL);
    b.endpoint.listen(false, network.now);
    network.advance(ECHO_INTERVAL);
    expect(b.wakeAt).toBe(Infinity);
  });
});
