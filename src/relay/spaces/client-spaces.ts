import { SecureWebSocketError } from '../../core/errors.js';
import { MEMBERSHIP_HEADER_LENGTH } from '../../core/frame.js';
import { toHex } from '../../core/bytes.js';
import { largeBuffers } from '../../core/buffer-pool.js';
import { decodeJoin, type JoinRecord } from '../../core/space/join-record.js';
import {
  decodeMulticast,
  decodeSpaceRequest,
  encodeSpaceReport,
  type Enter,
  type SpaceRefusal,
} from '../../core/space/space-frame.js';
import { decodeSpaceMessage } from '../../core/space/space-message.js';
import { isSpaceName } from '../../core/space/space-name.js';
import { TokenBucket } from '../limits/token-bucket.js';
import type { RelayClient } from '../relay-connection.js';
import type { Space } from './space.js';
import type { SpaceMember } from './space-member.js';
import type { EntryAnswer } from './space-policy.js';
import type { SpaceClient, SpacePort } from './space-port.js';
import type { SpaceLimitName, Spaces } from './spaces.js';

/** So often a client may enter at once, or ask for something that takes as much work. */
const ENTER_BURST = 64;
/** Whoever enters too often may try again in so long, milliseconds. */
const RETRY_AFTER = 1_000;
/** A buffer that is larger than what is kept of it by more than this is not kept, bytes. */
const SLACK = 1_024;

interface Membership {
  readonly space: Space;
  readonly member: SpaceMember;
}

/** Somebody is being asked whether it may enter. */
interface Asked {
  readonly asked: Enter;
}

/** The spaces of one client: made when it first has to do with one. */
export class ClientSpaces implements SpaceClient {
  readonly port: SpacePort;
  readonly client: RelayClient;
  readonly #spaces: Spaces;
  /** By the numbers that the client has given them. */
  readonly #memberships = new Map<number, Membership | Asked>();
  /** How many of them are in each space. */
  readonly #inSpaces = new Map<Space, number>();
  /** Spaces whose server events it gets though it is no member: at the wish of the operator. */
  readonly #subscribed = new Set<string>();
  /** Members that asked for something more often than they may, and what has to be done for them later. */
  readonly #later = new Map<SpaceMember, () => void>();
  #enters: TokenBucket | undefined;
  /** Questions about it that have no answer yet. */
  #asking = 0;
  #isGone = false;

  constructor(spaces: Spaces, port: SpacePort, client: RelayClient) {
    this.#spaces = spaces;
    this.port = port;
    this.client = client;
  }

  /** Spaces and subscriptions that it takes up. */
  get size(): number {
    return this.#memberships.size + this.#subscribed.size;
  }

  /** Whether both are in the same space. */
  sharesWith(other: ClientSpaces): boolean {
    for (const space of this.#inSpaces.keys()) if (other.#inSpaces.has(space)) return true;
    return false;
  }

  /**
   * A SPACE frame.
   * @throws SecureWebSocketError `FRAME_MALFORMED`, `PROTOCOL_VIOLATION`: the connection has to end
   */
  receive(number: number, operation: number, body: Uint8Array): void {
    const request = decodeSpaceRequest(operation, body);
    if (request.type === 'enter') {
      this.#enter(number, request);
      return;
    }
    const membership = this.#memberships.get(number);
    // It may have ended while this was under way.
    if (membership === undefined) return;
    if ('asked' in membership) {
      if (request.type === 'leave') this.#memberships.delete(number);
      return;
    }
    const { space, member } = membership;
    switch (request.type) {
      case 'leave':
        this.#spaces.leave(space, member, 'left');
        break;
      case 'fetch':
        member.want(request.from, request.to);
        this.#ask(membership);
        break;
      case 'who':
        member.owesRoster = true;
        this.#ask(membership);
    }
  }

  /**
   * A MULTICAST frame: its membership, and all that is behind that.
   * @throws SecureWebSocketError as above
   */
  receiveMulticast(number: number, body: Uint8Array): void {
    const membership = this.#memberships.get(number);
    if (membership === undefined || 'asked' in membership) return;
    const { space, member } = membership;
    // What is kept is kept for minutes: it must not hold on to more than itself.
    const isExact = body.buffer.byteLength <= body.length + body.length / 4 + SLACK;
    const kept = isExact ? body : body.slice();
    if (!isExact) largeBuffers.give(body.buffer);
    const multicast = decodeMulticast(kept);
    const { header } = decodeSpaceMessage(multicast.message);
    const size = MEMBERSHIP_HEADER_LENGTH + body.length;
    space.say({ member, header, multicast, bytes: kept.buffer.byteLength, size });
  }

  /** What waited in the connection has left it, in part or whole. */
  drained(): void {
    for (const membership of this.#memberships.values()) {
      if ('member' in membership) membership.space.drained(membership.member);
    }
  }

  /** The connection is gone. */
  remove(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#later.clear();
    for (const space of [...this.#subscribed]) this.unsubscribe(space);
    const memberships = [...this.#memberships.values()];
    this.#memberships.clear();
    this.#inSpaces.clear();
    for (const membership of memberships) {
      if ('member' in membership) this.#spaces.lost(membership.space, membership.member);
    }
  }

  forget(number: number): void {
    const membership = this.#memberships.get(number);
    this.#memberships.delete(number);
    if (membership === undefined || 'asked' in membership) return;
    const { space, member } = membership;
    this.#later.delete(member);
    const count = this.#inSpaces.get(space) ?? 0;
    if (count > 1) this.#inSpaces.set(space, count - 1);
    else this.#inSpaces.delete(space);
  }

  /** It gets the server events of a space from now on. False: it has as many spaces as it may. */
  subscribe(space: string): boolean {
    if (this.#isGone) return false;
    if (this.#subscribed.has(space)) return true;
    if (!this.#hasRoom() || !this.#spaces.subscribe(space, this)) return false;
    this.#subscribed.add(space);
    return true;
  }

  /** Whether it did until now. */
  unsubscribe(space: string): boolean {
    if (!this.#subscribed.delete(space)) return false;
    this.#spaces.unsubscribe(space, this);
    return true;
  }

  /** What was asked for too often is done now, if it may be. False: nothing is left. */
  tick(now: number): boolean {
    for (const [member, action] of this.#later) {
      if (!this.#mayAsk(now)) return true;
      this.#later.delete(member);
      action();
    }
    return false;
  }

  #enter(number: number, request: Enter): void {
    const { limits, now } = this.#spaces;
    if (limits === undefined) {
      this.#refuse(number, 'SPACES_DISABLED', 'This relay has no spaces.');
      return;
    }
    const present = this.#memberships.get(number);
    if (present !== undefined) {
      this.#enterAgain(number, present, request);
      return;
    }
    if (!this.#mayAsk(now())) {
      this.#limited('space_enters');
      const message = `A connection may enter ${String(limits.entersPerSecond)} times per second.`;
      this.#refuse(number, 'RATE', message, RETRY_AFTER);
      return;
    }
    this.#check(number, request);
  }

  /** It is in, and asks to be told everything anew. */
  #enterAgain(number: number, present: Membership | Asked, request: Enter): void {
    const join = readJoin(request.join);
    if (
      'asked' in present ||
      join === undefined ||
      request.space !== present.space.name ||
      toHex(join.memberId) !== present.member.id
    ) {
      throw violation('gives two memberships the same number');
    }
    const { space } = present;
    this.#ask(present, () => {
      space.enter({ client: this, membership: number, join, request });
    });
  }

  #check(number: number, request: Enter): void {
    const { space: name } = request;
    if (!isSpaceName(name)) {
      this.#refuse(number, 'SPACE_NAME_INVALID', 'This is no name of a space.');
      return;
    }
    if (!this.#hasRoom()) {
      this.#refuse(number, 'TOO_MANY_SPACES', 'This client is in as many spaces as it may.');
      return;
    }
    const join = readJoin(request.join);
    if (
      join === undefined ||
      toHex(join.boxKey) !== this.client.publicKey ||
      !this.#spaces.isAuthentic(name, join)
    ) {
      this.#refuse(
        number,
        'JOIN_INVALID',
        'The join record is not one of this client for this space.',
        undefined,
        name,
      );
      return;
    }
    if (!this.#mayTake(number, name, join)) return;
    const { publicKey, userId, deviceId = '', remoteAddress: ip } = this.client;
    const answer = this.#spaces.mayEnter({ space: name, publicKey, userId, deviceId, ip });
    if (!(answer instanceof Promise)) {
      this.#answered(number, request, join, answer);
      return;
    }
    const asked = { asked: request };
    this.#memberships.set(number, asked);
    this.#asking += 1;
    void answer.then(later => {
      this.#asking -= 1;
      // It may have left, or be gone.
      if (this.#memberships.get(number) !== asked) return;
      this.#memberships.delete(number);
      this.#answered(number, request, join, later);
    });
  }

  #answered(number: number, request: Enter, join: JoinRecord, answer: EntryAnswer): void {
    const { space: name } = request;
    if (answer === 'unavailable') {
      const message = 'Whoever decides on who may enter could not be asked. Try again.';
      this.#refuse(number, 'UNAVAILABLE', message, undefined, name);
      return;
    }
    if (!answer) {
      this.#refuse(number, 'SPACE_NOT_ALLOWED', 'This client may not enter this space.', undefined, name);
      return;
    }
    // To ask takes time, in which others may have come.
    if (!this.#mayTake(number, name, join)) return;
    const space = this.#spaces.open(name);
    const member = space.enter({ client: this, membership: number, join, request });
    // Whoever was told of it may have put it out at once,
    if (space.member(member.id) !== member) return;
    if (this.#isGone) {
      // or have ended the connection, and nobody tells of that a second time.
      if (member.client === this) this.#spaces.lost(space, member);
      return;
    }
    this.#memberships.set(number, { space, member });
    this.#inSpaces.set(space, (this.#inSpaces.get(space) ?? 0) + 1);
  }

  /** Whether there is a place for it, or its own. If not, it was told. */
  #mayTake(number: number, name: string, join: JoinRecord): boolean {
    const problem = this.#spaces.problemOf(name, join);
    if (problem === undefined) return true;
    const { limit, reason, message } = problem;
    if (limit !== undefined) this.#limited(limit);
    this.#refuse(number, reason, message, undefined, name);
    return false;
  }

  #hasRoom(): boolean {
    const { limits } = this.#spaces;
    // A question about somebody who has left is one all the same.
    const most = Math.max(this.size, this.#asking + this.#subscribed.size);
    if (limits !== undefined && most < limits.maxSpacesPerClient) return true;
    if (limits !== undefined) this.#limited('spaces_per_client');
    return false;
  }

  #mayAsk(now: number): boolean {
    const { limits } = this.#spaces;
    if (limits === undefined) return false;
    this.#enters ??= new TokenBucket(limits.entersPerSecond, ENTER_BURST);
    return this.#enters.take(1, now);
  }

  /**
   * Does something that takes the relay as much work as to let somebody in: not more often than that. `enter`: it enters
   * anew, which answers everything else; without it, it gets what is noted at the member.
   */
  #ask({ space, member }: Membership, enter?: () => void): void {
    const waiting = this.#later.get(member);
    if (waiting === undefined && this.#mayAsk(this.#spaces.now())) {
      if (enter === undefined) space.answer(member);
      else enter();
      return;
    }
    this.#limited('space_enters');
    const answer = (): void => {
      space.answer(member);
    };
    this.#later.set(member, enter ?? waiting ?? answer);
    this.#spaces.remindOf(this);
  }

  #limited(limit: SpaceLimitName): void {
    this.#spaces.limited(limit, this);
  }

  /** `space`: where it is worth to be noted. */
  #refuse(number: number, reason: SpaceRefusal, message: string, retryAfter?: number, space?: string): void {
    this.port.offer(encodeSpaceReport(number, { type: 'refused', reason, message, retryAfter }));
    if (space !== undefined) this.#spaces.refused({ space, reason, message, client: this.client });
  }
}

function readJoin(bytes: Uint8Array): JoinRecord | undefined {
  try {
    return decodeJoin(bytes);
  } catch (error) {
    if (error instanceof SecureWebSocketError) return undefined;
    throw error;
  }
}

function violation(what: string): SecureWebSocketError {
  return new SecureWebSocketError('PROTOCOL_VIOLATION', `The client ${what}.`);
}
