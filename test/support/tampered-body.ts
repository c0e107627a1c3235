import { readUint64, writeUint64 } from '../../src/core/bytes.js';
import { encodeEnvelope, ENVELOPE_HEADER_LENGTH } from '../../src/core/frame.js';
import { BodyType } from '../../src/core/sealed-body.js';
import { flipped, type Tampering as ByteTampering } from './fuzz.js';

export const inBody =
  (change: ByteTampering) =>
  (frame: Uint8Array): Uint8Array =>
    encodeEnvelope(frame.subarray(1, ENVELOPE_HEADER_LENGTH), change(frame.slice(ENVELOPE_HEADER_LENGTH)));

export const set =
  (at: number, value: number): ByteTampering =>
  body => {
    const changed = body.slice();
    changed[at] = value;
    return changed;
  };

const flipEnd: ByteTampering = body => flipped(body.length - 1)(body);

/** type (1), receiver index (4), counter (8), ciphertext */
const COUNTER = 5;
const CIPHERTEXT = 13;

export const countOn =
  (by: number): ByteTampering =>
  body => {
    const changed = body.slice();
    writeUint64(changed, COUNTER, readUint64(body, COUNTER) + by);
    return changed;
  };

/** Where a transport message can be changed, and what whoever opens it finds. */
export const REGIONS: [string, ByteTampering, string][] = [
  ['the type: unknown', set(0, 0x03), 'FRAME_MALFORMED'],
  ['the type: that of a handshake', set(0, BodyType.HANDSHAKE_INITIATION), 'FRAME_MALFORMED'],
  ['the type: that of an answer', set(0, BodyType.HANDSHAKE_RESPONSE), 'FRAME_MALFORMED'],
  ['the receiver’s index', flipped(4), 'DECRYPT_FAILED'],
  ['the counter: one more', countOn(1), 'DECRYPT_FAILED'],
  ['the counter: as high as it goes', set(COUNTER, 0xff), 'DECRYPT_FAILED'],
  ['the header of the record', flipped(CIPHERTEXT), 'DECRYPT_FAILED'],
  ['the message', flipped(CIPHERTEXT + 23), 'DECRYPT_FAILED'],
  ['the tag', flipEnd, 'DECRYPT_FAILED'],
  ['the end: a byte less', body => body.slice(0, -1), 'DECRYPT_FAILED'],
  ['the end: a byte more', body => Uint8Array.of(...body, 0), 'DECRYPT_FAILED'],
  ['the end: only a tag is left', body => body.slice(0, CIPHERTEXT + 16), 'DECRYPT_FAILED'],
  ['the end: less than a tag is left', body => body.slice(0, CIPHERTEXT + 15), 'FRAME_MALFORMED'],
  ['everything: zeros', body => new Uint8Array(body.length), 'FRAME_MALFORMED'],
];
