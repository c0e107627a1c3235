import { SecureWebSocketError } from '../../core/errors.js';
import type { SpaceMember } from '../../link/channel-port.js';
import { ClientSecureWebSocket } from '../../socket/client-secure-web-socket.js';
import type { ClientSecureWebSocketOptions } from '../../socket/client-secure-web-socket-options.js';
import { DRAIN_MARK } from '../../socket/drain-watch.js';
import { cutCloseReason } from '../../socket/web-socket-arguments.js';
import type { BridgeEnd, ConnectionEnd, EndListener, OpenEnd } from './bridge-end.js';
import { contentOf, parseSpaceRequest, SPACE_PROTOCOL, type SpaceReport } from './space-framing.js';

/** RFC 6455 section 7.4.1. */
const INVALID_DATA = 1007;

/** What is used of a ClientSecureWebSocket in a space. */
export interface SpaceSocket {
  binaryType: string;
  readonly bufferedAmount: number;
  readonly publicKey: string;
  readonly space: string;
  readonly memberId: string;
  readonly members: readonly SpaceMember[];
  readonly drained: Promise<void>;
  refreshMembers(): Promise<readonly SpaceMember[]>;
  send(data: string | Uint8Array): void;
  close(code?: number, reason?: string): void;
  addEventListener<Type extends keyof SpaceSocketEvents>(
    type: Type,
    listener: (event: SpaceSocketEvents[Type]) => void,
  ): void;
}

export interface SpaceSocketEvents {
  open: unknown;
  message: { readonly data: string | ArrayBuffer; readonly from: string; readonly member: string };
  memberjoin: { readonly member: SpaceMember };
  memberchange: { readonly member: SpaceMember };
  memberleave: { readonly member: SpaceMember; readonly reason: string };
  keyswiped: { readonly member: SpaceMember; readonly reason: string };
  messageslost: { readonly member: SpaceMember; readonly count: number; readonly reason: string };
  serverevent: { readonly data: string | ArrayBuffer; readonly space: string };
  reconnecting: { readonly attempt: number; readonly delay: number; readonly error: Error };
  reconnected: { readonly resumed: boolean };
  error: { readonly error: Error };
  close: { readonly code: number; readonly reason: string };
}

/**
 * Joins the space at `url`. With `reconnect` the membership outlives its links once it is there; the first attempt has to
 * succeed.
 *
 * @param protocols What the client offers. With {@link SPACE_PROTOCOL} it is told who says what.
 * @throws SecureWebSocketError (as a rejection) why it cannot be joined
 */
export async function joinSpace(
  url: URL,
  protocols: readonly string[],
  options: ClientSecureWebSocketOptions,
  abort: AbortSignal,
): Promise<OpenEnd> {
  const socket = new ClientSecureWebSocket(url.href, [], options) as unknown as SpaceSocket;
  return openSpace(socket, protocols.includes(SPACE_PROTOCOL), abort);
}

/** As above, of a socket that was just made. */
export function openSpace(socket: SpaceSocket, isFramed: boolean, abort: AbortSignal): Promise<OpenEnd> {
  return new Promise((resolve, reject) => {
    let isOpen = false;
    const end = new SpaceEnd(socket, isFramed);
    const giveUp = (): void => {
      socket.close();
    };
    const failed = (error: Error): void => {
      abort.removeEventListener('abort', giveUp);
      reject(error);
    };
    socket.addEventListener('open', () => {
      isOpen = true;
      abort.removeEventListener('abort', giveUp);
      resolve({ end, protocol: isFramed ? SPACE_PROTOCOL : '' });
    });
    socket.addEventListener('reconnecting', ({ error }) => {
      if (isOpen) return;
      failed(error);
      socket.close();
    });
    socket.addEventListener('error', ({ error }) => {
      failed(error);
    });
    socket.addEventListener('close', () => {
      failed(new SecureWebSocketError('LINK_LOST', 'The connection was lost.'));
    });
    abort.addEventListener('abort', giveUp);
    if (abort.aborted) giveUp();
  });
}

/**
 * A space: many peers, none of whom waits for another. So nobody is slowed down by a client that does not read; too much
 * that waits for it ends its connection.
 */
class SpaceEnd implements BridgeEnd {
  readonly isPausable = false;
  readonly #socket: SpaceSocket;
  readonly #isFramed: boolean;
  #listener: EndListener | undefined;
  #early: (() => void)[] = [];
  #error: Error | undefined;
  #failure: ConnectionEnd | undefined;
  #isWaiting = false;
  #isAway = false;

  constructor(socket: SpaceSocket, isFramed: boolean) {
    this.#socket = socket;
    this.#isFramed = isFramed;
    socket.binaryType = 'arraybuffer';
    this.#listen();
  }

  /** No less than what `drained` waits for. */
  get bufferedAmount(): number {
    const { bufferedAmount } = this.#socket;
    return bufferedAmount > DRAIN_MARK ? bufferedAmount : 0;
  }

  start(listener: EndListener): void {
    this.#listener = listener;
    const { space, memberId: id, publicKey, members } = this.#socket;
    const first: SpaceReport = { type: 'open', space, id, publicKey, members: members.map(toMember) };
    if (this.#isFramed) listener.message(encode(first), true);
    for (const tell of this.#early.splice(0)) tell();
  }

  send(data: Uint8Array, isText: boolean): void {
    if (!isText) {
      this.#pass(data);
      return;
    }
    const text = Buffer.from(data.buffer, data.byteOffset, data.length).toString();
    const request = this.#isFramed ? parseSpaceRequest(text) : ({ type: 'message', data: text } as const);
    if (typeof request === 'string') this.#fail(`Message not understood: ${request}.`);
    else if (request.type === 'message') this.#pass(request.data);
    else this.#refresh();
  }

  /** There is nobody to be asked. */
  ping(data: Uint8Array): void {
    this.#tell(listener => {
      listener.pong(data);
    });
  }

  pong(): void {
    // Nobody has asked.
  }

  close(code: number | undefined, reason: string): void {
    // What members are told is that this one has left.
    if (code === undefined || (code !== 1000 && code < 3000)) this.#socket.close();
    else this.#socket.close(code, reason);
  }

  abort(): void {
    this.#socket.close();
  }

  terminate(): void {
    this.#socket.close();
    this.#closed({ code: 1006, reason: '' });
  }

  pause(): void {
    // See isPausable.
  }

  resume(): void {
    // See isPausable.
  }

  #listen(): void {
    const socket = this.#socket;
    socket.addEventListener('message', ({ data, from, member }) => {
      if (this.#isFramed) this.#report({ type: 'message', from, member, ...contentOf(data) });
      else
        this.#message(
          typeof data === 'string' ? Buffer.from(data) : new Uint8Array(data),
          typeof data === 'string',
        );
    });
    for (const type of ['memberjoin', 'memberchange'] as const) {
      socket.addEventListener(type, ({ member }) => {
        this.#report({ type, member: toMember(member) });
      });
    }
    for (const type of ['memberleave', 'keyswiped'] as const) {
      socket.addEventListener(type, ({ member, reason }) => {
        this.#report({ type, member: toMember(member), reason });
      });
    }
    socket.addEventListener('messageslost', ({ member, count, reason }) => {
      this.#report({ type: 'messageslost', member: toMember(member), count, reason });
    });
    socket.addEventListener('serverevent', ({ data, space }) => {
      this.#report({ type: 'serverevent', space, ...contentOf(data) });
    });
    socket.addEventListener('reconnecting', ({ attempt, delay, error }) => {
      this.#suspended(error);
      const code = error instanceof SecureWebSocketError ? error.code : '';
      this.#report({ type: 'reconnecting', attempt, delay: Math.round(delay), code, message: error.message });
    });
    socket.addEventListener('reconnected', ({ resumed }) => {
      this.#report({ type: 'reconnected', resumed, members: socket.members.map(toMember) });
      this.#isAway = false;
      this.#tell(listener => {
        listener.resumed();
      });
    });
    socket.addEventListener('error', ({ error }) => {
      this.#error = error;
    });
    socket.addEventListener('close', ({ code, reason }) => {
      this.#closed({ code, reason, error: this.#error });
    });
  }

  #pass(data: string | Uint8Array): void {
    try {
      this.#socket.send(data);
    } catch (error) {
      this.#fail(error instanceof Error ? error.message : String(error));
      return;
    }
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    this.#socket.drained.then(
      () => {
        this.#isWaiting = false;
        this.#listener?.progress();
      },
      () => undefined,
    );
  }

  #refresh(): void {
    this.#socket.refreshMembers().then(
      members => {
        this.#report({ type: 'members', members: members.map(toMember) });
      },
      // Out of reach: it is told with `reconnected`.
      () => undefined,
    );
  }

  #suspended(error: Error): void {
    if (this.#isAway) return;
    this.#isAway = true;
    this.#tell(listener => {
      listener.suspended(error);
    });
  }

  #report(report: SpaceReport): void {
    if (this.#isFramed) this.#message(encode(report), true);
  }

  #message(data: Uint8Array, isText: boolean): void {
    this.#tell(listener => {
      listener.message(data, isText);
    });
  }

  /** The client has sent what cannot be sent. */
  #fail(reason: string): void {
    this.#socket.close();
    this.#closed({ code: INVALID_DATA, reason: cutCloseReason(reason) });
  }

  #closed(end: ConnectionEnd): void {
    if (this.#failure !== undefined) return;
    this.#failure = end;
    this.#tell(listener => {
      listener.closed(end);
    });
  }

  /** Behind `open`, whatever has happened before. */
  #tell(event: (listener: EndListener) => void): void {
    const listener = this.#listener;
    if (listener !== undefined && this.#early.length === 0) event(listener);
    else
      this.#early.push(() => {
        if (this.#listener !== undefined) event(this.#listener);
      });
  }
}

function encode(report: SpaceReport): Uint8Array {
  return Buffer.from(JSON.stringify(report));
}

function toMember({ id, publicKey, isSelf, admitted, away, joined }: SpaceMember): SpaceMember {
  return { id, publicKey, isSelf, admitted, away, joined };
}
