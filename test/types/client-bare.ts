// Compiled without the types of the DOM and without those of Node: the declarations stand on their own. Checked by
// test/package/types.test.ts.
import { ClientSecureWebSocket, type ClientSecureWebSocketOptions } from 'secure-websocket';

const options: ClientSecureWebSocketOptions = { userId: 'alice', serverKey: ['00'.repeat(32)] };
const Configured = ClientSecureWebSocket.configure(options);
const socket: ClientSecureWebSocket = new Configured('wss://relay.example/chat', ['one', 'two']);

socket.onopen = event => event.type;
socket.onmessage = event => {
  const data: unknown = event.data;
  const origin: string = event.origin;
  return [data, origin, event.lastEventId, event.timeStamp];
};
socket.onclose = event => {
  const code: number = event.code;
  const reason: string = event.reason;
  const wasClean: boolean = event.wasClean;
  return [code, reason, wasClean];
};
socket.onerror = event => [event.error.code, event.message, event.type];
const listener = (event: { readonly type: string }): string => event.type;
socket.addEventListener('message', listener, { once: true });
socket.addEventListener('own', { handleEvent: event => event.type });
socket.removeEventListener('message', listener);

socket.send('text');
socket.send(Uint8Array.of(1, 2));
socket.send(new ArrayBuffer(1));
socket.binaryType = 'arraybuffer';
socket.close(1000, 'done');
export const state: 0 | 1 | 2 | 3 = socket.readyState;
export const keys: string[] = [socket.publicKey, socket.peerPublicKey, socket.serverPublicKey];
export const hash: Uint8Array | undefined = socket.handshakeHash;

// @ts-expect-error the event of "open" has no code
socket.onopen = event => event.code as unknown;
// @ts-expect-error it cannot be assigned to
socket.readyState = 1;
// @ts-expect-error numbers are no data
socket.send(5);
