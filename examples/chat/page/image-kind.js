// Whether a received file may be shown as an image. Its name and what its sender says of it count for nothing: the bytes
// do. SVG is a document with scripts and is never shown.

/** Most pixels that are decoded for a preview: a file of some kilobytes can claim gigabytes of them. */
const MAX_PIXELS = 40_000_000;

/**
 * The media type of an image that may be shown, or undefined.
 * @param bytes Uint8Array, the whole file
 */
export function imageKind(bytes) {
  const image = png(bytes) ?? gif(bytes) ?? webp(bytes) ?? jpeg(bytes);
  if (image === undefined || image.width === 0 || image.height === 0) return undefined;
  return image.width * image.height <= MAX_PIXELS ? image.type : undefined;
}

/** PNG (third edition) section 5.2, 11.2.1: signature, then the chunk IHDR. */
function png(bytes) {
  if (bytes.length < 24 || !startsWith(bytes, [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]))
    return undefined;
  const view = viewOf(bytes);
  return { type: 'image/png', width: view.getUint32(16), height: view.getUint32(20) };
}

/** GIF89a section 17, 18: header, then the logical screen. */
function gif(bytes) {
  if (bytes.length < 10 || !/^GIF8[79]a$/.test(ascii(bytes, 0, 6))) return undefined;
  const view = viewOf(bytes);
  return { type: 'image/gif', width: view.getUint16(6, true), height: view.getUint16(8, true) };
}

/** RFC 9649 section 2.4 to 2.7: RIFF, then one of three kinds of first chunk. */
function webp(bytes) {
  if (bytes.length < 30 || ascii(bytes, 0, 4) !== 'RIFF' || ascii(bytes, 8, 4) !== 'WEBP') return undefined;
  const type = 'image/webp';
  const view = viewOf(bytes);
  switch (ascii(bytes, 12, 4)) {
    case 'VP8 ':
      return { type, width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff };
    case 'VP8L': {
      const bits = view.getUint32(21, true);
      return { type, width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
    }
    case 'VP8X':
      return { type, width: uint24(view, 24) + 1, height: uint24(view, 27) + 1 };
    default:
      return undefined;
  }
}

/** ITU T.81 annex B: segments, up to the start of the frame. */
function jpeg(bytes) {
  if (!startsWith(bytes, [0xff, 0xd8, 0xff])) return undefined;
  const view = viewOf(bytes);
  let at = 2;
  while (at + 9 <= bytes.length && bytes[at] === 0xff) {
    const marker = bytes[at + 1];
    if (marker === 0xff) {
      at += 1; // fill byte
      continue;
    }
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (isFrame) return { type: 'image/jpeg', height: view.getUint16(at + 5), width: view.getUint16(at + 7) };
    at += 2 + Math.max(2, view.getUint16(at + 2));
  }
  return undefined;
}

function startsWith(bytes, start) {
  return start.every((byte, at) => bytes[at] === byte);
}

function ascii(bytes, at, length) {
  return String.fromCharCode(...bytes.subarray(at, at + length));
}

function viewOf(bytes) {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function uint24(view, at) {
  return view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
}
