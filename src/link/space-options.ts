/** How a socket takes part in a space. Everything is optional. */
export interface SpaceOptions {
  /**
   * The signing keys of those who decide who belongs to the space: `signingKey` of an identity, 64 lowercase hex characters
   * each. Only members whom one of them has invited are given keys, and the admins themselves. Without it everybody whom the
   * relay lets in is.
   */
  readonly admins?: readonly string[] | undefined;
  /** What an admin has made for this identity with `inviteToSpace`. */
  readonly invitation?: string | undefined;
  /** With so many members who are given keys messages are sealed under sender keys. A positive integer. Default: 16. */
  readonly senderKeyMembers?: number | undefined;
  /** With more messages per second than this, too, however few the members are. Default: 8. */
  readonly senderKeyRate?: number | undefined;
}

/** The default of `maxBuffered`, what may wait for a peer, or for a reader in a space. Bytes. */
export const MAX_BUFFERED = 16_777_216;

/** The options in the form in which they are used. */
export interface ParsedSpaceOptions {
  readonly admins?: ReadonlySet<string>;
  readonly invitation?: string;
  readonly senderKeyMembers?: number;
  readonly senderKeyRate?: number;
}

const MEMBERS: readonly (keyof SpaceOptions)[] = [
  'admins',
  'invitation',
  'senderKeyMembers',
  'senderKeyRate',
];

/** What 136 bytes are in base64url. */
const INVITATION = /^[\w-]{182}$/;

/**
 * The option `space`.
 * @throws TypeError for anything but an object with members that are what they can be
 */
export function parseSpaceOptions(value: unknown): ParsedSpaceOptions {
  if (value === undefined) return {};
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new TypeError('The option "space" is an object');
  }
  const { admins, invitation, senderKeyMembers, senderKeyRate } = value as Record<string, unknown>;
  for (const name of Object.keys(value)) {
    if ((MEMBERS as readonly string[]).includes(name)) continue;
    throw new TypeError(`"space" has no member "${name}": it knows ${MEMBERS.join(', ')}`);
  }
  return {
    ...(admins !== undefined && { admins: new Set(signingKeys(admins)) }),
    ...(invitation !== undefined && { invitation: checkedInvitation(invitation) }),
    ...(senderKeyMembers !== undefined && {
      senderKeyMembers: positive('senderKeyMembers', senderKeyMembers, Number.isInteger),
    }),
    ...(senderKeyRate !== undefined && {
      senderKeyRate: positive('senderKeyRate', senderKeyRate, () => true),
    }),
  };
}

function signingKeys(value: unknown): readonly string[] {
  const isKey = (key: unknown): boolean => typeof key === 'string' && /^[0-9a-f]{64}$/.test(key);
  if (Array.isArray(value) && value.length > 0 && value.every(isKey)) return value as string[];
  throw new TypeError(
    '"space.admins" is an array of signing keys: "signingKey" of an identity, 64 lowercase hex characters each',
  );
}

function checkedInvitation(value: unknown): string {
  if (typeof value === 'string' && INVITATION.test(value)) return value;
  throw new TypeError('"space.invitation" is a string that inviteToSpace() has given');
}

function positive(name: string, value: unknown, isFit: (value: number) => boolean): number {
  if (typeof value === 'number' && value > 0 && isFit(value)) return value;
  throw new TypeError(`"space.${name}" is a number that is more than 0, and of members an integer`);
}
