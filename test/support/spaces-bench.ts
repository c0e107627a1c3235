import { decodeFrame } from '../../src/core/frame.js';
import { Identity } from '../../src/core/identity.js';
import { decodeSpaceReport, type SpaceReport } from '../../src/core/space/space-frame.js';
import { loadLibsodium } from '../../src/crypto/libsodium.js';
import type { ClientSpaces } from '../../src/relay/spaces/client-spaces.js';
import type { SpaceLimitName, SpaceRefused } from '../../src/relay/spaces/spaces.js';
import { Spaces, type SpacesConfiguration } from '../../src/relay/spaces/spaces.js';
import { checkSpaces, type SpaceLimits, type SpacesOptions } from '../../src/relay/spaces/spaces-options.js';
import { FakeSpacePort } from './fake-space-port.js';
import { SpaceFollower } from './space-follower.js';

export const crypto = await loadLibsodium();

const identities: Identity[] = [];
/** The same one for the same number: to make one takes longer than all the rest. */
export function identityOf(n: number): Identity {
  return (identities[n] ??= new Identity(crypto, new Uint8Array(32).fill(1 + n)));
}

const RELAY_KEY = new Uint8Array(32).fill(0x77);
let connectionIds = 0;

/** One connection of a client, and the members that follow what is said to it. */
export class Seat {
  readonly port = new FakeSpacePort();
  readonly client: ClientSpaces;
  readonly connectionId = (connectionIds += 1);
  readonly followers: SpaceFollower[] = [];
  isGone = false;

  constructor(
    readonly bench: SpacesBench,
    readonly identity: Identity,
  ) {
    this.client = bench.spaces.client(this.port, {
      publicKey: identity.publicKey,
      connectionId: this.connectionId,
      remoteAddress: '192.0.2.1',
    });
  }

  /** What the client sends, and what it hears of it. */
  send(frame: Uint8Array): void {
    if (this.isGone) return;
    const decoded = decodeFrame(frame.slice());
    if (decoded.type === 'space') this.client.receive(decoded.membership, decoded.operation, decoded.body);
    else if (decoded.type === 'multicast') this.client.receiveMulticast(decoded.membership, decoded.body);
    this.bench.settle();
  }

  /** A member of the space enters here. */
  enter(follower: SpaceFollower, anew?: boolean): SpaceFollower {
    if (!this.followers.includes(follower)) this.followers.push(follower);
    this.send(follower.enter(anew));
    return follower;
  }

  follow(
    space = 'room',
    options: { membership?: number; stay?: boolean; memberId?: Uint8Array } = {},
  ): SpaceFollower {
    const { relayKey } = this.bench;
    return this.enter(new SpaceFollower(this.identity, relayKey, space, options));
  }

  /** Hands what has come to those whom it concerns. */
  settle(): void {
    for (const frame of this.port.take()) for (const follower of this.followers) follower.receive(frame);
  }

  /** What waits is let go. */
  drain(): void {
    this.port.queuedBytes = 0;
    this.client.drained();
    this.bench.settle();
  }

  /** So many frames that wait arrive. */
  arrive(count: number): void {
    this.port.arrive(count);
    this.client.drained();
    this.bench.settle();
  }

  /** The connection is lost. */
  lose(): void {
    if (this.isGone) return;
    this.isGone = true;
    // Nothing arrives any more.
    this.port.full = true;
    this.client.remove();
    this.bench.settle();
  }
}

/** The spaces of a relay without one: with a clock that is set, and connections that are none. */
export class SpacesBench {
  readonly relayKey = RELAY_KEY;
  readonly spaces: Spaces;
  readonly limits: SpaceLimits;
  readonly limited: SpaceLimitName[] = [];
  readonly refused: SpaceRefused[] = [];
  readonly events: string[] = [];
  readonly seats: Seat[] = [];
  now = 1_000_000;

  constructor(options: SpacesOptions = {}, configuration: Partial<SpacesConfiguration> = {}) {
    const limits = checkSpaces(options);
    this.limits = limits;
    this.spaces = new Spaces({
      crypto,
      relayKey: RELAY_KEY,
      limits,
      maxFrame: 262_144,
      maxQueueBytes: 16_777_216,
      now: () => this.now,
      listener: {
        entered: (space, { publicKey }) => this.events.push(`${space} + ${publicKey.slice(0, 4)}`),
        left: (space, { publicKey }, reason) =>
          this.events.push(`${space} - ${publicKey.slice(0, 4)} ${reason}`),
        limited: limit => this.limited.push(limit),
        refused: refused => this.refused.push(refused),
      },
      ...configuration,
    });
  }

  seat(n = this.seats.length): Seat {
    const seat = new Seat(this, identityOf(n));
    this.seats.push(seat);
    return seat;
  }

  /** Time passes. */
  pass(milliseconds: number): void {
    this.now += milliseconds;
    this.spaces.tick(this.now);
    this.settle();
  }

  settle(): void {
    for (const seat of this.seats) seat.settle();
  }
}

/** A message of which six make a member slow that does not read. */
export const LARGE = 'x'.repeat(200_000);

/** Three members of a space, each on a connection of its own. */
export function threeMembers(bench = new SpacesBench({ historyBytes: 16_777_216 })) {
  const [a, b, c] = [bench.seat(), bench.seat(), bench.seat()];
  const [alice, bob, carol] = [a, b, c].map(seat => seat.follow('room', { stay: true })) as [
    SpaceFollower,
    SpaceFollower,
    SpaceFollower,
  ];
  return { bench, a, b, c, alice, bob, carol };
}

/** The same, of whom the third does not read. */
export function twoWhoRead(bench?: SpacesBench) {
  const scene = threeMembers(bench);
  scene.c.port.stuck = true;
  return scene;
}

/** What the relay says to a client from now on. */
export function reportsTo(seat: Seat): SpaceReport[] {
  const reports: SpaceReport[] = [];
  const offer = seat.port.offer.bind(seat.port);
  seat.port.offer = frame => {
    const decoded = decodeFrame(frame.slice());
    const isTaken = offer(frame);
    if (isTaken && decoded.type === 'space') reports.push(decodeSpaceReport(decoded.operation, decoded.body));
    return isTaken;
  };
  return reports;
}
