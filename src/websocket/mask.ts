/** From so many bytes on it is faster to make a view of them as words. */
const WORTH_A_VIEW = 192;

/**
 * Puts a masking key on the bytes from `start` to `end`, or takes it off (RFC 6455 section 5.3), in place: a word at a
 * time, which takes a fifth of what it takes byte by byte.
 *
 * @param key The four bytes of the key as they stand in the frame, the first the highest.
 * @param at Which of them the first byte is masked with.
 */
export function applyMask(bytes: Uint8Array, start: number, end: number, key: number, at = 0): void {
  // Of the numbers that a shift takes only the last five bits count: the key goes round by itself.
  let shift = 24 - 8 * at;
  let i = start;
  if (end - start >= WORTH_A_VIEW) {
    for (; ((bytes.byteOffset + i) & 3) !== 0; i++, shift -= 8) (bytes[i] as number) ^= key >>> shift;
    const words = new Int32Array(bytes.buffer, bytes.byteOffset + i, (end - i) >> 2);
    const word = inMachineOrder((key << (24 - shift)) | (key >>> (shift + 8)));
    const { length } = words;
    let w = 0;
    // Four at a time, which the engine does not think of by itself.
    for (; w < length - 3; w += 4) {
      (words[w] as number) ^= word;
      (words[w + 1] as number) ^= word;
      (words[w + 2] as number) ^= word;
      (words[w + 3] as number) ^= word;
    }
    for (; w < length; w++) (words[w] as number) ^= word;
    i += length << 2;
  }
  for (; i < end; i++, shift -= 8) (bytes[i] as number) ^= key >>> shift;
}

const scratch = new Uint8Array(4);
const scratchWords = new Int32Array(scratch.buffer);

/** The word that has these bytes in memory, the highest first. */
function inMachineOrder(word: number): number {
  for (let i = 0; i < 4; i++) scratch[i] = word >>> (24 - 8 * i);
  return scratchWords[0] as number;
}
