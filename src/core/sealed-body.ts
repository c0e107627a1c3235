import { SecureWebSocketError } from './errors.js';
import { concat, readUint32, writeUint32 } from './bytes.js';

/** Sealed bodies: what an ENVELOPE carries between two peers (docs/protocol.md, "Sealed bodies"). */
export const BodyType = { HANDSHAKE_INITIATION: 0x01, HANDSHAKE_RESPONSE: 0x02, TRANSPORT: 0x04 } as const;

/** Noise's own limit on a message (section 3). */
const MAX_NOISE_MESSAGE = 65_535;
const TAG_LENGTH = 16;
/** e (32), encrypted s (32 + 16), tag of the payload (16): IK, first message. */
const MIN_INITIATION = 32 + 48 + TAG_LENGTH;
/** e (32), tag of the payload (16): IK, second message. */
const MIN_RESPONSE = 32 + TAG_LENGTH;

export type SealedBody =
  | { readonly type: 'initiation'; readonly senderIndex: number; readonly noise: Uint8Array }
  | {
      readonly type: 'response';
      readonly senderIndex: number;
      readonly receiverIndex: number;
      readonly noise: Uint8Array;
    }
  | { readonly type: 'transport'; readonly receiverIndex: number };

export function encodeInitiation(senderIndex: number, noise: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(BodyType.HANDSHAKE_INITIATION), uint32(senderIndex), noise);
}

export function encodeResponse(senderIndex: number, receiverIndex: number, noise: Uint8Array): Uint8Array {
  return concat(
    Uint8Array.of(BodyType.HANDSHAKE_RESPONSE),
    uint32(senderIndex),
    uint32(receiverIndex),
    noise,
  );
}

/**
 * Reads what is readable of a sealed body without a key. Views of `body`, no copies.
 * @throws SecureWebSocketError `FRAME_MALFORMED`
 */
export function decodeSealedBody(body: Uint8Array): SealedBody {
  switch (body[0]) {
    case BodyType.HANDSHAKE_INITIATION:
      checkLength(body, 5 + MIN_INITIATION, 5 + MAX_NOISE_MESSAGE);
      return { type: 'initiation', senderIndex: readUint32(body, 1), noise: body.subarray(5) };
    case BodyType.HANDSHAKE_RESPONSE:
      checkLength(body, 9 + MIN_RESPONSE, 9 + MAX_NOISE_MESSAGE);
      return {
        type: 'response',
        senderIndex: readUint32(body, 1),
        receiverIndex: readUint32(body, 5),
        noise: body.subarray(9),
      };
    case BodyType.TRANSPORT:
      checkLength(body, 13 + TAG_LENGTH, Infinity);
      return { type: 'transport', receiverIndex: readUint32(body, 1) };
    default:
      throw malformed(`of the unknown type ${String(body[0])}`);
  }
}

function checkLength(body: Uint8Array, least: number, most: number): void {
  if (body.length < least || body.length > most) throw malformed(`of ${String(body.length)} bytes`);
}

function malformed(what: string): SecureWebSocketError {
  return new SecureWebSocketError('FRAME_MALFORMED', `Received a sealed body ${what}.`);
}

function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  writeUint32(bytes, 0, value);
  return bytes;
}
