import { fromHex, readUint32, toHex, writeUint32 } from './bytes.js';
import { SecureWebSocketError } from './errors.js';
import { PUBLIC_KEY_LENGTH } from './frame.js';

/**
 * How clients ask the service of a relay who is present: binary messages on a channel that a client opens to the relay's
 * own key with this target (docs/protocol.md, "The service of a relay"). One operation byte, then the body.
 */
export const PRESENCE_TARGET = '/.secure-websocket/presence';

/** Keys that one channel may watch, and that one message may be about. */
export const MAX_PRESENCE_KEYS = 1_000;

/** Whether somebody has a connection to the relay. `unknown`: the relay does not tell this client. */
export type PresenceState = 'absent' | 'present' | 'unknown';

/** By their number on the wire. */
const STATES: readonly PresenceState[] = ['absent', 'present', 'unknown'];

const Operation = { ASK: 0x01, WATCH: 0x02, UNWATCH: 0x03, ANSWER: 0x81, CHANGED: 0x82 } as const;

const STATE_LENGTH = PUBLIC_KEY_LENGTH + 1;
const REQUEST_LENGTH = 5;

/** What a client says. Keys are 64 hex digits. */
export type PresenceRequest =
  /** Tell me once, under this number (u32). */
  | { readonly type: 'ask'; readonly request: number; readonly keys: readonly string[] }
  /** Tell me now, and whenever it changes. */
  | { readonly type: 'watch'; readonly keys: readonly string[] }
  | { readonly type: 'unwatch'; readonly keys: readonly string[] };

/** What the relay says. */
export type PresenceReport =
  /** In the order of the keys that were asked for. */
  | { readonly type: 'answer'; readonly request: number; readonly states: readonly PresenceState[] }
  | { readonly type: 'changed'; readonly states: ReadonlyMap<string, PresenceState> };

export function encodePresenceRequest(request: PresenceRequest): Uint8Array {
  const start = request.type === 'ask' ? REQUEST_LENGTH : 1;
  const message = new Uint8Array(start + PUBLIC_KEY_LENGTH * request.keys.length);
  if (request.type === 'ask') {
    message[0] = Operation.ASK;
    writeUint32(message, 1, request.request);
  } else {
    message[0] = request.type === 'watch' ? Operation.WATCH : Operation.UNWATCH;
  }
  request.keys.forEach((key, index) => {
    message.set(fromHex(key), start + PUBLIC_KEY_LENGTH * index);
  });
  return message;
}

/** @throws SecureWebSocketError `PROTOCOL_VIOLATION` */
export function decodePresenceRequest(message: Uint8Array): PresenceRequest {
  switch (message[0]) {
    case Operation.ASK:
      if (message.length < REQUEST_LENGTH) throw malformed();
      return { type: 'ask', request: readUint32(message, 1), keys: keysFrom(message, REQUEST_LENGTH) };
    case Operation.WATCH:
      return { type: 'watch', keys: keysFrom(message, 1) };
    case Operation.UNWATCH:
      return { type: 'unwatch', keys: keysFrom(message, 1) };
    default:
      throw malformed();
  }
}

export function encodePresenceReport(report: PresenceReport): Uint8Array {
  if (report.type === 'answer') {
    const message = new Uint8Array(REQUEST_LENGTH + report.states.length);
    message[0] = Operation.ANSWER;
    writeUint32(message, 1, report.request);
    message.set(report.states.map(numberOf), REQUEST_LENGTH);
    return message;
  }
  const message = new Uint8Array(1 + STATE_LENGTH * report.states.size);
  message[0] = Operation.CHANGED;
  let at = 1;
  for (const [key, state] of report.states) {
    message.set(fromHex(key), at);
    message[at + PUBLIC_KEY_LENGTH] = numberOf(state);
    at += STATE_LENGTH;
  }
  return message;
}

/** @throws SecureWebSocketError `PROTOCOL_VIOLATION` */
export function decodePresenceReport(message: Uint8Array): PresenceReport {
  if (message[0] === Operation.ANSWER && message.length >= REQUEST_LENGTH) {
    checkCount(message.length - REQUEST_LENGTH);
    const states = Array.from(message.subarray(REQUEST_LENGTH), stateOf);
    return { type: 'answer', request: readUint32(message, 1), states };
  }
  if (message[0] !== Operation.CHANGED || (message.length - 1) % STATE_LENGTH !== 0) throw malformed();
  checkCount((message.length - 1) / STATE_LENGTH);
  const states = new Map<string, PresenceState>();
  for (let at = 1; at < message.length; at += STATE_LENGTH) {
    const key = toHex(message.subarray(at, at + PUBLIC_KEY_LENGTH));
    states.set(key, stateOf(message[at + PUBLIC_KEY_LENGTH]));
  }
  return { type: 'changed', states };
}

function keysFrom(message: Uint8Array, start: number): string[] {
  const bytes = message.length - start;
  if (bytes % PUBLIC_KEY_LENGTH !== 0) throw malformed();
  checkCount(bytes / PUBLIC_KEY_LENGTH);
  const keys: string[] = [];
  for (let at = start; at < message.length; at += PUBLIC_KEY_LENGTH) {
    keys.push(toHex(message.subarray(at, at + PUBLIC_KEY_LENGTH)));
  }
  return keys;
}

function checkCount(count: number): void {
  if (count > MAX_PRESENCE_KEYS) throw malformed();
}

function numberOf(state: PresenceState): number {
  return STATES.indexOf(state);
}

function stateOf(number: number | undefined): PresenceState {
  const state = STATES[number ?? -1];
  if (state === undefined) throw malformed();
  return state;
}

function malformed(): SecureWebSocketError {
  return new SecureWebSocketError('PROTOCOL_VIOLATION', 'The peer sent a malformed message about presence.');
}
