import { describe, expect, it } from 'vitest';
import { concat, utf8 } from '../../../src/core/bytes.js';
import { REKEY_AFTER_TIME } from '../../../src/core/constants.js';
import { BodyType } from '../../../src/core/sealed-body.js';
import { channels, EndpointNode, endpoints } from '../../support/endpoint-node.js';
import { SLOW } from '../../support/fuzz.js';
import { client, LOCATION, relay, server } from '../../support/registration.js';
import { typeOf, VirtualNetwork } from '../../support/virtual-network.js';

const initiations = (network: ReturnType<typeof endpoints>['network']) =>
  network.passed.filter(packet => typeOf(packet) === BodyType.HANDSHAKE_INITIATION);

describe('keys', SLOW, () => {
  it('are renewed while traffic flows on several channels both ways, and nothing is lost', () => {
    const { network, a, b, ours, theirs } = channels();
    const second = a.open(b.address);
    network.run();
    const sent: string[] = [];
    const begin = network.now;
    for (let step = 0; network.now < begin + 400_000; step++) {
      sent.push(`${step}`);
      for (const channel of [ours, second]) a.send(channel, `${step}`);
      b.send(theirs, `${step}`);
      network.collect();
      while (network.flight.length > 4) network.deliver();
      network.now += 500;
      for (const node of [a, b]) node.timeout(network.now);
    }
    network.run();
    expect(b.messages(theirs)).toEqual(sent);
    expect(b.messages(b.incoming[1]!)).toEqual(sent);
    expect(a.messages(ours)).toEqual(sent);
    expect(initiations(network)).toHaveLength(4);
    expect([a.refusals, b.refusals]).toEqual([[], []]);
  });

  it('that are gone after hours of silence are made anew by whoever speaks', () => {
    for (const speaker of ['a', 'b'] as const) {
      const { network, ours, theirs, ...nodes } = channels();
      network.advance(7 * 3_600_000);
      const [from, to, here, there] =
        speaker === 'a' ? [nodes.a, nodes.b, ours, theirs] : [nodes.b, nodes.a, theirs, ours];
      from.send(here, 'good morning');
      network.run();
      expect(to.messages(there)).toEqual(['good morning']);
      expect([from.refusals, to.refusals]).toEqual([[], []]);
    }
  });

  it('of both ends at once, too', () => {
    const { network, a, b, ours, theirs } = channels();
    network.advance(3_600_000);
    a.send(ours, 'from a');
    b.send(theirs, 'from b');
    network.run();
    expect([a.messages(ours), b.messages(theirs)]).toEqual([['from b'], ['from a']]);
  });

  it('are confirmed at once, whether there is room in the network for more or not', () => {
    const { network, a, b } = endpoints();
    a.budget = 0;
    a.open(b.anyAddress);
    network.run();
    expect(b.incoming).toEqual([]);
    network.advance(20_000);
    // Not forgotten by now, as unconfirmed ones would be.
    a.budget = Infinity;
    network.run();
    expect(b.incoming).toHaveLength(1);
  });

  it('of a registration are the first session of a direct link, and are renewed like others', () => {
    const network = new VirtualNetwork<EndpointNode>();
    const [relaySide, clientSide] = [server(), client()];
    clientSide.challenge(relaySide.challenge(), 0);
    const registered = relaySide.receive(clientSide.response(0), 0, network.now);
    const success = clientSide.success(relaySide.success(1), network.now);
    const a = new EndpointNode(network, { identity: 2, connectionId: 1, listening: false });
    const b = new EndpointNode(network, { identity: 1, connectionId: 0, listening: false });
    expect([a.identity.publicKey, LOCATION]).toEqual([registered.device.boxKey, LOCATION]);
    expect(b.identity.publicKey).toBe(relay.publicKey);
    a.endpoint.adopt(b.address, success.keys);
    b.endpoint.adopt(a.address, registered.keys);
    b.endpoint.acceptDirect();

    // There is no router on a direct link.
    const run = () => {
      for (let moved = true; moved;) {
        const [up, down] = [a.takeFrames(network.now), b.takeFrames(network.now)];
        for (const frame of up) network.inject(a, b, frame);
        for (const frame of down) network.inject(b, a, frame);
        moved = up.length + down.length > 0;
      }
    };
    const channel = a.open(b.address);
    run();
    expect(channel.state).toBe('open');
    expect(channel.handshakeHash).toEqual(registered.handshakeHash);
    expect(b.incoming[0]!.handshakeHash).toEqual(registered.handshakeHash);
    for (let i = 0; i < 10; i++) {
      network.now += REKEY_AFTER_TIME / 2;
      a.send(channel, `${i}`);
      run();
    }
    expect(b.messages(b.incoming[0]!)).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
    expect(channel.session!.current!.localIndex).not.toBe(0);
    expect(channel.handshakeHash).toEqual(registered.handshakeHash);
  });

  it('never show what is sent: it is in no frame', () => {
    const { network, a, b, ours, theirs } = channels();
    const marker = 'the quick brown fox';
    a.send(ours, concat(utf8(marker), new Uint8Array(100_000), utf8(marker)));
    b.send(theirs, marker);
    network.run();
    a.close(ours, 3000, marker);
    network.run();
    expect(b.closed(theirs)).toMatchObject({ reason: marker });
    for (const packet of network.passed) expect(Buffer.from(packet.frame).includes(marker)).toBe(false);
  });
});
