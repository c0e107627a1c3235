import { randomFillSync } from 'node:crypto';
import { writeUint32 } from '../core/bytes.js';
import { FRAME_HEADROOM, Opcode } from './frame.js';
import { applyMask } from './mask.js';

const FIN = 0x80;
const MASKED = 0x80;

/** Masking keys that have not been used yet, drawn many at a time. */
let keys: Uint32Array<ArrayBuffer> | undefined;
let next = 0;

/**
 * Makes a binary frame out of a payload where it stands (RFC 6455 section 5.2): the header goes in front of it, into at
 * most `FRAME_HEADROOM` bytes of its buffer; with `masked`, as clients have to, the payload is masked with a random key
 * (section 5.3). Unmasked, the header takes no more than one of a masked frame of the same length.
 */
export function frameInPlace(payload: Uint8Array, masked: boolean): Uint8Array {
  return frame(Opcode.BINARY, payload, masked);
}

/** A frame in memory of its own; `payload` is left as it is. */
export function encodeFrame(opcode: number, payload: Uint8Array, masked: boolean): Uint8Array {
  const bytes = Buffer.allocUnsafe(FRAME_HEADROOM + payload.length);
  bytes.set(payload, FRAME_HEADROOM);
  return frame(opcode, bytes.subarray(FRAME_HEADROOM), masked);
}

/**
 * The beginning of an unmasked binary frame, in memory of its own: its header, and `head`. Behind it belong `more` bytes
 * of payload.
 */
export function encodeFrameStart(head: Uint8Array, more: number): Uint8Array {
  const length = head.length + more;
  const start = headerLengthOf(length);
  const bytes = Buffer.allocUnsafe(start + head.length);
  writeHeader(bytes, Opcode.BINARY, length, 0);
  bytes.set(head, start);
  return bytes;
}

/** An unmasked binary frame whose payload is both, in memory of its own. */
export function encodeFrameOf(head: Uint8Array, tail: Uint8Array): Uint8Array {
  const length = head.length + tail.length;
  const start = headerLengthOf(length);
  const bytes = Buffer.allocUnsafe(start + length);
  writeHeader(bytes, Opcode.BINARY, length, 0);
  bytes.set(head, start);
  bytes.set(tail, start + head.length);
  return bytes;
}

function frame(opcode: number, payload: Uint8Array, masked: boolean): Uint8Array {
  const { buffer, byteOffset, length } = payload;
  const headerLength = headerLengthOf(length) + (masked ? 4 : 0);
  const bytes = new Uint8Array(buffer, byteOffset - headerLength, headerLength + length);
  writeHeader(bytes, opcode, length, masked ? MASKED : 0);
  if (masked) {
    const key = drawKey();
    writeUint32(bytes, headerLength - 4, key);
    applyMask(payload, 0, length, key);
  }
  return bytes;
}

/** Bytes of a header without a masking key, by the length of the payload. */
function headerLengthOf(length: number): number {
  return length < 126 ? 2 : length < 65_536 ? 4 : 10;
}

function writeHeader(bytes: Uint8Array, opcode: number, length: number, mask: number): void {
  bytes[0] = FIN | opcode;
  if (length < 126) {
    bytes[1] = mask | length;
  } else if (length < 65_536) {
    bytes[1] = mask | 126;
    bytes[2] = length >> 8;
    bytes[3] = length;
  } else {
    bytes[1] = mask | 127;
    writeUint32(bytes, 2, Math.floor(length / 2 ** 32));
    writeUint32(bytes, 6, length);
  }
}

function drawKey(): number {
  if (keys === undefined || next === keys.length) {
    keys = randomFillSync(keys ?? new Uint32Array(2_048));
    next = 0;
  }
  return keys[next++] as number;
}
