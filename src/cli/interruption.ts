import type { Io, Signal } from './io.js';
import type { Terminal } from './terminal.js';

/** Resolves at the first signal. A second one ends the process at once (see Io). */
export function interruption(io: Io, terminal: Terminal): Promise<Signal> {
  return new Promise(resolve => {
    io.onSignal(signal => {
      terminal.hurry();
      resolve(signal);
    });
  });
}
