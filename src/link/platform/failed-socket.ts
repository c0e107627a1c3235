import type { RawSocket, RawSocketListener } from '../../websocket/raw-socket.js';

/** Stands for a socket that could not even be made, so that `connect` need not throw: tells `closed` in a later task. */
export class FailedSocket implements RawSocket {
  readonly bufferedAmount = 0;
  readonly tellsDrained = true;

  constructor(listener: RawSocketListener, detail: string) {
    setTimeout(() => {
      listener.closed(1006, '', detail);
    }, 0);
  }

  send(): void {
    // Nobody is there.
  }

  close(): void {
    // `closed` is on its way already.
  }

  terminate(): void {
    // The same.
  }

  pause(): void {
    // Nothing comes.
  }

  resume(): void {
    // The same.
  }
}
