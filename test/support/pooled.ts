import { largeBuffers } from '../../src/core/buffer-pool.js';

/** Whether the pool of this process has memory that was taken from it with this length. */
export function isInPool({ buffer }: Uint8Array, length: number): boolean {
  const taken: ArrayBuffer[] = [];
  for (let bytes = -1; bytes !== largeBuffers.bytes;) {
    ({ bytes } = largeBuffers);
    const next = largeBuffers.take(length).buffer;
    // The last one is new.
    if (bytes !== largeBuffers.bytes) taken.push(next);
  }
  for (const each of taken) largeBuffers.give(each);
  return taken.includes(buffer as ArrayBuffer);
}
