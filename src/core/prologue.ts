import { concat, utf8 } from './bytes.js';
import { PROTOCOL_VERSION } from './constants.js';

/** What both ends must agree on before a Noise handshake can succeed (Noise section 6, "Prologue"). */
export function sessionPrologue(initiatorKey: Uint8Array, responderKey: Uint8Array): Uint8Array {
  return concat(utf8(`secure-websocket/${String(PROTOCOL_VERSION)} session`), initiatorKey, responderKey);
}

/** The registration of a link: its keys are in the messages themselves. */
export function registrationPrologue(): Uint8Array {
  return utf8(`secure-websocket/${String(PROTOCOL_VERSION)} registration`);
}
