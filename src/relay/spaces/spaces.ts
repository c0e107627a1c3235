import { toHex } from '../../core/bytes.js';
import type { Crypto } from '../../core/crypto.js';
import { isJoinAuthentic, type JoinRecord, MAX_JOIN_LENGTH } from '../../core/space/join-record.js';
import type { LeaveReason, SpaceRefusal } from '../../core/space/space-frame.js';
import type { RelayClient } from '../relay-connection.js';
import { ClientSpaces } from './client-spaces.js';
import type { ObservedSpaceEvent } from './observed-space.js';
import { Space } from './space.js';
import { HistoryBudget } from './space-history.js';
import type { SpaceMember } from './space-member.js';
import type { EntryAnswer } from './space-policy.js';
import type { SpaceClient, SpacePort } from './space-port.js';
import type { SayLimit, SpaceShared } from './space-shared.js';
import type { SpaceEntry, SpaceLimits } from './spaces-options.js';

/** Limits that a client runs into with its spaces. */
export type SpaceLimitName = SayLimit | 'spaces' | 'spaces_per_client' | 'space_members' | 'space_enters';

/** Bytes of one entry of a roster as it is sent, at most. */
const MAX_ENTRY = 11 + MAX_JOIN_LENGTH;

/** Somebody who was not let into a space. */
export interface SpaceRefused {
  readonly space: string;
  readonly reason: SpaceRefusal;
  readonly message: string;
  readonly client: RelayClient;
}

/** Who is told what happens in spaces. Must not throw. */
export interface SpacesListener {
  entered?(space: string, member: SpaceMember): void;
  left?(space: string, member: SpaceMember, reason: LeaveReason): void;
  refused?(refused: SpaceRefused): void;
  /** Told each time. */
  limited?(limit: SpaceLimitName, client: SpaceClient): void;
}

export interface SpacesConfiguration {
  readonly crypto: Crypto;
  /** Public key of the relay, 32 bytes. */
  readonly relayKey: Uint8Array;
  /** Undefined: there are no spaces. */
  readonly limits: SpaceLimits | undefined;
  /** Bytes. */
  readonly maxFrame: number;
  /** Bytes that may wait for one connection. */
  readonly maxQueueBytes: number;
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number;
  /** Never throws or rejects. Default: everybody may enter every space. */
  readonly mayEnter?: ((entry: SpaceEntry) => EntryAnswer | Promise<EntryAnswer>) | undefined;
  readonly listener?: SpacesListener | undefined;
  /** From now on `tick` has something to do, until `isIdle` says otherwise. */
  readonly busy?: (() => void) | undefined;
  /** Sees all that happens. For demonstrations; must not throw. */
  readonly observe?: ((event: ObservedSpaceEvent) => void) | undefined;
}

export interface SpacesStatistics {
  readonly spaces: number;
  /** Those that are away included. */
  readonly members: number;
  readonly awayMembers: number;
  /** Messages that were put into an order, and how often one was handed to a member who was there. */
  readonly messages: number;
  readonly deliveries: number;
  /** Bytes that are kept and held of all spaces, overhead included. */
  readonly historyBytes: number;
}

/**
 * All spaces of a relay. It has no timer: `tick` is to be called several times a second, as long as it is not idle. Whatever clients do, its memory
 * stays within the bounds of its limits.
 */
export class Spaces {
  readonly limits: SpaceLimits | undefined;
  readonly now: () => number;
  readonly #configuration: SpacesConfiguration;
  readonly #shared: SpaceShared | undefined;
  readonly #maxMembers: number;
  readonly #byName = new Map<string, Space>();
  readonly #audiences = new Map<string, Set<ClientSpaces>>();
  /** Clients that asked for something too often. */
  readonly #waiting = new Set<ClientSpaces>();
  /** Places that are kept, by key. */
  readonly #awayOf = new Map<string, number>();
  readonly #budget: HistoryBudget;
  #members = 0;
  #away = 0;
  #messages = 0;
  #deliveries = 0;
  #isClosed = false;

  constructor(configuration: SpacesConfiguration) {
    const { crypto, relayKey, limits, maxFrame, maxQueueBytes, now, observe } = configuration;
    this.#configuration = configuration;
    this.limits = limits;
    this.now = now;
    this.#budget = new HistoryBudget(limits?.maxTotalHistoryBytes ?? 0);
    // A roster has to fit into an empty queue.
    this.#maxMembers = Math.min(limits?.maxMembers ?? 0, Math.floor(maxQueueBytes / 2 / MAX_ENTRY));
    this.#shared = limits && {
      crypto,
      relayKey,
      limits,
      maxFrame,
      maxQueueBytes,
      budget: this.#budget,
      now,
      observe,
      limited: (limit, client) => {
        this.limited(limit, client);
      },
      mayKeepPlace: ({ publicKey }) => (this.#awayOf.get(publicKey) ?? 0) < limits.maxSpacesPerClient,
      joined: (space, member) => {
        this.#members += 1;
        configuration.listener?.entered?.(space, member);
      },
      left: (space, member, reason) => {
        this.#members -= 1;
        configuration.listener?.left?.(space, member, reason);
      },
      away: (member, isAway) => {
        this.#countAway(member.publicKey, isAway ? 1 : -1);
      },
      sent: recipients => {
        this.#messages += 1;
        this.#deliveries += recipients;
      },
    };
  }

  get statistics(): SpacesStatistics {
    return {
      spaces: this.#byName.size,
      members: this.#members,
      awayMembers: this.#away,
      messages: this.#messages,
      deliveries: this.#deliveries,
      historyBytes: this.#budget.used,
    };
  }

  /** The spaces that there are. */
  get names(): IterableIterator<string> {
    return this.#byName.keys();
  }

  get(name: string): Space | undefined {
    return this.#byName.get(name);
  }

  /** A connection whose client has to do with spaces. */
  client(port: SpacePort, client: RelayClient): ClientSpaces {
    return new ClientSpaces(this, port, client);
  }

  /** Clients that get the server events of a space: its members that are here, and who was entered for that. Each once. */
  audience(name: string): Set<RelayClient> {
    const clients = new Set<RelayClient>();
    for (const member of this.#byName.get(name)?.members ?? []) {
      if (!member.isAway) clients.add(member.client.client);
    }
    for (const { client } of this.#audiences.get(name) ?? []) clients.add(client);
    return clients;
  }

  /** Puts all members of a key out of a space. Gives how many they were. */
  remove(name: string, publicKey: string): number {
    const space = this.#byName.get(name);
    if (space === undefined) return 0;
    const members = [...space.members].filter(member => member.publicKey === publicKey);
    for (const member of members) this.leave(space, member, 'removed');
    return members.length;
  }

  /** Whether `tick` has nothing to do. */
  get isIdle(): boolean {
    return this.#byName.size === 0 && this.#waiting.size === 0;
  }

  /** What has to happen now and then. */
  tick(now: number): void {
    for (const space of [...this.#byName.values()]) {
      space.tick(now);
      this.#tidy(space);
    }
    for (const client of [...this.#waiting]) if (!client.tick(now)) this.#waiting.delete(client);
  }

  /** The relay goes down: nobody is told of anybody's end any more. */
  close(): void {
    this.#isClosed = true;
  }

  /** @internal What clients need of it. */
  isAuthentic(name: string, join: JoinRecord): boolean {
    const { crypto, relayKey } = this.#configuration;
    return isJoinAuthentic(crypto, { relayKey, name }, join);
  }

  /** @internal */
  mayEnter(entry: SpaceEntry): EntryAnswer | Promise<EntryAnswer> {
    return this.#configuration.mayEnter?.(entry) ?? true;
  }

  /** Why nobody can enter a space with this join record, if so. @internal */
  problemOf(
    name: string,
    join: JoinRecord,
  ): { limit: SpaceLimitName | undefined; reason: SpaceRefusal; message: string } | undefined {
    const limits = this.limits as SpaceLimits;
    const space = this.#byName.get(name);
    const present = space?.member(toHex(join.memberId));
    if (present !== undefined) {
      const isOurs =
        present.publicKey === toHex(join.boxKey) && toHex(present.signingKey) === toHex(join.signingKey);
      if (isOurs) return undefined;
      return { limit: undefined, reason: 'JOIN_INVALID', message: 'Somebody else has this member id.' };
    }
    if (space === undefined && this.#byName.size >= limits.maxSpaces) {
      return {
        limit: 'spaces',
        reason: 'TOO_MANY_SPACES',
        message: 'The relay has as many spaces as it may.',
      };
    }
    if ((space?.size ?? 0) >= this.#maxMembers || this.#members >= limits.maxTotalMembers) {
      return {
        limit: 'space_members',
        reason: 'SPACE_FULL',
        message: 'There are as many members as there may be.',
      };
    }
    return undefined;
  }

  /** The space with this name, which is made if there is none. @internal */
  open(name: string): Space {
    let space = this.#byName.get(name);
    if (space === undefined) {
      this.#byName.set(name, (space = new Space(name, this.#shared as SpaceShared)));
      this.#configuration.busy?.();
    }
    return space;
  }

  /** @internal */
  leave(space: Space, member: SpaceMember, reason: LeaveReason): void {
    space.leave(member, reason);
    this.#tidy(space);
  }

  /** The connection of a member is gone. @internal */
  lost(space: Space, member: SpaceMember): void {
    if (this.#isClosed) return;
    space.lost(member);
    this.#tidy(space);
  }

  /** @internal */
  subscribe(name: string, client: ClientSpaces): boolean {
    let audience = this.#audiences.get(name);
    if (audience === undefined) {
      if (this.#audiences.size >= (this.limits?.maxSpaces ?? 0)) {
        this.limited('spaces', client);
        return false;
      }
      this.#audiences.set(name, (audience = new Set()));
    }
    audience.add(client);
    return true;
  }

  /** @internal */
  unsubscribe(name: string, client: ClientSpaces): void {
    const audience = this.#audiences.get(name);
    audience?.delete(client);
    if (audience?.size === 0) this.#audiences.delete(name);
  }

  /** @internal */
  limited(limit: SpaceLimitName, client: SpaceClient): void {
    this.#configuration.listener?.limited?.(limit, client);
  }

  /** @internal */
  refused(refused: SpaceRefused): void {
    this.#configuration.listener?.refused?.(refused);
  }

  /** It has something to do later. @internal */
  remindOf(client: ClientSpaces): void {
    this.#waiting.add(client);
    this.#configuration.busy?.();
  }

  #countAway(publicKey: string, by: number): void {
    this.#away += by;
    const count = (this.#awayOf.get(publicKey) ?? 0) + by;
    if (count > 0) this.#awayOf.set(publicKey, count);
    else this.#awayOf.delete(publicKey);
  }

  /** A space is forgotten with its last member. */
  #tidy(space: Space): void {
    if (space.size > 0 || this.#byName.get(space.name) !== space) return;
    this.#byName.delete(space.name);
    space.close();
  }
}
