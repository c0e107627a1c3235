import type { Readable, Writable } from 'node:stream';

export type Signal = 'SIGINT' | 'SIGTERM';

/** All that a command touches of its process: tests give it something else. */
export interface Io {
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: Writable & { readonly isTTY?: boolean };
  readonly stderr: Writable & { readonly isTTY?: boolean };
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Calls `handler` for the first signal. Where nobody has asked, and from the second on, the process ends at once. */
  onSignal(handler: (signal: Signal) => void): void;
  /** Calls `handler` at each SIGHUP. Where nobody has asked, and when the terminal was closed, it ends the process, as the system has it. */
  onHangup(handler: () => void): void;
  /** Has the same effect as the signal, for terminals in raw mode, which do not send one. */
  interrupt(): void;
}
