import type { RelaySnapshot } from '../../src/relay/relay-observer.js';

/** What a relay that has just begun to listen says of itself, but for `changes`. */
export function snapshotOf(changes: Partial<RelaySnapshot> = {}): RelaySnapshot {
  return {
    state: 'listening',
    publicKey: 'ab'.repeat(32),
    startedAt: 1_700_000_000,
    connections: 0,
    unregistered: 0,
    listeningKeys: 0,
    envelopes: 0,
    bytes: 0,
    drops: {
      not_here: 0,
      queue_full: 0,
      refused: 0,
      too_large: 0,
      not_allowed: 0,
      handshakes_limited: 0,
      too_many_peers: 0,
    },
    queuedBytes: 0,
    maxTotalQueueBytes: 268_435_456,
    maxConnections: 10_000,
    spaces: 0,
    spaceMembers: 0,
    spaceMembersAway: 0,
    spaceMessages: 0,
    spaceDeliveries: 0,
    spaceHistoryBytes: 0,
    maxTotalHistoryBytes: 67_108_864,
    serverEvents: 0,
    serverEventDrops: 0,
    serverEventBytes: 0,
    watchedKeys: 0,
    throttled: 0,
    certificateExpiresAt: undefined,
    ...changes,
  };
}
