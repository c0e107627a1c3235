import type { Io } from './io.js';
import { interruption } from './interruption.js';
import type { RelayReport } from './relay-report.js';
import type { Terminal } from './terminal.js';

/** What keeping a relay running needs of it. */
export interface OperatedRelay {
  /** Registered connections. */
  readonly connections: number;
  /** Ends everything, at once. */
  close(): Promise<void>;
  /** Ends everything so that clients have the time to go elsewhere. */
  drain(): Promise<void>;
  /** Reads certificates, keys, lists and rules again. */
  reload(): Promise<void>;
}

/** Signals of the process, from now on. */
export interface Signals {
  /** Obeys them for `relay`. Resolves when it has ended. */
  operate(relay: OperatedRelay, report: RelayReport): Promise<void>;
}

/**
 * Begins to listen to signals: SIGINT closes, as whoever presses Ctrl-C does not want to wait; SIGTERM drains, which is
 * what service managers send; a second one of either ends the process at once (see Io). SIGHUP reloads.
 */
export function listenToSignals(io: Io, terminal: Terminal): Signals {
  const interrupted = interruption(io, terminal);
  // Before there is a relay there is nothing to be read again.
  let reload: (() => void) | undefined;
  io.onHangup(() => {
    reload?.();
  });
  return {
    operate: async (relay, report) => {
      let isReloading = false;
      let isWanted = false;
      const again = async (): Promise<void> => {
        isWanted = true;
        if (isReloading) return;
        isReloading = true;
        // Files may have changed behind the one that is being read: one more for all who have asked meanwhile.
        while (isWanted) {
          isWanted = false;
          try {
            await relay.reload();
            report.reload();
          } catch (error) {
            report.reload(error);
          }
        }
        isReloading = false;
      };
      reload = () => void again();
      const signal = await interrupted;
      reload = undefined;
      if (signal === 'SIGINT') {
        report.closing(signal, relay.connections);
        await relay.close();
      } else {
        report.draining(signal, relay.connections);
        await relay.drain();
        report.drained();
      }
    },
  };
}
