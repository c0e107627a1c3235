import { once } from 'node:events';
import { afterEach } from 'vitest';
import { BufferPool } from '../../../src/core/buffer-pool.js';
import { FRAME_HEADROOM, Opcode } from '../../../src/websocket/frame.js';
import { type ConnectionKind, WebSocketConnection } from '../../../src/websocket/web-socket-connection.js';
import { encode, type Frame, readByWs } from './frames.js';
import { FakeNetwork, Listener, socketPair, turn } from './networks.js';

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

/** Largest message of all ends, bytes. */
export const MAX = 1_000_000;
const kindOf = (masked: boolean): ConnectionKind => ({
  masked,
  borrowed: false,
  maxPayload: MAX,
  memory: new BufferPool(4_000_000),
});
/** Of a server, and of a client. */
export const ROLES = [{ server: true }, { server: false }];

export function connection(masked: boolean) {
  const listener = new Listener();
  const kind = kindOf(masked);
  return { listener, socket: new WebSocketConnection(kind, listener), memory: kind.memory };
}

/** A server and a client that are connected. */
export async function ends() {
  const [a, b] = await socketPair();
  const server = { ...connection(true), network: a };
  const client = { ...connection(false), network: b };
  for (const { socket, network } of [server, client]) {
    socket.attach(network);
    cleanUp.push(() => socket.terminate());
  }
  return { server, client };
}

/** One end, and a TCP socket that says and hears what a test wants. */
export async function facingRaw(server = true) {
  const [network, peer] = await socketPair();
  const end = connection(server);
  end.socket.attach(network);
  const heard: Buffer[] = [];
  peer.on('error', () => undefined).on('data', chunk => heard.push(chunk));
  cleanUp.push(() => {
    network.destroy();
    peer.destroy();
  });
  return {
    ...end,
    network,
    peer,
    say: (...frames: Frame[]) => peer.write(encodeAll(frames, server)),
    /** All that the peer has heard, once the other half is ended. */
    heard: async () => {
      await once(peer, 'end');
      return readByWs(heard, { masked: !server, maxPayload: MAX });
    },
  };
}

/** One end over a fake network. */
export function faked(server = true) {
  const network = new FakeNetwork();
  const end = connection(server);
  end.socket.attach(network);
  return {
    ...end,
    network,
    say: (...frames: Frame[]) => {
      network.push(encodeAll(frames, server));
      return turn();
    },
    heard: () => readByWs(network.writes, { masked: !server, maxPayload: MAX }),
  };
}

export function encodeAll(frames: readonly Frame[], masked: boolean): Buffer {
  return Buffer.concat(
    frames.map(frame => encode({ ...frame, key: masked ? Uint8Array.of(1, 2, 3, 4) : undefined })),
  );
}

export const text = (value: string): Frame => ({ opcode: Opcode.TEXT, payload: Buffer.from(value) });
export const binary = (payload: Uint8Array): Frame => ({ opcode: Opcode.BINARY, payload });
export const ping = (payload: Uint8Array): Frame => ({ opcode: Opcode.PING, payload });
export const pong = (payload: Uint8Array): Frame => ({ opcode: Opcode.PONG, payload });
export const close = (code: number, reason = ''): Frame => ({
  opcode: Opcode.CLOSE,
  payload: Buffer.concat([Uint8Array.of(code >> 8, code & 255), Buffer.from(reason)]),
});
export const NO_CODE: Frame = { opcode: Opcode.CLOSE, payload: new Uint8Array(0) };

/** A message with room before it, in memory of a pool. */
export function roomy(memory: BufferPool, payload: Uint8Array): Uint8Array {
  const all = memory.take(FRAME_HEADROOM + payload.length);
  const message = all.subarray(FRAME_HEADROOM, FRAME_HEADROOM + payload.length);
  message.set(payload);
  return message;
}
