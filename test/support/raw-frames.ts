import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';

/** A WebSocket frame of a client (RFC 6455 section 5.2), masked with zeros, that is: not. */
export function rawFrame(payload: Uint8Array, opcode = 0x2, fin = true): Buffer {
  const length = payload.length;
  const head = Buffer.alloc(length < 126 ? 6 : length < 65_536 ? 8 : 14);
  head[0] = (fin ? 0x80 : 0) | opcode;
  if (length < 126) {
    head[1] = 0x80 | length;
  } else if (length < 65_536) {
    head[1] = 0x80 | 126;
    head.writeUInt16BE(length, 2);
  } else {
    head[1] = 0x80 | 127;
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  return Buffer.concat([head, payload]);
}

/** The TCP connection beneath a WebSocket: for bytes that `ws` would not send. */
export const beneath = (ws: WebSocket): Socket => (ws as unknown as { _socket: Socket })._socket;

/** What no client of RFC 6455 sends. Each ends a connection. */
export const BROKEN_FRAMES: readonly [string, Buffer][] = [
  ['reserved bits', Buffer.of(0xf2, 0x80, 0, 0, 0, 0)],
  ['an unknown opcode', Buffer.of(0x83, 0x80, 0, 0, 0, 0)],
  ['no mask', Buffer.of(0x82, 0x01, 0x41)],
  ['text that is not UTF-8', Buffer.of(0x81, 0x81, 0, 0, 0, 0, 0xff)],
  ['a continuation of nothing', Buffer.of(0x80, 0x80, 0, 0, 0, 0)],
  ['a ping in fragments', Buffer.of(0x09, 0x80, 0, 0, 0, 0)],
  ['a ping that is too long', rawFrame(new Uint8Array(126), 0x9)],
  ['a close of one byte', rawFrame(Uint8Array.of(3), 0x8)],
  ['a close with a code that is none', rawFrame(Uint8Array.of(0x03, 0xed), 0x8)],
  ['a length that no number holds', Buffer.of(0x82, 0xff, 0x7f, ...Buffer.alloc(7, 0xff), 0, 0, 0, 0)],
  ['a length that no memory holds', Buffer.of(0x82, 0xff, 0, 0, 0x7f, ...Buffer.alloc(5, 0xff), 0, 0, 0, 0)],
];
