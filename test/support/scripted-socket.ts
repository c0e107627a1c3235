import type { SecureWebSocketError } from '../../src/core/errors.js';
import type { ChannelInformation } from '../../src/link/channel-port.js';
import { ClientSecureWebSocket } from '../../src/socket/client-secure-web-socket.js';
import { next, nextTask } from './conformance/conformance-case.js';
import type { ScriptedChannel } from './scripted-channel.js';
import { lastDialled } from './scripted-dial.js';

// Client sockets over channels that a test plays the network of; see scripted-dial.ts.

export const information: ChannelInformation = {
  publicKey: '11'.repeat(32),
  peerPublicKey: '22'.repeat(32),
  serverPublicKey: '33'.repeat(32),
  handshakeHash: new Uint8Array(64).fill(4),
  protocol: '',
};

export interface ScriptedSocket {
  readonly socket: ClientSecureWebSocket;
  readonly channel: ScriptedChannel;
}

/** A socket that is still connecting. */
export function connect(protocols?: string[]): ScriptedSocket {
  const socket = new ClientSecureWebSocket('wss://relay.example/chat', protocols);
  return { socket, channel: lastDialled().channel };
}

export async function open(): Promise<ScriptedSocket> {
  const { socket, channel } = connect();
  channel.listener.opened?.(information);
  await next(socket, 'open');
  return { socket, channel };
}

/** Everything that is queued has run. */
export async function settle(): Promise<void> {
  for (let round = 0; round < 5; round++) await nextTask();
}

/** The error that the next `error` event tells. */
export async function errorOf(socket: ClientSecureWebSocket): Promise<SecureWebSocketError> {
  const event = await new Promise<{ error: SecureWebSocketError }>(resolve => {
    socket.addEventListener('error', resolve, { once: true });
  });
  return event.error;
}
