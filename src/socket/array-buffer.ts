/** An ArrayBuffer that holds these bytes and nothing else: the one beneath them if it can be, else a copy. */
export function toArrayBuffer(bytes: Uint8Array): ArrayBuffer {
  const { buffer } = bytes;
  const isExact = buffer instanceof ArrayBuffer && buffer.byteLength === bytes.byteLength;
  return isExact ? buffer : new Uint8Array(bytes).buffer;
}
