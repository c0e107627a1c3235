import { SecureWebSocketError } from '../core/errors.js';
import type { ChannelPort } from '../link/channel-port.js';
import type { BlobLike } from './dom-types.js';
import type { OutgoingMessage } from './outgoing-message.js';
import { inNextTask } from './tasks.js';

/** What waits behind a Blob that is being read. */
type Waiting = OutgoingMessage | { readonly close: () => void };

/**
 * What a socket has been told to send: hands messages to the channel in the order in which they were given, although
 * a Blob can only be read asynchronously, and counts `bufferedAmount`.
 */
export class SendQueue {
  readonly #port: Pick<ChannelPort, 'send' | 'close'>;
  readonly #failed: (error: SecureWebSocketError) => void;
  /** Empty unless the first of it is a Blob that is being read. */
  readonly #waiting: Waiting[] = [];
  #buffered = 0;
  /** Told as sent, and still counted until the next task. */
  #left = 0;
  #abandoned = false;

  /** `failed` is called when a Blob cannot be read. */
  constructor(port: Pick<ChannelPort, 'send' | 'close'>, failed: (error: SecureWebSocketError) => void) {
    this.#port = port;
    this.#failed = failed;
  }

  /**
   * `bufferedAmount` (WebSockets Standard section 3.1): bytes of message payload given to `send` and not handed to the
   * network when the current task began. Does not go back to zero when the connection closes.
   */
  get bufferedAmount(): number {
    return this.#buffered;
  }

  send(message: OutgoingMessage): void {
    this.#buffered += message.length;
    this.#enqueue(message);
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
    if (bytes === 0) return;
    if (this.#left === 0) {
      inNextTask(() => {
        this.#buffered = Math.max(0, this.#buffered - this.#left);
        this.#left = 0;
      });
    }
    this.#left += bytes;
  }

  /** The channel has ended: nothing that waits will be sent. */
  abandon(): void {
    this.#abandoned = true;
    this.#waiting.length = 0;
  }

  #enqueue(entry: Waiting): void {
    if (this.#abandoned) return;
    const isReading = this.#waiting.length > 0;
    this.#waiting.push(entry);
    if (!isReading) this.#flush();
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
      else this.#port.send(entry.data, entry.isText);
    }
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
      this.#failed(new SecureWebSocketError('BLOB_UNREADABLE', message, { cause }));
      return;
    }
    if (this.#abandoned) return;
    const entry = this.#waiting.shift();
    // What is told as sent is what was read: a stand-in for Blob that lied about its size must not leave a rest.
    if (entry !== undefined && 'length' in entry) this.#buffered += data.length - entry.length;
    this.#port.send(data, false);
    this.#flush();
  }
}
