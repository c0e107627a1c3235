import type { BridgeEnd, ConnectionEnd, EndListener } from '../../src/cli/bridge/bridge-end.js';

/** One end of a bridge, whose network and whose peer the test is. */
export class FakeEnd implements BridgeEnd {
  readonly isPausable: boolean;
  /** What whoever is there has got. */
  readonly delivered: { readonly data: string; readonly isText: boolean }[] = [];
  readonly calls: string[] = [];
  bufferedAmount = 0;
  isPaused = true;
  isClosed = false;
  #waiting: { readonly data: Uint8Array; readonly isText: boolean }[] = [];
  /** What whoever is there says, while nobody reads it. */
  #unread: (() => void)[] = [];
  #read = 0;
  #listener: EndListener | undefined;
  /** What `close` was called with: the peer answers behind all that waits. */
  #closing: ConnectionEnd | undefined;

  constructor(isPausable = true) {
    this.isPausable = isPausable;
  }

  // What the bridge calls

  start(listener: EndListener): void {
    this.#listener = listener;
    this.resume();
  }

  send(data: Uint8Array, isText: boolean): void {
    if (this.isClosed || this.#closing) return;
    this.#waiting.push({ data, isText });
    this.bufferedAmount += data.length;
  }

  ping(data: Uint8Array): void {
    this.calls.push(`ping ${Buffer.from(data).toString()}`);
  }

  pong(data: Uint8Array): void {
    this.calls.push(`pong ${Buffer.from(data).toString()}`);
  }

  close(code: number | undefined, reason: string): void {
    if (this.isClosed || this.#closing) return;
    this.calls.push(`close ${code ?? 'without a code'} ${reason}`.trim());
    this.#closing = { code: code ?? 1005, reason };
    this.resume();
  }

  abort(error: Error | undefined): void {
    this.calls.push(`abort ${error?.message ?? ''}`.trim());
    this.#end({ code: 1006, reason: '' });
  }

  terminate(): void {
    if (this.isClosed) return;
    this.calls.push('terminate');
    this.#end({ code: 1006, reason: '' });
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
    this.#flush();
  }

  // What the peer and the network do

  says(text: string, isText = true): void {
    this.#inOrder(() => this.#listener?.message(Buffer.from(text), isText));
  }

  pings(text: string): void {
    if (!this.isClosed) this.#listener?.ping(Buffer.from(text));
  }

  pongs(text: string): void {
    if (!this.isClosed) this.#listener?.pong(Buffer.from(text));
  }

  /** The peer closes, behind what it has said. */
  ends(end: ConnectionEnd): void {
    this.#inOrder(() => {
      this.#end(end);
    });
  }

  /** The network takes up to `count` messages. */
  drain(count = Infinity): void {
    if (this.isClosed) return;
    const taken = this.#waiting.splice(0, count);
    for (const { data, isText } of taken) {
      this.bufferedAmount -= data.length;
      this.delivered.push({ data: Buffer.from(data).toString(), isText });
    }
    if (taken.length > 0) this.#listener?.progress();
    const closing = this.#closing;
    if (closing && this.#waiting.length === 0) this.ends(closing);
  }

  suspend(error = new Error('out of reach')): void {
    if (!this.isClosed) this.#listener?.suspended(error);
  }

  goOn(): void {
    if (!this.isClosed) this.#listener?.resumed();
  }

  #flush(): void {
    while (!this.isPaused && this.#read < this.#unread.length) this.#unread[this.#read++]?.();
    if (this.#read === this.#unread.length) this.#unread = [];
    if (this.#unread.length === 0) this.#read = 0;
  }

  #inOrder(event: () => void): void {
    if (this.isClosed) return;
    this.#unread.push(event);
    this.#flush();
  }

  #end(end: ConnectionEnd): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#unread = [];
    this.#listener?.closed(end);
  }
}
