import type { Crypto } from '../crypto.js';
import type { Wrap } from './space-frame.js';
import {
  encodeHeader,
  encodeSpaceMessage,
  type MessageHeader,
  MessageKind,
  type SpaceMessage,
  wrapBinding,
} from './space-message.js';
import type { SpacePlace } from './space-place.js';

/**
 * Wrapped messages: the body is sealed once under a key of its own, and that key once for each recipient, under the
 * wrapping key that the sender has given to it alone (docs/protocol.md, "Spaces").
 */

const KEY_LENGTH = 32;
/** A key and its tag. */
export const WRAP_LENGTH = KEY_LENGTH + 16;

/**
 * Seals a message for `recipients`.
 *
 * A wrapping key may be used for any number of messages: what is wrapped is bound to the hash of header and body, which
 * is the nonce, too. So a message that is sealed again, under another view or not, harms nothing.
 * @param senderKey our own X25519 public key, 32 bytes
 * @param header of kind 1
 * @param recipients their numbers in the roster, each once, and the wrapping key of each, 32 bytes
 */
export function sealWrapped(
  crypto: Crypto,
  place: SpacePlace,
  senderKey: Uint8Array,
  header: MessageHeader,
  plaintext: Uint8Array,
  recipients: Iterable<{ readonly number: number; readonly key: Uint8Array }>,
): { message: Uint8Array; wraps: Wrap[] } {
  const headerBytes = encodeHeader({ ...header, kind: MessageKind.WRAPPED });
  const bodyKey = crypto.randomBytes(KEY_LENGTH);
  try {
    const body = crypto.aeadEncrypt(bodyKey, NO_NONCE, headerBytes, plaintext);
    const { nonce, ad } = splitBinding(wrapBinding(crypto, place, senderKey, headerBytes, body));
    const wraps: Wrap[] = [];
    for (const { number, key } of recipients) {
      wraps.push({ number, wrap: crypto.aeadEncrypt(key, nonce, ad, bodyKey) });
    }
    return { message: encodeSpaceMessage(headerBytes, body), wraps };
  } finally {
    crypto.wipe(bodyKey);
  }
}

/**
 * The plaintext of a wrapped message, or undefined when it is not authentic: when not its sender has sealed exactly this
 * for us.
 * @param senderKey X25519 public key of the member that the header names, 32 bytes
 * @param wrap ours, as it came with the message
 * @param wrappingKey the one that this sender has given to us for the generation, 32 bytes
 */
export function openWrapped(
  crypto: Crypto,
  place: SpacePlace,
  senderKey: Uint8Array,
  message: SpaceMessage,
  wrap: Uint8Array,
  wrappingKey: Uint8Array,
): Uint8Array | undefined {
  if (message.header.kind !== MessageKind.WRAPPED || wrap.length !== WRAP_LENGTH) return undefined;
  const { headerBytes, body } = message;
  const { nonce, ad } = splitBinding(wrapBinding(crypto, place, senderKey, headerBytes, body));
  const bodyKey = crypto.aeadDecrypt(wrappingKey, nonce, ad, wrap);
  if (bodyKey === undefined) return undefined;
  try {
    return crypto.aeadDecrypt(bodyKey, NO_NONCE, headerBytes, body);
  } finally {
    crypto.wipe(bodyKey);
  }
}

function splitBinding(binding: Uint8Array): { ad: Uint8Array; nonce: Uint8Array } {
  return { ad: binding.subarray(0, 32), nonce: binding.subarray(32, 44) };
}

/** Each key of a body seals once. */
const NO_NONCE = new Uint8Array(12);
