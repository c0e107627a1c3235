import { expect } from 'vitest';
import { encodeEnvelope, ENVELOPE_HEADER_LENGTH } from '../../src/core/frame.js';
import { encodeInitiationPayload } from '../../src/core/handshake-payload.js';
import { HandshakeState } from '../../src/core/noise/handshake-state.js';
import { sessionPrologue } from '../../src/core/prologue.js';
import { BodyType, encodeInitiation } from '../../src/core/sealed-body.js';
import { SessionsNode } from './sessions-node.js';
import { bodyOf, type Packet, seededCrypto, typeOf, VirtualNetwork } from './virtual-network.js';

/** Scenes with nodes that have, or are about to have, sessions with each other. */
export type Network = VirtualNetwork<SessionsNode>;

export const crypto = seededCrypto('scene');

/** Two nodes; both listen. `a` has the lower address or the higher one, as `order` says. */
export function two(order: 'a lower' | 'b lower' = 'a lower') {
  const network: Network = new VirtualNetwork();
  const first = new SessionsNode(network, { identity: 1, connectionId: 11 });
  const second = new SessionsNode(network, { identity: 2, connectionId: 22 });
  const [lower, higher] =
    Buffer.compare(first.address, second.address) < 0 ? [first, second] : [second, first];
  const [a, b] = order === 'a lower' ? [lower, higher] : [higher, lower];
  network.collect();
  return { network, a, b };
}

/** Two nodes with a session that `a` has started. */
export function connected(order?: 'a lower' | 'b lower') {
  const nodes = two(order);
  nodes.a.sessions.dial(nodes.b.anyAddress, nodes.network.now);
  nodes.network.run();
  expect(nodes.a.sessionWith(nodes.b)?.current).toBeDefined();
  expect(nodes.b.sessionWith(nodes.a)?.current).toBeDefined();
  return nodes;
}

export const passedOf = (network: Network, type: number): Packet<SessionsNode>[] =>
  network.passed.filter(packet => typeOf(packet) === type);
export const initiations = (network: Network) => passedOf(network, BodyType.HANDSHAKE_INITIATION);
export const responses = (network: Network) => passedOf(network, BodyType.HANDSHAKE_RESPONSE);
export const hashesOf = (node: SessionsNode, peer: SessionsNode) =>
  node
    .sessionWith(peer)!
    .keys()
    .map(keys => keys.handshakeHash);

/** Nothing was lost, nothing failed, nothing was refused. */
export function expectNoHarm(...nodes: SessionsNode[]): void {
  for (const node of nodes) {
    expect(node.refusals).toEqual([]);
    expect(node.failures).toEqual([]);
    expect(node.attemptFailures).toEqual([]);
  }
}

/** `a` and `b` have a session; `mallory` is a client of the same relay. */
export function scene() {
  const network: Network = new VirtualNetwork();
  const [a, b, mallory] = [1, 2, 3].map(
    identity => new SessionsNode(network, { identity, connectionId: identity * 11 }),
  ) as [SessionsNode, SessionsNode, SessionsNode];
  network.collect();
  a.sessions.dial(b.anyAddress, network.now);
  network.run();
  return { network, a, b, mallory };
}

export const first = (network: Network, type: number): Packet<SessionsNode> =>
  network.passed.find(packet => typeOf(packet) === type)!;
export const codes = (node: SessionsNode) => node.refusals.map(({ code }) => code);

/** A packet with some of its sealed body changed. */
export function changed<P extends Packet>(packet: P, change: (body: Uint8Array) => Uint8Array): P {
  const header = packet.frame.slice(0, ENVELOPE_HEADER_LENGTH);
  return { ...packet, frame: Uint8Array.of(...header, ...change(bodyOf(packet))) };
}

/** The session of `a` and `b` still works, both ways. */
export function expectWorking(network: Network, a: SessionsNode, b: SessionsNode): void {
  const text = `at ${network.now} after ${network.passed.length}`;
  expect([a.say(b, text), b.say(a, text)]).toEqual([true, true]);
  network.run();
  expect([a.texts.at(-1), b.texts.at(-1)]).toEqual([text, text]);
  expect([a.failures, b.failures]).toEqual([[], []]);
}

/** An initiation of `from` to `to`, made by hand. */
export function initiationOf(
  from: SessionsNode,
  to: SessionsNode,
  payload = encodeInitiationPayload(0, new Uint8Array(16)),
) {
  const [initiator, rs] = [from.identity.keyPair, to.identity.publicKeyBytes];
  const state = new HandshakeState({
    crypto,
    pattern: 'IK',
    initiator: true,
    prologue: sessionPrologue(initiator.publicKey, rs),
    s: initiator,
    rs,
  });
  return encodeEnvelope(to.address, encodeInitiation(1, state.writeMessage(payload)));
}
