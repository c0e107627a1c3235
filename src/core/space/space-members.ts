import { readUint64, toHex } from '../bytes.js';
import type { Crypto } from '../crypto.js';
import { SecureWebSocketError } from '../errors.js';
import { AuthenticJoins } from './authentic-join.js';
import { isAdmitted } from './invitation.js';
import type { JoinRecord, SpacePlace } from './join-record.js';
import { rosterHash } from './roster.js';
import type { Entry } from './space-frame.js';

/** What an application is told of a member. */
export interface MemberInformation {
  /** 32 lowercase hex characters: one for each entry into the space. Two tabs of one identity have two. */
  readonly id: string;
  /** The address of the member: 64 lowercase hex characters. */
  readonly publicKey: string;
  /** Whether it is this end itself. */
  readonly isSelf: boolean;
  /** Whether it is given keys: always, unless the space has `admins`, and none of them has signed it in. */
  readonly admitted: boolean;
  /** Whether its connection is lost, and its place kept. */
  readonly away: boolean;
  /** When it entered, by its own clock: milliseconds since 1970. */
  readonly joined: number;
}

/** One entry of the roster. */
export interface Member {
  readonly id: string;
  readonly publicKey: string;
  readonly join: JoinRecord;
  readonly digest: Uint8Array;
  readonly isSelf: boolean;
  number: number;
  connectionId: number;
  away: boolean;
  admitted: boolean;
  /** Until when, by the clock on the wall. */
  readonly admittedUntil: number;
}

export interface SpaceMembersOptions {
  readonly crypto: Crypto;
  readonly place: SpacePlace;
  readonly ownId: string;
  /** Signing keys, hex, of those who sign members in. */
  readonly admins: ReadonlySet<string> | undefined;
  readonly wallClock: () => number;
}

/** Members that a relay may name. */
export const MAX_MEMBERS = 65_535;

/** Where the time at which an invitation expires stands in it. */
const EXPIRES_AT = 32;

/** Who is in a space, as its relay says it, checked as far as that can be. */
export class SpaceMembers {
  readonly #options: SpaceMembersOptions;
  readonly #joins: AuthenticJoins;
  readonly #byId = new Map<string, Member>();
  readonly #byNumber = new Map<number, Member>();
  #epoch = new Uint8Array(0);
  #version = 0;
  #stated = new Uint8Array(0);
  #isChecked = false;
  #readers: Member[] | undefined;
  /** When the next invitation expires. */
  #nextExpiry = Infinity;

  constructor(options: SpaceMembersOptions) {
    this.#options = options;
    this.#joins = new AuthenticJoins(options.crypto, options.place);
  }

  get version(): number {
    return this.#version;
  }

  /** What the relay says that the hash of the roster is: see `check`. */
  get rosterHash(): Uint8Array {
    return this.#stated;
  }

  get size(): number {
    return this.#byId.size;
  }

  [Symbol.iterator](): Iterator<Member> {
    return this.#byId.values();
  }

  get(id: string): Member | undefined {
    return this.#byId.get(id);
  }

  numbered(number: number): Member | undefined {
    return this.#byNumber.get(number);
  }

  /** Whether we are given keys ourselves. */
  get isAdmitted(): boolean {
    return this.#byId.get(this.#options.ownId)?.admitted === true;
  }

  /** Those who are to read what we send: nobody, if nobody would believe us. */
  get readers(): readonly Member[] {
    this.expire();
    return (this.#readers ??= this.isAdmitted
      ? [...this.#byId.values()].filter(({ admitted, isSelf }) => admitted && !isSelf)
      : []);
  }

  /**
   * Takes over a whole roster, and checks it.
   * @throws SecureWebSocketError `FRAME_MALFORMED`, `ROSTER_MISMATCH`
   */
  replace(entries: readonly Entry[], epoch: Uint8Array, version: number, stated: Uint8Array): void {
    this.clear();
    this.#epoch = epoch.slice();
    for (const entry of entries) this.#add(entry);
    this.#changed(version, stated);
    this.check();
  }

  /**
   * Takes in a new member.
   * @throws SecureWebSocketError `FRAME_MALFORMED`, `ROSTER_MISMATCH`
   */
  add(entry: Entry, version: number, stated: Uint8Array): Member {
    const member = this.#add(entry);
    this.#changed(version, stated);
    return member;
  }

  /** Undefined when there is no such member. */
  remove(number: number, version: number, stated: Uint8Array): Member | undefined {
    const member = this.#byNumber.get(number);
    if (!member) return undefined;
    this.#byNumber.delete(number);
    this.#byId.delete(member.id);
    this.#changed(version, stated);
    return member;
  }

  clear(): void {
    this.#byId.clear();
    this.#byNumber.clear();
    this.#version = 0;
    this.#nextExpiry = Infinity;
    this.#readers = undefined;
  }

  /** Invitations end: to be called before it matters who is admitted. */
  expire(): void {
    // Only where members are signed in does time change anything.
    if (this.#nextExpiry === Infinity) return;
    const now = this.#options.wallClock();
    if (now < this.#nextExpiry) return;
    this.#nextExpiry = Infinity;
    for (const member of this.#byId.values()) {
      if (!member.admitted) continue;
      member.admitted = now < member.admittedUntil;
      if (member.admitted) this.#nextExpiry = Math.min(this.#nextExpiry, member.admittedUntil);
    }
    this.#readers = undefined;
  }

  /**
   * Whether those whom we know are those whom the relay says there are. What it says is part of the order that all
   * members agree on, so that it cannot say one thing to one and another to others.
   * @throws SecureWebSocketError `ROSTER_MISMATCH`
   */
  check(): void {
    if (this.#isChecked) return;
    const digests = [...this.#byId.values()].map(({ digest }) => digest);
    const { crypto } = this.#options;
    if (!crypto.equal(rosterHash(crypto, this.#epoch, this.#version, digests), this.#stated)) {
      throw new SecureWebSocketError(
        'ROSTER_MISMATCH',
        'The relay names other members of the space than those whom it has shown: it lies, or is broken.',
      );
    }
    this.#isChecked = true;
  }

  #changed(version: number, stated: Uint8Array): void {
    this.#version = version;
    this.#stated = stated.slice();
    this.#isChecked = false;
    this.#readers = undefined;
  }

  #add(entry: Entry): Member {
    const { crypto, place, ownId, admins, wallClock } = this.#options;
    const authentic = this.#joins.read(entry.join);
    const { id, publicKey, record: join } = authentic;
    if (this.#byId.has(id) || this.#byNumber.has(entry.number)) {
      throw new SecureWebSocketError('ROSTER_MISMATCH', 'The relay names a member of the space twice.');
    }
    if (this.#byId.size >= MAX_MEMBERS) {
      throw new SecureWebSocketError(
        'ROSTER_MISMATCH',
        'The relay names more members than a space can have.',
      );
    }
    const admitted = isAdmitted(crypto, place.name, join, admins, wallClock());
    const admittedUntil = this.#admittedUntil(join);
    if (admitted) this.#nextExpiry = Math.min(this.#nextExpiry, admittedUntil);
    const member: Member = {
      id,
      publicKey,
      join,
      digest: authentic.digest(entry.number),
      isSelf: id === ownId,
      number: entry.number,
      connectionId: entry.connectionId,
      away: entry.away,
      admitted,
      admittedUntil,
    };
    this.#byId.set(id, member);
    this.#byNumber.set(entry.number, member);
    return member;
  }

  /** Until when a member that is admitted now is so. */
  #admittedUntil({ invitation, signingKey }: JoinRecord): number {
    const { admins } = this.#options;
    if (!admins || invitation.length === 0 || admins.has(toHex(signingKey))) return Infinity;
    const expires = readUint64(invitation, EXPIRES_AT);
    return expires === 0 ? Infinity : expires;
  }
}

export function informationOf(member: Member, away = member.away): MemberInformation {
  const { id, publicKey, isSelf, admitted, join } = member;
  return { id, publicKey, isSelf, admitted, away, joined: join.time };
}
