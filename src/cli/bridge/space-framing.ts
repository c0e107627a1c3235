import type { SpaceMember } from '../../link/channel-port.js';

/** The subprotocol in which a plain client learns who is in a space, and who has said what (docs/proxy.md). */
export const SPACE_PROTOCOL = 'secure-websocket.space.v1+json';

/** What a client is told, one JSON object a message. */
export type SpaceReport =
  | {
      readonly type: 'open';
      readonly space: string;
      readonly id: string;
      readonly publicKey: string;
      readonly members: readonly SpaceMember[];
    }
  | ({ readonly type: 'message'; readonly from: string; readonly member: string } & Content)
  | { readonly type: 'memberjoin' | 'memberchange'; readonly member: SpaceMember }
  | { readonly type: 'memberleave' | 'keyswiped'; readonly member: SpaceMember; readonly reason: string }
  | {
      readonly type: 'messageslost';
      readonly member: SpaceMember;
      readonly count: number;
      readonly reason: string;
    }
  | ({ readonly type: 'serverevent'; readonly space: string } & Content)
  | { readonly type: 'members'; readonly members: readonly SpaceMember[] }
  | {
      readonly type: 'reconnecting';
      readonly attempt: number;
      readonly delay: number;
      readonly code: string;
      readonly message: string;
    }
  | { readonly type: 'reconnected'; readonly resumed: boolean; readonly members: readonly SpaceMember[] };

/** Text as it is, and bytes in base64 (RFC 4648 section 4). */
export type Content = { readonly data: string } | { readonly base64: string };

/** What a client wants. */
export type SpaceRequest =
  { readonly type: 'members' } | { readonly type: 'message'; readonly data: string | Uint8Array };

export function contentOf(data: string | ArrayBuffer | Uint8Array): Content {
  if (typeof data === 'string') return { data };
  const bytes = data instanceof Uint8Array ? data : new Uint8Array(data);
  return { base64: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64') };
}

/** Reads one text message of a client. A string says what is wrong with it. */
export function parseSpaceRequest(text: string): SpaceRequest | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return 'not JSON';
  }
  if (typeof value !== 'object' || value === null) return 'not a JSON object';
  const { type, data, base64 } = value as Readonly<Record<string, unknown>>;
  if (type === 'members') return { type };
  if (type !== 'message') return 'its "type" is neither "message" nor "members"';
  if ((data === undefined) === (base64 === undefined)) return 'it needs either "data" or "base64"';
  if (base64 === undefined) return typeof data === 'string' ? { type, data } : 'its "data" is no string';
  const bytes = typeof base64 === 'string' ? Buffer.from(base64, 'base64') : undefined;
  // What is none is passed over by Buffer.
  return bytes !== undefined && bytes.toString('base64') === base64
    ? { type, data: bytes }
    : 'its "base64" is none';
}
