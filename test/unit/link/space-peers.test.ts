import { expect, it } from 'vitest';
import type { Channel } from '../../../src/core/channel.js';
import type { Membership } from '../../../src/core/space/membership.js';
import type { ChannelInformation, ChannelListener } from '../../../src/link/channel-port.js';
import type { LinkChannel } from '../../../src/link/link-channel.js';
import { type PeerCarrier, SpacePeers } from '../../../src/link/space-peers.js';

/** A channel that somebody else opens, or does not. */
function portOf(): LinkChannel {
  const port = {
    channel: { maxPayload: 0, bytesKept: 0 },
    bufferedAmount: 0,
    terminate: () => {},
    close: () => {},
  };
  return port as unknown as LinkChannel;
}

it('opens a channel to each member, also when others of those who wait for theirs have opened one themselves', () => {
  const opening = new Map<string, ChannelListener>();
  const reached = new Set<string>();
  const carrier: PeerCarrier = {
    publicKey: '',
    maxFrame: 65_536,
    open: (_address, { target }, listener) => {
      opening.set(target, listener);
      return portOf();
    },
    accept: portOf,
    neighbour: () => undefined,
  };
  const membership = {
    peerOpened: (member: string) => reached.add(member),
    peerLost: () => {},
  } as unknown as Membership;
  const peers = new SpacePeers(carrier, membership, () => {});
  const members = Array.from({ length: 200 }, (_, n) => `member ${n}`);
  for (const member of members) {
    peers.give({ member, packets: [], address: new Uint8Array(36), target: member }, 0);
  }
  // Not all at once. Most of those who wait come before it is their turn.
  expect(opening.size).toBeLessThan(100);
  for (const member of members.slice(opening.size, 190)) peers.accept(member, {} as unknown as Channel, 0);
  for (const listener of opening.values()) listener.opened?.({} as unknown as ChannelInformation);
  expect(reached.size).toBe(200);
});
