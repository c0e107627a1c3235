import { fromUtf8, utf8 } from './bytes.js';
import { SecureWebSocketError } from './errors.js';

/**
 * What the service of a relay says of its own accord: each event is one binary message on a channel with this target,
 * which the relay opens (docs/protocol.md, "The service of a relay").
 */
export const EVENTS_TARGET = '/.secure-websocket/events';

/** Largest event, bytes of data. */
export const MAX_SERVER_EVENT = 1_048_576;

const KIND_TEXT = 1;
const KIND_BINARY = 2;
/** Kind, and length of the name. */
const HEADER_LENGTH = 2;
const MAX_NAME = 255;

/** An event as it has arrived. Text is not yet checked to be UTF-8. */
export interface DecodedServerEvent {
  /** The space whose members it is for; '' when it is for a user. */
  readonly space: string;
  readonly data: Uint8Array;
  readonly isText: boolean;
}

/**
 * `kind u8 (1 text, 2 binary) | length u8 | name of the space | data`. `space`: '' for an event to a user.
 * @throws SecureWebSocketError `MESSAGE_TOO_LARGE` for more than 1 MiB of data, `INVALID_ARGUMENT` for another name than
 *   a space can have
 */
export function encodeServerEvent(space: string, data: string | Uint8Array): Uint8Array {
  const name = utf8(space);
  const payload = typeof data === 'string' ? utf8(data) : data;
  if (payload.length > MAX_SERVER_EVENT) {
    throw new SecureWebSocketError(
      'MESSAGE_TOO_LARGE',
      `An event has at most ${String(MAX_SERVER_EVENT)} bytes, not ${String(payload.length)}.`,
    );
  }
  if (name.length > MAX_NAME) {
    throw new SecureWebSocketError('INVALID_ARGUMENT', 'The name of the space is too long.');
  }
  const event = new Uint8Array(HEADER_LENGTH + name.length + payload.length);
  event[0] = typeof data === 'string' ? KIND_TEXT : KIND_BINARY;
  event[1] = name.length;
  event.set(name, HEADER_LENGTH);
  event.set(payload, HEADER_LENGTH + name.length);
  return event;
}

/** Undefined for what is no event. `data` is a view of `message`. */
export function decodeServerEvent(message: Uint8Array): DecodedServerEvent | undefined {
  const [kind, nameLength = 0] = message;
  const start = HEADER_LENGTH + nameLength;
  if ((kind !== KIND_TEXT && kind !== KIND_BINARY) || message.length < start) return undefined;
  const space = fromUtf8(message.subarray(HEADER_LENGTH, start));
  if (space === undefined) return undefined;
  return { space, data: message.subarray(start), isText: kind === KIND_TEXT };
}
