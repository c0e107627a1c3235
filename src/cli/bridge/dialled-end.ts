import { isUtf8 } from 'node:buffer';
import { SecureWebSocketError } from '../../core/errors.js';
import type { ChannelListener, ChannelPort } from '../../link/channel-port.js';
import { dialChannel, type DialChannelOptions } from '../../link/dial.js';
import type { BridgeEnd, ConnectionEnd, EndListener, OpenEnd } from './bridge-end.js';

/**
 * Opens a channel to whoever is at `url`. On the channel itself rather than through ClientSecureWebSocket, whose standard
 * interface has no way to slow a peer down, and no pings. With `reconnect` it outlives its links once it is open; the
 * first attempt has to succeed.
 *
 * @throws SecureWebSocketError (as a rejection) why there is no connection
 */
export async function dialEnd(
  url: URL,
  protocols: readonly string[],
  options: DialChannelOptions,
  abort: AbortSignal,
): Promise<OpenEnd> {
  return new Promise((resolve, reject) => {
    const end = new DialledEnd();
    const listener: ChannelListener = {
      ...end.listener,
      opened: ({ protocol, peerPublicKey }) => {
        abort.removeEventListener('abort', giveUp);
        end.isOpen = true;
        resolve({ end, protocol, peerPublicKey });
      },
      reconnecting: ({ error }) => {
        if (end.isOpen) return;
        reject(error);
        port.terminate();
      },
      closed: closed => {
        abort.removeEventListener('abort', giveUp);
        reject(closed.error ?? new SecureWebSocketError('LINK_LOST', 'The connection was lost.'));
        end.listener.closed(closed);
      },
    };
    const port = dialChannel(url, protocols, { ...options, endsWithPeer: true }, listener);
    end.port = port;
    // No message before somebody listens.
    port.pause();
    const giveUp = (): void => {
      port.terminate();
    };
    abort.addEventListener('abort', giveUp);
    if (abort.aborted) giveUp();
  });
}

class DialledEnd implements BridgeEnd {
  readonly isPausable = true;
  /** Set before the channel tells anything. */
  port!: ChannelPort;
  isOpen = false;
  #listener: EndListener | undefined;
  #away: Error | undefined;
  #end: ConnectionEnd | undefined;

  /** What the channel tells. */
  readonly listener = {
    message: (data: Uint8Array, isText: boolean): void => {
      if (isText && !isUtf8(data)) {
        this.port.terminate(
          new SecureWebSocketError('INVALID_UTF8', 'The peer sent a text message that is not UTF-8.'),
        );
      } else {
        this.#listener?.message(data, isText);
      }
    },
    ping: (data: Uint8Array): void => this.#listener?.ping(data.slice()),
    pong: (data: Uint8Array): void => this.#listener?.pong(data.slice()),
    sent: (): void => this.#listener?.progress(),
    suspended: ({ error }: { readonly error: Error }): void => {
      this.#away = error;
      this.#listener?.suspended(error);
    },
    resumed: (): void => {
      this.#away = undefined;
      this.#listener?.resumed();
    },
    closed: (end: ConnectionEnd): void => {
      this.#end = end;
      this.#listener?.closed(end);
    },
  };

  get bufferedAmount(): number {
    return this.port.bufferedAmount;
  }

  start(listener: EndListener): void {
    this.#listener = listener;
    if (this.#away) listener.suspended(this.#away);
    if (this.#end) listener.closed(this.#end);
    else this.port.resume();
  }

  send(data: Uint8Array, isText: boolean): void {
    this.port.send(data, isText);
  }

  ping(data: Uint8Array): void {
    this.port.ping(data);
  }

  pong(data: Uint8Array): void {
    this.port.pong(data);
  }

  close(code: number | undefined, reason: string): void {
    this.port.close(code, reason);
    // Its answer comes behind what was not read.
    this.port.resume();
  }

  abort(): void {
    this.terminate();
  }

  terminate(): void {
    this.port.terminate();
  }

  pause(): void {
    this.port.pause();
  }

  resume(): void {
    this.port.resume();
  }
}
