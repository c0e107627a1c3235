import { peerAddress } from '../../src/core/frame.js';
import { HandshakeState } from '../../src/core/noise/handshake-state.js';
import { TransportKeys } from '../../src/core/transport-keys.js';
import { NodeLink } from './node-link.js';
import type { SimulatedProcess } from './simulated-process.js';
import { Wire } from './wire.js';

/** A link without a relay: the registration, here without its JSON, is the first session. */
export function connectDirectly(
  client: SimulatedProcess,
  server: SimulatedProcess,
  go: (link: NodeLink | undefined) => void,
): void {
  const { world } = client;
  client.later(4 * world.plan.latency + 1, () => {
    if (!server.isAlive || server.awakeAt > world.now || world.isUnreachable(server)) {
      go(undefined);
      return;
    }
    const { atClient, atServer } = register(client, server);
    const serverAddress = peerAddress(server.keyPair.publicKey, 0);
    const clientAddress = peerAddress(client.keyPair.publicKey, 1);
    const stamp = (frame: Uint8Array): void => {
      frame.set(serverAddress, 1);
    };
    const forget = (link: NodeLink): void => {
      link.process.allLinks.delete(link);
    };
    const one = new NodeLink(client, client.endpoint(1), 0, () => undefined, forget);
    const other = new NodeLink(server, server.endpoint(0), 1, stamp, forget);
    other.source = clientAddress;
    one.endpoint.adopt(serverAddress, atClient);
    other.endpoint.acceptDirect();
    other.endpoint.adopt(clientAddress, atServer);
    client.allLinks.add(one);
    server.allLinks.add(other);
    const wire = new Wire(world.timeline, world.wireOptions(), [one, other]);
    world.directWires.add(wire);
    one.start(wire);
    other.start(wire);
    go(one);
  });
}

function register(
  client: SimulatedProcess,
  server: SimulatedProcess,
): { atClient: TransportKeys; atServer: TransportKeys } {
  const prologue = new Uint8Array(0);
  const [initiator, responder] = [server, client].map(
    ({ crypto, keyPair }, index) =>
      new HandshakeState({ crypto, pattern: 'IX', initiator: index === 0, prologue, s: keyPair }),
  ) as [HandshakeState, HandshakeState];
  responder.readMessage(initiator.writeMessage(new Uint8Array(0)));
  initiator.readMessage(responder.writeMessage(new Uint8Array(0)));
  const keys = (state: HandshakeState, renews: boolean): TransportKeys =>
    new TransportKeys({
      localIndex: 0,
      remoteIndex: 0,
      handshakeHash: state.handshakeHash,
      ...state.split(),
      initiator: renews,
      createdAt: client.world.now,
    });
  return { atClient: keys(responder, true), atServer: keys(initiator, false) };
}
