import { platform } from '#platform';
import { toArrayBuffer } from './array-buffer.js';

/** What `binaryType` of a server-side socket can be. */
export const SERVER_BINARY_TYPES = ['nodebuffer', 'arraybuffer', 'fragments', 'blob'] as const;

/** How a binary message is handed over: a Buffer, an ArrayBuffer, an array of Buffers, or a Blob. */
export type ServerBinaryType = (typeof SERVER_BINARY_TYPES)[number];

/** The bytes of a message where there is no Buffer: their `toString` decodes UTF-8, as a Buffer's does. */
export interface MessageBytesLike extends Uint8Array {
  toString(encoding?: string): string;
}

/** The bytes of a message: a Buffer, in programs that know its type; {@link MessageBytesLike} in browsers. */
export type MessageBytes =
  typeof globalThis extends Record<'Buffer', { isBuffer(value: unknown): value is infer Instance }>
    ? Instance
    : MessageBytesLike;

/**
 * What a `message` listener gets: {@link MessageBytes}, unless the message is binary and `binaryType` says otherwise.
 * As in the types of `ws` the Blob of 'blob' is left out.
 */
export type MessageData = MessageBytes | ArrayBuffer | MessageBytes[];

/** A message that a server-side socket was to send. */
export interface UnacknowledgedServerMessage {
  readonly data: MessageBytes;
  readonly isBinary: boolean;
}

/** Bytes as listeners get them. */
export function toMessageBytes(bytes: Uint8Array): MessageBytes {
  return platform.toMessageData(bytes) as MessageBytes;
}

/** A binary message as listeners get it. */
export function toBinaryData(data: Uint8Array, type: ServerBinaryType): MessageData {
  if (type === 'arraybuffer') return toArrayBuffer(data);
  if (type === 'fragments') return [toMessageBytes(data)];
  if (type === 'blob') return new Blob([toArrayBuffer(data)]) as unknown as MessageData;
  return toMessageBytes(data);
}
