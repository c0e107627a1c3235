// Compiled with the types of the DOM: a ClientSecureWebSocket fits wherever a WebSocket is asked for, and its class
// wherever the class is. Checked by test/package/types.test.ts.
import { ClientSecureWebSocket, type SecureWebSocketError } from 'secure-websocket';

const socket = new ClientSecureWebSocket('wss://relay.example/chat', ['one', 'two'], { userId: 'alice' });
new ClientSecureWebSocket(new URL('wss://relay.example/'), new Set(['one']));

export const asWebSocket: WebSocket = socket;
export const asEventTarget: EventTarget = socket;
export const asClass: typeof WebSocket = ClientSecureWebSocket;
export const asConfiguredClass: typeof WebSocket = ClientSecureWebSocket.configure({ userId: 'alice' });

// What libraries such as y-websocket, partysocket and centrifuge declare.
export function takesConstructor(WebSocketPolyfill: {
  new (url: string | URL, protocols?: string | string[]): WebSocket;
  prototype: WebSocket;
  readonly CLOSED: number;
  readonly CLOSING: number;
  readonly CONNECTING: number;
  readonly OPEN: number;
}): WebSocket {
  return new WebSocketPolyfill('wss://relay.example/');
}
takesConstructor(ClientSecureWebSocket);

class Own extends ClientSecureWebSocket {
  readonly own = true;
}
export const own: true = new (Own.configure({}))('wss://relay.example/').own;

// Handlers and listeners that were written for a WebSocket.
socket.onopen = (event: Event) => event.composedPath();
socket.onmessage = (event: MessageEvent<string>) => event.data.length;
socket.onclose = ({ code, reason, wasClean }: CloseEvent) => [code, reason, wasClean];
socket.onerror = (event: Event) => event.type;
socket.onmessage = null;
socket.addEventListener('message', (event: MessageEvent<ArrayBuffer>) => event.data.byteLength);
socket.addEventListener('close', { handleEvent: (event: Event) => event.type }, { once: true });
socket.addEventListener('own', event => event.type, { signal: new AbortController().signal, passive: true });
socket.removeEventListener('open', null);
socket.dispatchEvent(new Event('own'));
const listener: EventListenerOrEventListenerObject = () => undefined;
socket.addEventListener('message', listener);

// What is sent again, and sources of URLs.
new ClientSecureWebSocket(async () => Promise.resolve(new URL('wss://relay.example/')), [], {
  reconnect: { maxAttempts: 3 },
});
socket.addEventListener('reconnecting', event => [event.attempt, event.delay, event.error.code]);
socket.addEventListener('serverevent', event => {
  const event_: Event = event;
  return [event_.type, event.space];
});
const onServerEvent = (event: Event): string => event.type;
socket.addEventListener('serverevent', onServerEvent);
socket.removeEventListener('serverevent', onServerEvent);
socket.addEventListener('reconnected', event => {
  for (const lost of event.unacknowledged) {
    const data: string | ArrayBuffer | Blob = lost;
    socket.send(data);
  }
});
const onReconnected = (event: Event): string => event.type;
socket.addEventListener('reconnected', onReconnected);
socket.removeEventListener('reconnected', onReconnected);
socket.onreconnecting = (event: Event) => event.type;
socket.onclose = event => event.unacknowledged.length;

// Streams go wherever streams do.
export const readable: ReadableStream<string | Uint8Array> = socket.readable;
export const writable: WritableStream<string | ArrayBufferView> = socket.writable;
export async function pipe(file: Blob): Promise<void> {
  await file.stream().pipeTo(socket.writable);
  await socket.readable.pipeTo(new WritableStream<string | Uint8Array>());
  const reader = socket.readable.getReader();
  const asReader: ReadableStreamDefaultReader<string | Uint8Array> = reader;
  const asWriter: WritableStreamDefaultWriter<string> = socket.writable.getWriter();
  await Promise.all([asReader.closed, asWriter.closed, socket.drained]);
  const result = await reader.read();
  if (!result.done) socket.send(result.value);
}

// Types that are known without being written.
socket.onmessage = function (event) {
  const data: unknown = event.data;
  const key: string = this.peerPublicKey;
  return [data, key, event.lastEventId, event.ports];
};
socket.onerror = event => {
  const error: SecureWebSocketError = event.error;
  return [error.code, event.message];
};
socket.addEventListener('error', event => event.error.code);
socket.addEventListener('close', function (event) {
  return [this.publicKey, event.code];
});
export const state: 0 | 1 | 2 | 3 = socket.readyState;
export const hash: Uint8Array | undefined = socket.handshakeHash;
export const open: 1 = ClientSecureWebSocket.OPEN;
export const closed: 3 = socket.CLOSED;

socket.binaryType = 'arraybuffer';
for (const data of [
  'text',
  new Blob([]),
  new File([], 'name'),
  new ArrayBuffer(1),
  new DataView(new ArrayBuffer(1)),
]) {
  socket.send(data);
}
socket.send(new Uint8Array(1));
socket.close(1000, 'done');

// @ts-expect-error a URL is needed
new ClientSecureWebSocket();
// @ts-expect-error numbers are stringified, which nobody wants by accident
socket.send(5);
// @ts-expect-error text is needed
socket.send();
// @ts-expect-error it cannot be assigned to
socket.url = 'wss://relay.example/';
// @ts-expect-error it cannot be assigned to
ClientSecureWebSocket.OPEN = 1;
// @ts-expect-error not one of the two
socket.binaryType = 'nodebuffer';
// @ts-expect-error text is no handler
socket.onopen = 'text';
// @ts-expect-error the event of "open" has no data
socket.addEventListener('open', event => event.data as unknown);
// @ts-expect-error there is no such option
new ClientSecureWebSocket('wss://relay.example/', [], { user: 'alice' });
// @ts-expect-error it cannot be assigned to
socket.drained = Promise.resolve();
// @ts-expect-error the event of "open" has no attempt
socket.addEventListener('open', event => event.attempt as unknown);
// @ts-expect-error a function that is asked for the URL gives one
new ClientSecureWebSocket(() => 5);
