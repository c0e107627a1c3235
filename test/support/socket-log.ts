import { SecureWebSocketError } from '../../src/core/errors.js';
import type { ClientSecureWebSocket } from '../../src/socket/client-secure-web-socket.js';
import type { ServerSecureWebSocket } from '../../src/socket/server-secure-web-socket.js';
import { EventQueue } from './event-queue.js';

/** What happened to a socket, in order: `open`, `message hello`, `error DECRYPT_FAILED`, `close 1006`, `close 1000 clean`. */
export class SocketLog {
  readonly entries: string[] = [];
  /** Texts, and bytes as hex digits, as they come. */
  readonly messages = new EventQueue<string>();
  /** The last `error`. */
  error: unknown;
  /** Rejects when it does not come to that. */
  readonly opened: Promise<void>;
  /** All entries, once the last is there. */
  readonly closed: Promise<string[]>;
  #isOpen!: () => void;
  #didNotOpen!: (error: Error) => void;
  #isClosed!: (entries: string[]) => void;

  constructor() {
    this.opened = new Promise((resolve, reject) => {
      this.#isOpen = resolve;
      this.#didNotOpen = reject;
    });
    this.opened.catch(() => undefined);
    this.closed = new Promise(resolve => {
      this.#isClosed = resolve;
    });
  }

  static ofClient(socket: ClientSecureWebSocket): SocketLog {
    const log = new SocketLog();
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => {
      log.open();
    };
    socket.onmessage = ({ data }) => {
      log.message(typeof data === 'string' ? data : Buffer.from(data as ArrayBuffer).toString('hex'));
    };
    socket.onerror = event => {
      log.failed(event.error);
    };
    socket.onclose = ({ code, wasClean }) => {
      log.close(code, wasClean);
    };
    return log;
  }

  static ofServer(socket: ServerSecureWebSocket): SocketLog {
    const log = new SocketLog();
    log.open();
    socket.on('message', (data, isBinary) => {
      log.message((data as Buffer).toString(isBinary ? 'hex' : 'utf8'));
    });
    socket.on('error', error => {
      log.failed(error);
    });
    socket.on('close', code => {
      log.close(code, code !== 1006);
    });
    return log;
  }

  open(): void {
    this.entries.push('open');
    this.#isOpen();
  }

  message(text: string): void {
    this.entries.push(`message ${text}`);
    this.messages.push(text);
  }

  failed(error: unknown): void {
    this.error = error;
    this.entries.push(`error ${error instanceof SecureWebSocketError ? error.code : String(error)}`);
  }

  close(code: number, wasClean: boolean): void {
    this.entries.push(`close ${code}${wasClean ? ' clean' : ''}`);
    this.#didNotOpen(new Error(`It did not open: ${this.entries.join(', ')}`, { cause: this.error }));
    this.#isClosed(this.entries);
  }
}

/** What a socket that failed for this reason has told, and nothing else. */
export const failedWith = (code: string): string[] => [`error ${code}`, 'close 1006'];
