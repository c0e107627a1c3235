import { parseAddress } from '../../core/address.js';
import { checkSpaceName } from '../../core/space/space-name.js';
import type { RelayClient } from '../relay-connection.js';
import type { ClientSpaces } from './client-spaces.js';
import type { Spaces } from './spaces.js';

/** One member of a space, as the relay knows it. */
export interface RelaySpaceMember {
  /** 32 hex digits. */
  readonly memberId: string;
  /** 64 hex digits. */
  readonly publicKey: string;
  /** Where it is, or was when its connection was lost. */
  readonly connectionId: number;
  readonly userId: string | undefined;
  readonly deviceId: string | undefined;
  /** Its connection is lost, and its place is kept. */
  readonly isAway: boolean;
}

/** What spaces need of a relay. */
export interface SpacesOwner {
  /** Undefined while the relay does not listen. */
  spaces(): Spaces | undefined;
  /** The spaces of each connection of a key. */
  clients(publicKey: string): Iterable<ClientSpaces>;
  administered(action: string, detail: Readonly<Record<string, string | number>>): void;
}

/**
 * The spaces of a relay, for the program that runs it: `relay.spaces`. Nobody becomes a member here: a member has signed
 * its join itself, and everybody can check that.
 */
export class RelaySpaces {
  readonly #owner: SpacesOwner;

  /** @internal */
  constructor(owner: SpacesOwner) {
    this.#owner = owner;
  }

  /** The names of the spaces that have members. */
  names(): string[] {
    return [...(this.#owner.spaces()?.names ?? [])];
  }

  /**
   * The members of a space, in the order in which they came.
   * @throws SecureWebSocketError `INVALID_ARGUMENT` when that is no name of a space
   */
  members(space: string): RelaySpaceMember[] {
    checkSpaceName(space);
    return Array.from(this.#owner.spaces()?.get(space)?.members ?? [], member => {
      const { userId, deviceId } = member.client.client;
      const { id: memberId, publicKey, connectionId, isAway } = member;
      return { memberId, publicKey, connectionId, userId, deviceId, isAway };
    });
  }

  /**
   * The connections of a key get what is emitted to this space from now on, until they end or `leave` is called. They hear
   * nothing of what members say to each other. Gives how many they are: fewer than there are where one has reached
   * `maxSpacesPerClient`.
   * @throws SecureWebSocketError `INVALID_ARGUMENT`, or an address code when that is no public key
   */
  enter(publicKey: string, space: string): number {
    parseAddress(publicKey);
    checkSpaceName(space);
    let connections = 0;
    for (const client of this.#owner.clients(publicKey)) if (client.subscribe(space)) connections += 1;
    return connections;
  }

  /**
   * Undoes `enter`, and puts all members of a key out of a space: they and the others are told so. They may come back
   * unless `mayEnter` says no. Gives how many members and entered connections they were.
   * @throws SecureWebSocketError as `enter`
   */
  leave(publicKey: string, space: string): number {
    parseAddress(publicKey);
    checkSpaceName(space);
    let connections = 0;
    for (const client of this.#owner.clients(publicKey)) if (client.unsubscribe(space)) connections += 1;
    const members = this.#owner.spaces()?.remove(space, publicKey) ?? 0;
    if (members > 0) this.#owner.administered('remove_from_space', { publicKey, space, members });
    return members + connections;
  }

  /**
   * Who gets what is emitted to a space: its members that are here, and connections that were entered. Each once.
   * @throws SecureWebSocketError `INVALID_ARGUMENT` when that is no name of a space
   */
  audience(space: string): Iterable<RelayClient> {
    checkSpaceName(space);
    return this.#owner.spaces()?.audience(space) ?? [];
  }

  /**
   * Tells the members of a space, or of all spaces, who is there: they forget the keys of everybody else.
   * @throws SecureWebSocketError `INVALID_ARGUMENT` when that is no name of a space
   */
  tellPresent(space?: string): void {
    if (space !== undefined) checkSpaceName(space);
    for (const name of space === undefined ? this.names() : [space])
      this.#owner.spaces()?.get(name)?.tellPresent();
  }
}
