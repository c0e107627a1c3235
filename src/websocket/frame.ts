/** Opcodes of RFC 6455 section 5.2. */
export const Opcode = {
  CONTINUATION: 0x0,
  TEXT: 0x1,
  BINARY: 0x2,
  CLOSE: 0x8,
  PING: 0x9,
  PONG: 0xa,
} as const;

/** Longest payload of a control frame, bytes (section 5.5). */
export const MAX_CONTROL_PAYLOAD = 125;

/**
 * Bytes in front of a payload that a header may use: the longest, 14 bytes, and two more so that a payload that has so
 * many bytes before it begins at a word.
 */
export const FRAME_HEADROOM = 16;
