// What the members of a room say to each other, inside the encryption. The README lists it. Text messages are JSON,
// binary messages are parts of files. Another member may run anything: what is not as it should be is `undefined`.
import { cleanName } from './names.js';

/** Longest text of one message, UTF-16 units. */
export const MAX_TEXT = 4_000;
/** Largest file, bytes: 10 MiB. */
export const MAX_FILE = 10_485_760;
/** Bytes of a file in one part. The last part of a file may be shorter, and no other. */
export const PART = 49_152;

const MAX_FILE_NAME = 255;
const ID = /^[0-9a-f]{32}$/;
/** A part: id of the file (16 bytes), number of the part from 0 (u32, big-endian), bytes. */
const PART_HEADER = 20;

/** "I am called." Said when entering, and again to those who enter later. */
export function encodeName(name) {
  return JSON.stringify({ type: 'name', name });
}

export function encodeText(text) {
  return JSON.stringify({ type: 'text', text });
}

/** Announces a file; its parts follow. `id`: 32 hex digits. */
export function encodeFile({ id, name, size }) {
  return JSON.stringify({ type: 'file', id, name: name.slice(0, MAX_FILE_NAME), size });
}

/** No more parts of that file will come. */
export function encodeCancel(id) {
  return JSON.stringify({ type: 'cancel', id });
}

/** A text message that was received. */
export function decodeMessage(json) {
  let message;
  try {
    message = JSON.parse(json);
  } catch {
    return undefined;
  }
  switch (message?.type) {
    case 'name': {
      if (typeof message.name !== 'string' || message.name.length > 200) return undefined;
      const name = cleanName(message.name);
      return name === '' ? undefined : { type: 'name', name };
    }
    case 'text':
      if (typeof message.text !== 'string' || message.text === '') return undefined;
      return { type: 'text', text: cut(message.text) };
    case 'file': {
      const { id, name, size } = message;
      if (!isId(id) || typeof name !== 'string' || name.length > MAX_FILE_NAME) return undefined;
      return Number.isSafeInteger(size) && size >= 0 ? { type: 'file', id, name, size } : undefined;
    }
    case 'cancel':
      return isId(message.id) ? { type: 'cancel', id: message.id } : undefined;
    default:
      return undefined;
  }
}

export function encodePart(id, number, bytes) {
  const part = new Uint8Array(PART_HEADER + bytes.length);
  for (let at = 0; at < 16; at++) part[at] = parseInt(id.slice(2 * at, 2 * at + 2), 16);
  new DataView(part.buffer).setUint32(16, number);
  part.set(bytes, PART_HEADER);
  return part;
}

/** A binary message that was received: `bytes` is a view. */
export function decodePart(message) {
  const part = new Uint8Array(message);
  if (part.length <= PART_HEADER || part.length > PART_HEADER + PART) return undefined;
  return {
    id: Array.from(part.subarray(0, 16), byte => byte.toString(16).padStart(2, '0')).join(''),
    number: new DataView(part.buffer, part.byteOffset).getUint32(16),
    bytes: part.subarray(PART_HEADER),
  };
}

/** An id for a file, that nobody else will have chosen. */
export function newFileId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), byte =>
    byte.toString(16).padStart(2, '0'),
  ).join('');
}

function isId(id) {
  return typeof id === 'string' && ID.test(id);
}

/** What is too long was not written with this page. Never between the halves of one character. */
function cut(text) {
  if (text.length <= MAX_TEXT) return text;
  return `${text.slice(0, MAX_TEXT).replace(/[\ud800-\udbff]$/, '')}…`;
}
