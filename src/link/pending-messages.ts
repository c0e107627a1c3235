import type { ChannelPort, UnacknowledgedMessage } from './channel-port.js';

/** What is given to a socket while there is no channel to give it to. */
export class PendingMessages {
  readonly #messages: UnacknowledgedMessage[] = [];
  #bytes = 0;
  #close: { readonly code: number | undefined; readonly reason: string | undefined } | undefined;

  get bytes(): number {
    return this.#bytes;
  }

  get messages(): readonly UnacknowledgedMessage[] {
    return this.#messages;
  }

  /** `data` is copied. */
  send(data: Uint8Array, isText: boolean): void {
    if (this.#close) return;
    this.#messages.push({ data: new Uint8Array(data), isText });
    this.#bytes += data.length;
  }

  close(code: number | undefined, reason: string | undefined): void {
    this.#close ??= { code, reason };
  }

  handOver(port: ChannelPort): void {
    for (const { data, isText } of this.#messages) port.send(data, isText);
    if (this.#close) port.close(this.#close.code, this.#close.reason);
  }
}
