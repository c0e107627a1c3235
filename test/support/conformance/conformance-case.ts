/** The engines whose native WebSocket the cases are checked against. */
export type Engine = 'chromium' | 'firefox' | 'webkit';

/** One thing that a WebSocket class must do, checked from outside. */
export interface ConformanceCase {
  readonly name: string;
  /** Engines whose native WebSocket is known to deviate from the standard here. */
  readonly deviating?: readonly Engine[];
  /** This library asks for more than the standard does, or for something else: native sockets are not held to it. */
  readonly own?: boolean;
  /** Needs a page: relative URLs. */
  readonly page?: boolean;
  readonly run: (context: ConformanceContext) => Promise<void> | void;
}

/** What a server saw of one connection. Binary messages are lists of bytes. */
export interface Observation {
  readonly messages: readonly (string | readonly number[])[];
  readonly code: number;
  readonly reason: string;
}

/** The class under test, and a server that runs `serveConformance` to test it with. */
export class ConformanceContext {
  readonly #sockets: WebSocket[] = [];

  constructor(
    readonly WebSocket: typeof globalThis.WebSocket,
    /** Where the server is, without a slash at the end. */
    readonly url: string,
  ) {}

  /** A socket that is still connecting, and is closed when the case is over. `target` is path and query. */
  connect(target = '/', protocols?: string | string[]): WebSocket {
    const socket = new this.WebSocket(this.url + target, protocols);
    this.#sockets.push(socket);
    return socket;
  }

  /** An open socket. */
  async open(target = '/', protocols?: string | string[]): Promise<WebSocket> {
    const socket = this.connect(target, protocols);
    await next(socket, 'open');
    return socket;
  }

  /** Sends `data` and gives back what the server makes of it: a string, or a list of bytes. */
  async echo(socket: WebSocket, data: unknown): Promise<string | number[]> {
    const message = next(socket, 'message');
    socket.send(data as string);
    return content((await message).data);
  }

  /** What the server saw of the connection whose target held `id=<id>`, once that is over. */
  async observe(id: string): Promise<Observation> {
    const socket = await this.open(`/observe?id=${id}`);
    socket.send('tell');
    return JSON.parse((await next(socket, 'message')).data as string) as Observation;
  }

  /** Calls the constructor with anything, for its exception or for its `url`. */
  construct(...given: unknown[]): WebSocket {
    const socket = Reflect.construct(this.WebSocket, given) as WebSocket;
    this.#sockets.push(socket);
    return socket;
  }

  cleanUp(): void {
    for (const socket of this.#sockets) socket.close();
  }
}

interface EventMap {
  open: Event;
  message: MessageEvent;
  error: Event;
  close: CloseEvent;
}

/** The next event of that type; rejects when the connection ends instead. */
export function next<Type extends keyof EventMap>(socket: WebSocket, type: Type): Promise<EventMap[Type]> {
  return new Promise((resolve, reject) => {
    const closed = (event: CloseEvent): void => {
      reject(new Error(`"close" with ${event.code} ${event.reason} instead of "${type}"`));
    };
    if (type !== 'close') socket.addEventListener('close', closed, { once: true });
    socket.addEventListener(
      type,
      event => {
        socket.removeEventListener('close', closed);
        resolve(event);
      },
      { once: true },
    );
  });
}

/** A string, or the bytes of a Blob or an ArrayBuffer. */
export async function content(data: unknown): Promise<string | number[]> {
  if (typeof data === 'string') return data;
  return [...new Uint8Array(data instanceof Blob ? await data.arrayBuffer() : (data as ArrayBuffer))];
}

/** Notes every event of the socket: 'open', 'message x', 'error', 'close 1006'. The promise settles at `close`. */
export function record(socket: WebSocket): {
  readonly events: string[];
  readonly closed: Promise<CloseEvent>;
} {
  const events: string[] = [];
  socket.addEventListener('open', () => events.push('open'));
  socket.addEventListener('message', event => events.push(`message ${String(event.data)}`));
  socket.addEventListener('error', () => events.push('error'));
  socket.addEventListener('close', event => events.push(`close ${event.code}`));
  return { events, closed: next(socket, 'close') };
}

/** One of a kind among everything that runs at the same time. */
export function uniqueId(): string {
  return Math.random().toString(36).slice(2);
}

/** What `call` throws. */
export function thrown(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  throw new Error('Nothing was thrown.');
}

/** A task after the current one. */
export function nextTask(): Promise<void> {
  return new Promise(resolve => {
    setTimeout(resolve, 0);
  });
}
