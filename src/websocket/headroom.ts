import type { BufferPool } from '../core/buffer-pool.js';
import { FRAME_HEADROOM } from './frame.js';

/** Memory for a payload of so many bytes with `FRAME_HEADROOM` bytes before it: all of it, the headroom included. */
export function withHeadroom(length: number, memory: BufferPool): Uint8Array {
  const all = FRAME_HEADROOM + length;
  if (all > Buffer.poolSize >>> 2) return memory.take(all);
  // Small ones are cut from the pool of Node, as they do not stay.
  const { buffer, byteOffset } = Buffer.allocUnsafe(all);
  return new Uint8Array(buffer, byteOffset, all);
}
