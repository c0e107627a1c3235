import { utf8 } from '../core/bytes.js';
import type { BlobLike } from './dom-types.js';
import { toDomString } from './web-socket-arguments.js';

/** What `send` takes. Anything else is stringified, as in a browser. */
export type SendableData = string | ArrayBuffer | ArrayBufferView | BlobLike;

/** What was given to `send`: bytes that are the caller's, or a Blob that has to be read first. */
export type OutgoingMessage =
  | { readonly data: Uint8Array; readonly isText: boolean; readonly length: number }
  | { readonly blob: BlobLike; readonly length: number };

/**
 * Conversion to `(BufferSource or Blob or USVString)` (WebSockets Standard section 3, WebIDL section 3.2.24). Bytes
 * stay where they are: who keeps them has to copy them before the caller gets to run again. Lone surrogates become
 * U+FFFD.
 * @throws TypeError for a Symbol, and for shared and resizable buffers, of which WebIDL takes none unless told to
 */
export function toOutgoingMessage(value: unknown): OutgoingMessage {
  if (ArrayBuffer.isView(value)) {
    refuseBuffer(value.buffer);
    const isBytes = value instanceof Uint8Array && value.length > 0;
    return binary(isBytes ? value : view(value.buffer, value.byteOffset, value.byteLength));
  }
  if (isArrayBuffer(value)) {
    refuseBuffer(value);
    return binary(view(value, 0, value.byteLength));
  }
  if (isSharedArrayBuffer(value)) refuseBuffer(value);
  if (isBlob(value)) return { blob: value, length: value.size };
  const data = utf8(toDomString(value));
  return { data, isText: true, length: data.length };
}

function binary(data: Uint8Array): OutgoingMessage {
  return { data, isText: false, length: data.length };
}

/** A view of a detached buffer says that it is empty, but cannot be made anew. */
function view(buffer: ArrayBufferLike, offset: number, length: number): Uint8Array {
  return length === 0 ? new Uint8Array(0) : new Uint8Array(buffer, offset, length);
}

function refuseBuffer(buffer: ArrayBufferLike): void {
  // Nearly always one of this realm: to ask an internal slot that is not there costs more than all else that `send` does.
  const isShared = !(buffer instanceof ArrayBuffer) && isSharedArrayBuffer(buffer);
  if (isShared) throw new TypeError('A shared buffer cannot be sent: send a copy.');
  if ((buffer as { readonly resizable?: boolean }).resizable === true) {
    throw new TypeError('A resizable buffer cannot be sent: send a copy.');
  }
}

// By internal slot, not by `instanceof`: buffers of other realms (frames, Node's vm) count.

function isArrayBuffer(value: unknown): value is ArrayBuffer {
  return hasByteLength(ArrayBuffer, value);
}

function isSharedArrayBuffer(value: unknown): value is SharedArrayBuffer {
  // Pages that are not isolated have memory of that kind, but not the global.
  if (typeof SharedArrayBuffer === 'function') return hasByteLength(SharedArrayBuffer, value);
  return Object.prototype.toString.call(value) === '[object SharedArrayBuffer]';
}

function hasByteLength(constructor: { readonly prototype: object }, value: unknown): boolean {
  try {
    Reflect.get(constructor.prototype, 'byteLength', value);
    return true;
  } catch {
    return false;
  }
}

/** By shape: other realms have Blobs too, and so have polyfills. */
function isBlob(value: unknown): value is BlobLike {
  if (typeof value !== 'object' || value === null) return false;
  const tag = Object.prototype.toString.call(value);
  if (tag !== '[object Blob]' && tag !== '[object File]') return false;
  const { size, arrayBuffer } = value as Partial<BlobLike>;
  return typeof size === 'number' && typeof arrayBuffer === 'function';
}
