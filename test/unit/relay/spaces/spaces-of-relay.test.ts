import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { SpacesOptions } from '../../../../src/relay/spaces/spaces-options.js';
import { decodeFrame } from '../../../../src/core/frame.js';
import type { Equipment } from '../../../../src/relay/equipment.js';
import type { RelayObserver } from '../../../../src/relay/relay-observer.js';
import type { CheckedOptions } from '../../../../src/relay/relay-options.js';
import type { SpacePolicy } from '../../../../src/relay/spaces/space-policy.js';
import { SpacesOfRelay } from '../../../../src/relay/spaces/spaces-of-relay.js';
import { checkSpaces } from '../../../../src/relay/spaces/spaces-options.js';
import { FakeSpacePort } from '../../../support/fake-space-port.js';
import { SpaceFollower } from '../../../support/space-follower.js';
import { identityOf } from '../../../support/spaces-bench.js';

/** How often spaces are looked after, milliseconds. */
const TICK = 250;
const relayIdentity = identityOf(9);

/** The spaces of a relay that is none, and whatever its observers are told. */
function scene(options: false | SpacesOptions = {}, ask?: SpacePolicy['ask']) {
  const told: unknown[][] = [];
  const observer: Partial<RelayObserver> = {
    spaceEntered: (...event) => told.push(['entered', ...event]),
    spaceLeft: (...event) => told.push(['left', ...event]),
    spaceRefused: (...event) => told.push(['refused', ...event]),
    limited: (...event) => told.push(['limited', ...event]),
  };
  const equipment = { observer, spacePolicy: ask && { ask } } as unknown as Equipment;
  const spaces = checkSpaces(options);
  const checked = { spaces, maxFrame: 262_144, maxQueueBytes: 16_777_216 } as CheckedOptions;
  const relay = new SpacesOfRelay(checked, equipment, relayIdentity);

  const connect = (n: number) => {
    const identity = identityOf(n);
    const port = new FakeSpacePort();
    const client = relay.spaces.client(port, {
      publicKey: identity.publicKey,
      connectionId: 100 + n,
      userId: `user ${String(n)}`,
      deviceId: 'phone',
      remoteAddress: '192.0.2.7',
    });
    const send = (frame: Uint8Array): void => {
      const decoded = decodeFrame(frame.slice());
      if (decoded.type === 'space') client.receive(decoded.membership, decoded.operation, decoded.body);
    };
    const enter = (space: string, membership = 1, stay = false): SpaceFollower => {
      const follower = new SpaceFollower(identity, relayIdentity.publicKeyBytes, space, { membership, stay });
      send(follower.enter());
      for (const frame of port.take()) follower.receive(frame);
      return follower;
    };
    return { client, send, enter, identity };
  };
  return { relay, told, connect };
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
});

afterEach(() => {
  vi.useRealTimers();
});

describe('the spaces of a relay', () => {
  it('are looked after as long as there are any, and again when there are again', () => {
    const { relay, connect } = scene({ awayTime: 1_000 });
    const a = connect(0);
    for (let round = 1; round < 4; round++) {
      expect(vi.getTimerCount()).toBe(0);
      const member = a.enter('room', round);
      a.enter('other', 10 + round);
      expect(vi.getTimerCount()).toBe(1);
      relay.spaces.remove('other', a.identity.publicKey);
      vi.advanceTimersByTime(10 * TICK);
      expect(vi.getTimerCount()).toBe(1);
      a.send(member.leave());
      vi.advanceTimersByTime(TICK);
    }
    expect(vi.getTimerCount()).toBe(0);
    // Whoever does not come back is gone in time.
    a.enter('room', 9, true);
    a.client.remove();
    vi.advanceTimersByTime(1_000 - 1);
    expect(relay.spaces.statistics).toMatchObject({ members: 1, awayMembers: 1 });
    vi.advanceTimersByTime(1);
    expect(relay.spaces.statistics).toMatchObject({ spaces: 0, members: 0 });
    expect(vi.getTimerCount()).toBe(0);
  });

  it('are left as they are when it goes down', () => {
    const { relay, told, connect } = scene();
    const [a, b] = [connect(0), connect(1)];
    a.enter('room');
    b.enter('room', 1, true);
    told.length = 0;
    relay.close();
    expect(vi.getTimerCount()).toBe(0);
    a.client.remove();
    b.client.remove();
    expect(told).toEqual([]);
  });

  it('are none where that is not wanted', () => {
    const { relay, connect } = scene(false);
    expect(connect(0).enter('room').refusals).toMatchObject([{ reason: 'SPACES_DISABLED' }]);
    expect(relay.spaces.limits).toBeUndefined();
  });

  it('let in whom the policy lets in', () => {
    const { connect } = scene({}, ({ userId }) => userId === 'user 0');
    expect(connect(0).enter('room').isIn).toBe(true);
    expect(connect(1).enter('room').refusals).toMatchObject([{ reason: 'SPACE_NOT_ALLOWED' }]);
  });
});

describe('whoever observes a relay', () => {
  it('is told who enters, leaves and is refused', () => {
    const { told, connect } = scene({ maxMembers: 1 });
    const [a, b] = [connect(0), connect(1)];
    const alice = a.enter('room');
    const event = {
      space: 'room',
      publicKey: a.identity.publicKey,
      connectionId: 100,
      userId: 'user 0',
      deviceId: 'phone',
      memberId: Buffer.from(alice.memberId).toString('hex'),
    };
    expect(told.splice(0)).toEqual([['entered', event]]);
    const { publicKey } = b.identity;
    const [refusal] = b.enter('room').refusals;
    expect(told.splice(0)).toEqual([
      ['limited', { limit: 'space_members', publicKey, remoteAddress: '192.0.2.7' }],
      [
        'refused',
        {
          space: 'room',
          publicKey,
          remoteAddress: '192.0.2.7',
          code: 'SPACE_FULL',
          message: refusal?.message,
        },
      ],
    ]);
    a.send(alice.leave());
    expect(told).toEqual([['left', event, 'left']]);
  });

  it('is told of a limit once for each connection', () => {
    const { told, connect } = scene({ maxMembers: 1, maxSpaces: 1 });
    const limits = () =>
      told
        .splice(0)
        .filter(([what]) => what === 'limited')
        .map(([, event]) => (event as { limit: string }).limit);
    connect(0).enter('room');
    const b = connect(1);
    for (let i = 0; i < 3; i++) b.enter('room');
    expect(limits()).toEqual(['space_members']);
    for (let i = 0; i < 3; i++) b.enter('elsewhere');
    expect(limits()).toEqual(['spaces']);
    b.enter('room');
    expect(limits()).toEqual([]);
    // Another one of the same key.
    connect(1).enter('room');
    expect(limits()).toEqual(['space_members']);
  });
});
