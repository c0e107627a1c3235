import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { type SignedDeviceInformation, signDeviceInformation } from '../core/device-information.js';
import type { Identity } from '../core/identity.js';
import { normalizeLocation } from '../core/location.js';
import { localLocations } from './local-locations.js';

/** What a server says of itself to a client that comes. */
export interface ServerClaims {
  /** The locations it answers to, normalized. */
  readonly addresses: readonly string[];
  /** Its device information, with these addresses. */
  readonly device: SignedDeviceInformation;
}

export interface ClaimingServer {
  readonly identity: Identity;
  /** Locations this server answers to (`wss://relay.example`). Default: those of the local address that was dialled. */
  readonly addresses?: readonly string[] | undefined;
  readonly userId?: string | undefined;
  readonly deviceId?: string | undefined;
}

/** Claims are made anew when they are older, milliseconds: the machine may have got other addresses. */
const LIFETIME = 60_000;
/** More different ones of one identity are not kept: one for each local address and port at which clients arrive. */
const MAX_KEPT = 64;

type KeptClaims = Map<string, { claims: ServerClaims; madeAt: number }>;
const kept = new WeakMap<Identity, KeptClaims>();

/**
 * What `server` says of itself to the client of `request`. It is the same for all that come the same way, so it is
 * signed once a minute and not once for each. `now`: milliseconds since 1970.
 * @throws SecureWebSocketError `INVALID_ARGUMENT` for what device information has no room for
 */
export function claimsOf(
  server: ClaimingServer,
  request: IncomingMessage | undefined,
  now: number,
): ServerClaims {
  const own = kept.get(server.identity) ?? (new Map() as KeptClaims);
  kept.set(server.identity, own);
  const key = keyOf(server, request);
  const known = own.get(key);
  // A clock that was set back counts, too: to go on with what was signed in the future would help nobody.
  if (known && now >= known.madeAt && now - known.madeAt < LIFETIME) return known.claims;

  const addresses = server.addresses?.map(normalizeLocation) ?? localLocations(request);
  const device = signDeviceInformation(server.identity, { ...server, addresses }, now);
  const claims = { addresses, device };
  own.delete(key);
  own.set(key, { claims, madeAt: now });
  if (own.size > MAX_KEPT) own.delete(own.keys().next().value as string);
  return claims;
}

/** All that the claims depend on, but for time. */
function keyOf(server: ClaimingServer, request: IncomingMessage | undefined): string {
  const { userId, deviceId, addresses } = server;
  return JSON.stringify([userId, deviceId, addresses ?? wayOf(request)]);
}

/** How a request came: what {@link localLocations} looks at. */
function wayOf(request: IncomingMessage | undefined): string {
  if (!request) return '';
  const { encrypted, localAddress, localPort } = request.socket as Socket & Partial<TLSSocket>;
  return `${encrypted ? 'wss' : 'ws'} ${String(localPort)} ${String(localAddress)}`;
}
