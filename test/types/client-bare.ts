// Compiled without the types of the DOM and without those of Node: the declarations stand on their own. Checked by
// test/package/types.test.ts.
import {
  ClientSecureWebSocket,
  type ClientSecureWebSocketOptions,
  type PresenceWatch,
  watchPresence,
} from 'secure-websocket';

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

socket.onreconnecting = event => [event.attempt, event.delay, event.error.code, event.type];
socket.onreconnected = event => {
  const resumed: boolean = event.resumed;
  for (const lost of event.unacknowledged) socket.send(lost);
  return resumed;
};
socket.addEventListener('close', event => {
  for (const lost of event.unacknowledged) socket.send(lost);
});

socket.onserverevent = event => {
  const space: string = event.space;
  const data: unknown = event.data;
  return [space, data, event.type];
};
const watch: PresenceWatch = watchPresence('wss://relay.example', ['00'.repeat(32)], { token: 'mine' });
watch.addEventListener('presence', event => {
  const state: 'present' | 'absent' | 'unknown' = event.state;
  const present: boolean = event.present;
  return [event.publicKey, state, present];
});
watch.addEventListener('close', event => event.error?.code);
watch.addEventListener('reconnecting', event => [event.attempt, event.delay, event.error.code]);
export async function who(): Promise<boolean> {
  const states = await watch.ask(new Set(['00'.repeat(32)]));
  for (const key of watch.present) watch.remove([key]);
  return [...states.values()].includes('present');
}

new ClientSecureWebSocket(() => 'wss://relay.example/chat', [], { reconnect: true, maxBuffered: 1024 });
new ClientSecureWebSocket(async () => Promise.resolve('wss://relay.example/chat'));

export async function pump(): Promise<string | Uint8Array | undefined> {
  await socket.drained;
  const writer = socket.writable.getWriter();
  await writer.write('text');
  await writer.write(Uint8Array.of(1));
  await writer.close();
  const { value } = await socket.readable.getReader().read();
  // @ts-expect-error numbers are no data
  await writer.write(5);
  return value;
}

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
