import { SERVICE_RESTART } from '../core/constants.js';
import type { Control } from '../core/control.js';
import { encodeControl } from '../core/frame.js';

/** A client that understands leaves by itself; so much later it is closed, milliseconds. */
const GRACE = 1_000;

/** A registered connection, as far as it has to be asked to leave. */
export interface DrainedConnection {
  send(frame: Uint8Array): void;
  flush(): void;
  close(code: number, reason: string): void;
}

/**
 * Tells every connection when it has to leave, and closes those that are still there then: one after the other, spread at
 * random over `time`, so that they do not all come back at once. Gives the function that ends it at once.
 */
export function drainConnections(
  connections: Iterable<DrainedConnection>,
  { time, tryFor }: { readonly time: number; readonly tryFor: number },
): () => void {
  const timers: NodeJS.Timeout[] = [];
  for (const connection of connections) {
    const reconnectIn = Math.floor(Math.random() * time);
    const control: Control = { type: 'RESTARTING', reconnectIn, tryFor };
    connection.send(encodeControl(control));
    connection.flush();
    timers.push(
      setTimeout(() => {
        connection.close(SERVICE_RESTART, 'The relay is restarting.');
      }, reconnectIn + GRACE),
    );
  }
  return () => {
    for (const timer of timers) clearTimeout(timer);
  };
}

/** How long it takes until everybody has been closed, milliseconds. */
export function drainTime(time: number): number {
  return time + GRACE;
}
