import type { Crypto } from '../../core/crypto.js';
import { entryDigest, rosterHash } from '../../core/space/roster.js';
import { encodeRoster } from '../../core/space/space-frame.js';
import { RosterDigests } from './roster-digests.js';
import { behindHead } from './space-item.js';
import type { SpaceMember } from './space-member.js';

/** Who is in a space: in the order in which they came, and as one hash. */
export class SpaceRoster {
  readonly #crypto: Crypto;
  readonly #epoch: Uint8Array;
  readonly #digests = new RosterDigests();
  readonly #byId = new Map<string, SpaceMember>();
  #version = 0;
  #hash: Uint8Array;
  #lastNumber = 0;
  #pages: readonly Uint8Array[] | undefined;

  constructor(crypto: Crypto, epoch: Uint8Array) {
    this.#crypto = crypto;
    this.#epoch = epoch;
    this.#hash = rosterHash(crypto, epoch, 0, []);
  }

  get size(): number {
    return this.#byId.size;
  }

  /** How often it has changed. */
  get version(): number {
    return this.#version;
  }

  get hash(): Uint8Array {
    return this.#hash;
  }

  get members(): Iterable<SpaceMember> {
    return this.#byId.values();
  }

  get(id: string): SpaceMember | undefined {
    return this.#byId.get(id);
  }

  has(member: SpaceMember): boolean {
    return this.#byId.get(member.id) === member;
  }

  /** The number that the next one gets, and what stands for it then. */
  next(join: Uint8Array): { readonly number: number; readonly digest: Uint8Array } {
    const number = this.#lastNumber + 1;
    return { number, digest: entryDigest(this.#crypto, number, join) };
  }

  add(member: SpaceMember): void {
    this.#lastNumber = member.number;
    this.#byId.set(member.id, member);
    this.#digests.add(member.digest);
    this.#change();
  }

  remove(member: SpaceMember): void {
    this.#byId.delete(member.id);
    this.#digests.remove(member.digest);
    this.#change();
  }

  /** A member has come to a connection, or lost it. */
  moved(): void {
    this.#pages = undefined;
  }

  /**
   * All of it as SPACE frames without their heads: the same for whoever gets them, and made once as long as it is the same.
   * A page is at most 32 KiB with its head.
   */
  get pages(): readonly Uint8Array[] {
    if (this.#pages) return this.#pages;
    const entries = Array.from(this.members, ({ entryBytes }) => entryBytes);
    return (this.#pages = encodeRoster(0, entries).map(behindHead));
  }

  #change(): void {
    this.#pages = undefined;
    this.#version += 1;
    // In their order already: as one they are what they are one by one.
    this.#hash = rosterHash(this.#crypto, this.#epoch, this.#version, [this.#digests.sorted]);
  }
}
