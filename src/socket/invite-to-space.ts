import { parseAddress } from '../core/address.js';
import { toBase64Url } from '../core/bytes.js';
import { SecureWebSocketError } from '../core/errors.js';
import type { Identity } from '../core/identity.js';
import { createInvitation } from '../core/space/invitation.js';

/** Whom an admin lets into which space. */
export interface SpaceInvitation {
  /** The name of the space. The invitation holds for the space of that name at every relay. */
  readonly space: string;
  /** The public key of the one who is invited, 64 lowercase hex characters: nobody else can use the invitation. */
  readonly publicKey: string;
  /** When it ends: a Date, or milliseconds since 1970. Default: never. It cannot be taken back. */
  readonly expires?: Date | number | undefined;
}

/**
 * Invites somebody into a space with `admins`, of whom `identity` is one. What it gives is for the option
 * `space: { invitation }` of the one who is invited; it is no secret.
 *
 * @throws SecureWebSocketError `INVALID_ARGUMENT` for a name that no space can have, and for a time that is none; an address
 *   code (`INVALID_ADDRESS_LENGTH` and the like) for what is no public key
 */
export function inviteToSpace(identity: Identity, { space, publicKey, expires }: SpaceInvitation): string {
  const invited = parseAddress(publicKey);
  const until = expires instanceof Date ? expires.getTime() : (expires ?? 0);
  if (expires !== undefined && !(until > 0)) {
    throw new SecureWebSocketError(
      'INVALID_ARGUMENT',
      '"expires" is a Date, or a number of milliseconds since 1970. Without it the invitation holds for ever.',
    );
  }
  return toBase64Url(createInvitation(identity, space, invited, Math.floor(until)));
}
