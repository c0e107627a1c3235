import type { Peer, PeerEnd, PeerListener } from '../../src/cli/peer.js';

/** A peer of the command line, for tests: does what it is told, and remembers it. */
export class ScriptedPeer implements Peer {
  isOpen = true;
  bufferedAmount = 0;
  /** Whether what is sent stays in `bufferedAmount`. */
  isSlow = false;
  readonly sent: string[] = [];
  /** Everything but messages, in order. */
  readonly calls: string[] = [];
  #listener: PeerListener | undefined;

  constructor(readonly publicKey: string) {}

  get listener(): PeerListener {
    if (!this.#listener) throw new Error('nobody has started this peer');
    return this.#listener;
  }

  start(listener: PeerListener): void {
    this.#listener = listener;
  }

  send(data: Uint8Array, isText: boolean): void {
    this.sent.push(`${isText ? 'text' : 'binary'} ${Buffer.from(data).toString()}`);
    if (this.isSlow) this.bufferedAmount += data.length;
  }

  endInput(): void {
    this.calls.push('endInput');
  }

  close(code: number, reason = ''): void {
    this.isOpen = false;
    this.calls.push(`close ${code} ${reason}`.trim());
  }

  terminate(): void {
    this.isOpen = false;
    this.calls.push('terminate');
    queueMicrotask(() => {
      this.gone({ code: 1006 });
    });
  }

  pause(): void {
    this.calls.push('pause');
  }

  resume(): void {
    this.calls.push('resume');
  }

  /** The peer is gone. */
  gone(end: Partial<PeerEnd> = {}): void {
    this.isOpen = false;
    this.listener.closed({ code: 1000, reason: '', error: undefined, ...end });
  }

  says(text: string): void {
    this.listener.message(Buffer.from(text), true);
  }

  /** Everything that waited has left. */
  drain(): void {
    this.bufferedAmount = 0;
    this.listener.progress();
  }
}
