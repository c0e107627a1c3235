import { randomFillSync } from 'node:crypto';
import { writeUint32 } from '../../core/bytes.js';
import { applyMask } from '../mask.js';

/**
 * Bytes in front of a payload that {@link frameInPlace} may use: the longest header, 14 bytes, and two more so that a
 * payload that has so many bytes before it begins at a word.
 */
export const CLIENT_FRAME_HEADROOM = 16;

const FIN_BINARY = 0x82;
const MASKED = 0x80;

/** Masking keys that have not been used yet, drawn many at a time. */
let keys: Uint32Array<ArrayBuffer> | undefined;
let next = 0;

/**
 * Makes a masked binary frame out of a payload where it stands (RFC 6455 section 5.2): the header goes in front of it,
 * into `CLIENT_FRAME_HEADROOM` bytes of its buffer, and the payload is masked with a random key (section 5.3).
 */
export function frameInPlace(payload: Uint8Array): Uint8Array {
  const { buffer, byteOffset, length } = payload;
  const headerLength = length < 126 ? 6 : length < 65_536 ? 8 : 14;
  const frame = new Uint8Array(buffer, byteOffset - headerLength, headerLength + length);
  frame[0] = FIN_BINARY;
  if (headerLength === 6) {
    frame[1] = MASKED | length;
  } else if (headerLength === 8) {
    frame[1] = MASKED | 126;
    frame[2] = length >> 8;
    frame[3] = length;
  } else {
    frame[1] = MASKED | 127;
    frame.fill(0, 2, 6);
    writeUint32(frame, 6, length);
  }
  const key = drawKey();
  writeUint32(frame, headerLength - 4, key);
  applyMask(payload, 0, length, key);
  return frame;
}

function drawKey(): number {
  if (keys === undefined || next === keys.length) {
    keys = randomFillSync(keys ?? new Uint32Array(2_048));
    next = 0;
  }
  return keys[next++] as number;
}
