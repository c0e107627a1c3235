import type { RawSocketListener } from '../../src/websocket/raw-socket.js';

export interface Closed {
  readonly code: number;
  readonly reason: string;
  readonly detail: string | undefined;
}

/** Notes everything that a RawSocket tells, and lets a test wait for it. */
export class RecordingListener implements RawSocketListener {
  /** 'open', 'text', 'binary', 'drained', 'closed' in the order in which they came. */
  readonly events: string[] = [];
  readonly texts: string[] = [];
  readonly binaries: Uint8Array[] = [];
  readonly ends: Closed[] = [];
  readonly #waiting: { when: () => boolean; resolve: () => void }[] = [];

  /** Resolves as soon as `when` holds; looks after each event. */
  until(when: () => boolean): Promise<void> {
    return new Promise(resolve => {
      this.#waiting.push({ when, resolve });
      this.#look();
    });
  }

  count(event: string): number {
    return this.events.filter(one => one === event).length;
  }

  opened(): Promise<void> {
    return this.until(() => this.events.includes('open'));
  }

  async end(): Promise<Closed> {
    await this.until(() => this.ends.length > 0);
    return this.ends[0] as Closed;
  }

  open(): void {
    this.#note('open');
  }

  text(data: string): void {
    this.texts.push(data);
    this.#note('text');
  }

  binary(data: Uint8Array): void {
    this.binaries.push(data);
    this.#note('binary');
  }

  drained(): void {
    this.#note('drained');
  }

  closed(code: number, reason: string, detail?: string): void {
    this.ends.push({ code, reason, detail });
    this.#note('closed');
  }

  #note(event: string): void {
    this.events.push(event);
    this.#look();
  }

  #look(): void {
    for (const { when, resolve } of this.#waiting) if (when()) resolve();
  }
}
