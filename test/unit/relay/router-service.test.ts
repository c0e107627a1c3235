import { describe, expect, it } from 'vitest';
import { encodeEnvelope, encodeListen, NoticeReason, peerAddress } from '../../../src/core/frame.js';
import { Router, type RouterOptions } from '../../../src/relay/router.js';
import { FakeConnection } from '../../support/fake-connection.js';

const OWN = new Uint8Array(32).fill(9);
const ALICE = new Uint8Array(32).fill(1);

function scene(options: Partial<RouterOptions> = {}) {
  let random = 100;
  const router = new Router({ randomUint32: () => random++, ownKey: OWN, ...options });
  const [relay, alice] = [new FakeConnection(), new FakeConnection()];
  const service = router.add(OWN, 7, relay, { isService: true });
  return { router, relay, alice, service };
}

const toService = (id: number): Uint8Array => encodeEnvelope(peerAddress(OWN, id), Uint8Array.of(1));
const toAlice = (body = 1): Uint8Array => encodeEnvelope(peerAddress(ALICE, 1), Uint8Array.of(body));

describe('the port of the relay itself', () => {
  it('is no connection, and is reached at its key only while it listens there', () => {
    const { router, relay, alice, service } = scene();
    const port = router.add(ALICE, 1, alice);
    expect(router.statistics.connections).toBe(1);
    port.receive(toService(0));
    expect(alice.take()).toMatchObject([{ type: 'notice', reason: NoticeReason.REFUSED }]);
    service.receive(encodeListen(true));
    port.receive(toService(0));
    expect(relay.take()).toMatchObject([{ type: 'envelope', address: peerAddress(ALICE, 1) }]);
    service.remove();
    expect(router.statistics.connections).toBe(1);
    port.receive(toService(7));
    expect(alice.take()).toMatchObject([{ type: 'notice', reason: NoticeReason.REFUSED }]);
  });

  it('reaches everybody, and everybody may reach it, whatever the rules say', () => {
    let asked = 0;
    const { router, relay, alice, service } = scene({
      maxPeers: 1,
      mayReach: () => {
        asked++;
        return false;
      },
      handshakeLimit: () => ({ allows: () => false }),
    });
    const bob = new FakeConnection();
    const port = router.add(ALICE, 1, alice, { peers: [] });
    router.add(new Uint8Array(32).fill(2), 2, bob);
    // A handshake.
    service.receive(toAlice(1));
    service.receive(encodeEnvelope(peerAddress(new Uint8Array(32).fill(2), 2), Uint8Array.of(1)));
    expect(alice.take()).toMatchObject([{ type: 'envelope', address: peerAddress(OWN, 7) }]);
    expect(bob.take()).toHaveLength(1);
    port.receive(encodeEnvelope(peerAddress(OWN, 7), Uint8Array.of(3)));
    expect(relay.take()).toMatchObject([{ type: 'envelope' }]);
    expect(asked).toBe(0);
    // Its own handshakes are limited; those of clients with it are, as any.
    port.receive(toService(7));
    expect(alice.take()).toMatchObject([{ reason: NoticeReason.HANDSHAKES_LIMITED }]);
  });
});
