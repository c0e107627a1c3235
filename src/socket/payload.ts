import { concat, utf8 } from '../core/bytes.js';
import type { BlobLike } from './dom-types.js';

/** What `send`, `ping` and `pong` of a `ws` WebSocket take. Anything empty (`undefined`, `null`, `''`) is an empty message. */
export type Sendable =
  | string
  | number
  | ArrayBuffer
  | SharedArrayBuffer
  | ArrayBufferView
  | BlobLike
  | ArrayLike<number>
  | readonly (ArrayBuffer | ArrayBufferView)[]
  | { valueOf(): ArrayBuffer | SharedArrayBuffer | Uint8Array | string | readonly number[] }
  | { [Symbol.toPrimitive](hint: string): string }
  | null
  | undefined;

/** Bytes that may be the caller's, or a Blob that is yet to be read. */
export type Payload = Uint8Array | BlobLike;

/** Bytes of a payload. */
export function payloadSize(payload: Payload): number {
  return payload instanceof Uint8Array ? payload.length : payload.size;
}

/**
 * The payload that `ws` would make of `data`. Bytes stay where they are: who keeps them has to copy them before the
 * caller gets to run again.
 * @throws TypeError for what has no bytes.
 */
export function toPayload(data: unknown): Payload {
  if (typeof data === 'number') return utf8(String(data));
  if (!data) return new Uint8Array();
  if (typeof data === 'string') return utf8(data);
  if (typeof data === 'object') {
    // That of a detached buffer says that it is empty, and can neither be read nor made anew.
    if (data instanceof Uint8Array) return data.length === 0 ? new Uint8Array(0) : data;
    if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    if (isBlob(data)) return data;
    if (isArrayBuffer(data)) return new Uint8Array(data);
    return fromObject(data);
  }
  throw notSendable();
}

/** What `Buffer.from` makes of other objects: by their value, their bytes, or their conversion to a string. */
function fromObject(data: object): Payload {
  const value: unknown = data.valueOf();
  const isOther =
    value !== data && value !== null && (typeof value === 'string' || typeof value === 'object');
  if (isOther) return toPayload(value);
  // What a `message` listener gets with the binaryType 'fragments': `ws` itself would make nonsense of it.
  if (isListOfBuffers(data)) return concat(...data.map(part => toPayload(part) as Uint8Array));
  if ('length' in data && typeof data.length === 'number') {
    return Uint8Array.from(data as ArrayLike<number>, Number);
  }
  const convert: unknown = Symbol.toPrimitive in data ? data[Symbol.toPrimitive] : undefined;
  if (typeof convert === 'function') {
    const text: unknown = Reflect.apply(convert, data, ['string']);
    if (typeof text === 'string') return utf8(text);
  }
  throw notSendable();
}

function notSendable(): TypeError {
  return new TypeError(
    'The data must be a string, a number, a Buffer or other view, an ArrayBuffer, a Blob or an array of bytes',
  );
}

// By tag rather than `instanceof`: the object may come from another realm (an iframe, a `vm` context).
function isArrayBuffer(data: object): data is ArrayBuffer {
  const tag = Object.prototype.toString.call(data);
  return tag === '[object ArrayBuffer]' || tag === '[object SharedArrayBuffer]';
}

function isBlob(data: object): data is BlobLike {
  const tag = Object.prototype.toString.call(data);
  return (tag === '[object Blob]' || tag === '[object File]') && 'arrayBuffer' in data;
}

function isListOfBuffers(data: object): data is readonly (ArrayBuffer | ArrayBufferView)[] {
  if (!Array.isArray(data) || data.length === 0) return false;
  return data.every(part => ArrayBuffer.isView(part) || isArrayBuffer(part as object));
}
