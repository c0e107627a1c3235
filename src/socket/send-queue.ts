import { SecureWebSocketError } from '../core/errors.js';
import type { ChannelPort } from '../link/channel-port.js';
import type { BlobLike } from './dom-types.js';
import type { OutgoingMessage } from './outgoing-message.js';
import { inNextTask } from './tasks.js';

/** What waits behind a Blob that is being read. */
type Waiting = OutgoingMessage | { readonly close: () => void };

/** What a queue tells its socket. */
export interface SendQueueOwner {
  /** A Blob cannot be read. */
  failed(error: SecureWebSocketError): void;
  /** `bufferedAmount` has fallen. */
  fell(): void;
}

/**
 * What a socket has been told to send: hands messages to the channel in the order in which they were given, although
 * a Blob can only be read asynchronously, and counts `bufferedAmount`.
 */
export class SendQueue {
  readonly #port: Pick<ChannelPort, 'bufferedAmount' | 'send' | 'close'>;
  readonly #owner: SendQueueOwner;
  /** Empty unless the first of it is a Blob that is being read, or nothing is sent any more. */
  #waiting: Waiting[] = [];
  #buffered = 0;
  /** Handed to the channel, and not told as sent. */
  #handed = 0;
  /** Told as sent, and still counted until the next task. */
  #left = 0;
  #abandoned = false;

  constructor(port: Pick<ChannelPort, 'bufferedAmount' | 'send' | 'close'>, owner: SendQueueOwner) {
    this.#port = port;
    this.#owner = owner;
  }

  /**
   * `bufferedAmount` (WebSockets Standard section 3.1): bytes of message payload given to `send` and not handed to the
   * network when the current task began. Does not go back to zero when the connection closes.
   */
  get bufferedAmount(): number {
    return this.#buffered;
  }

  /** Takes a message. Its bytes are copied. */
  send(message: OutgoingMessage): void {
    this.#buffered += message.length;
    if ('blob' in message) this.#enqueue(message);
    else if (this.#mustWait) this.#waiting.push({ ...message, data: new Uint8Array(message.data) });
    else this.#pass(message.data, message.isText);
  }

  /** Counts a message that is not sent because the socket is closing or closed. */
  discard(message: OutgoingMessage): void {
    this.#buffered += message.length;
  }

  /** Starts the closing handshake behind everything that was given to `send`. */
  close(code: number | undefined, reason: string | undefined): void {
    this.#enqueue({
      close: () => {
        this.#port.close(code, reason);
      },
    });
  }

  /** The channel handed so many bytes to the network. They count until a later task, as in a browser. */
  sent(bytes: number): void {
    this.#handed = Math.max(0, this.#handed - bytes);
    this.#leave(bytes);
  }

  /** Another channel is taking the place of the one before: what that one still had to send counts no longer. */
  replaced(): void {
    // When it has taken over what is for the new one.
    queueMicrotask(() => {
      if (!this.#abandoned) this.sent(Math.max(0, this.#handed - this.#port.bufferedAmount));
    });
  }

  /** The channel has ended: nothing that waits will be sent. */
  abandon(): void {
    this.#abandoned = true;
  }

  /** What was given to `send` and not handed to the channel, once it is abandoned. */
  takeUnsent(): readonly OutgoingMessage[] {
    const unsent = this.#waiting.filter((entry): entry is OutgoingMessage => !('close' in entry));
    this.#waiting = [];
    return unsent;
  }

  #leave(bytes: number): void {
    if (bytes === 0) return;
    if (this.#left === 0) {
      inNextTask(() => {
        this.#buffered = Math.max(0, this.#buffered - this.#left);
        this.#left = 0;
        this.#owner.fell();
      });
    }
    this.#left += bytes;
  }

  get #mustWait(): boolean {
    return this.#abandoned || this.#waiting.length > 0;
  }

  #enqueue(entry: Waiting): void {
    const mustWait = this.#mustWait;
    this.#waiting.push(entry);
    if (!mustWait) this.#flush();
  }

  /** Hands over what waits, up to the next Blob. */
  #flush(): void {
    for (let entry = this.#waiting[0]; entry !== undefined; entry = this.#waiting[0]) {
      if ('blob' in entry) {
        void this.#read(entry.blob);
        return;
      }
      this.#waiting.shift();
      if ('close' in entry) entry.close();
      else this.#pass(entry.data, entry.isText);
    }
  }

  #pass(data: Uint8Array, isText: boolean): void {
    this.#handed += data.length;
    this.#port.send(data, isText);
  }

  /** Reads the Blob at the head of the queue; the others wait, so that no more than one is in memory. */
  async #read(blob: BlobLike): Promise<void> {
    let data: Uint8Array;
    try {
      data = new Uint8Array(await blob.arrayBuffer());
    } catch (cause) {
      if (this.#abandoned) return;
      this.abandon();
      const message = 'A Blob that was given to send() could not be read.';
      this.#owner.failed(new SecureWebSocketError('BLOB_UNREADABLE', message, { cause }));
      return;
    }
    if (this.#abandoned) return;
    const entry = this.#waiting.shift();
    // What is told as sent is what was read: a stand-in for Blob that lied about its size must not leave a rest.
    if (entry !== undefined && 'length' in entry) this.#buffered += data.length - entry.length;
    this.#owner.fell();
    this.#pass(data, false);
    this.#flush();
  }
}
