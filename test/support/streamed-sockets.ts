import { setImmediate as nextTask } from 'node:timers/promises';
import { SecureWebSocketError } from '../../src/core/errors.js';
import { ClientSecureWebSocket } from '../../src/socket/client-secure-web-socket.js';
import { ServerSecureWebSocket } from '../../src/socket/server-secure-web-socket.js';
import { next } from './conformance/conformance-case.js';
import { ScriptedChannel } from './scripted-channel.js';
import { lastDialled } from './scripted-dial.js';
import { information, settle } from './scripted-socket.js';

// Sockets of both ends, to test what they have in common; see scripted-dial.ts.

export const lost = new SecureWebSocketError('LINK_LOST', 'The link was lost.');

export type StreamedMessage = string | Uint8Array;

/** What both sockets have in common. */
export interface StreamedSocket {
  readonly readyState: number;
  readonly bufferedAmount: number;
  readonly drained: Promise<void>;
  readonly readable: ReadableStream<StreamedMessage>;
  readonly writable: WritableStream<string | ArrayBufferView | Blob>;
  addEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void;
  send(data: string | Uint8Array): void;
  close(code?: number, reason?: string): void;
}

/** Open sockets, by the name of their class. */
export const streamedSockets: [
  string,
  () => Promise<{ socket: StreamedSocket; channel: ScriptedChannel }>,
][] = [
  [
    'ClientSecureWebSocket',
    async () => {
      const socket = new ClientSecureWebSocket('wss://a/', [], { reconnect: true });
      const { channel } = lastDialled();
      channel.listener.opened?.(information);
      await next(socket, 'open');
      return { socket, channel };
    },
  ],
  [
    'ServerSecureWebSocket',
    async () => {
      const channel = new ScriptedChannel();
      const socket = new ServerSecureWebSocket(channel);
      await nextTask();
      return { socket: socket as unknown as StreamedSocket, channel };
    },
  ],
];

/** 'pending', 'resolved' or what it was rejected with, after everything that is under way. */
export async function stateOf(promise: Promise<unknown>): Promise<unknown> {
  let state: unknown = 'pending';
  promise.then(
    () => {
      state = 'resolved';
    },
    (error: unknown) => {
      state = error;
    },
  );
  await settle();
  return state;
}
