import type { Observation } from './conformance-case.js';

/** The part of a server's `ws`-style socket that is used, so that `ws` itself and this library's servers fit. */
export interface ServerSocket {
  on(event: 'message', listener: (data: Uint8Array, isBinary: boolean) => void): unknown;
  on(event: 'close', listener: (code: number, reason: Uint8Array) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  send(data: string | Uint8Array, options?: { binary?: boolean }): void;
  close(code?: number, reason?: string): void;
  terminate(): void;
}

interface Deferred {
  readonly promise: Promise<Observation>;
  readonly resolve: (observation: Observation) => void;
}

/**
 * The server that the conformance cases need. What it does with a connection is told by the query of its target:
 *
 * - nothing: sends every message back
 * - `greet=<n>`: sends 'greeting 1' to 'greeting n' at once
 * - `close=<code>&reason=<text>`: closes at once, without a code when it is empty
 * - `drop`: ends the connection at once without a closing handshake
 * - `id=<id>`: remembers what it saw of the connection; a connection to `/observe?id=<id>` that says anything is told
 *   once the first is over
 */
export class ConformanceServer {
  readonly #observations = new Map<string, Deferred>();

  /** `handleProtocols` of `ws`: the one that the query names as `choose`, false for `choose=`; else the first. */
  handleProtocols(protocols: Set<string>, target: string): string | false {
    const choice = query(target).get('choose');
    return (choice ?? [...protocols][0]) || false;
  }

  /** `verifyClient` of `ws`: a target with `refuse` is not served. */
  accepts(target: string): boolean {
    return !query(target).has('refuse');
  }

  /** Serves one connection. `target` is path and query. */
  serve(socket: ServerSocket, target: string): void {
    const parameters = query(target);
    const id = parameters.get('id');
    socket.on('error', () => undefined);
    if (id !== null && target.startsWith('/observe')) {
      socket.on('message', () => {
        void this.#observation(id).promise.then(seen => socket.send(JSON.stringify(seen)));
      });
      return;
    }
    const messages: (string | number[])[] = [];
    socket.on('message', (data, isBinary) => {
      if (id !== null)
        messages.push(isBinary ? [...data] : new TextDecoder('utf-8', { ignoreBOM: true }).decode(data));
      socket.send(data, { binary: isBinary });
    });
    socket.on('close', (code, reason) => {
      if (id !== null)
        this.#observation(id).resolve({ messages, code, reason: new TextDecoder().decode(reason) });
    });
    for (let n = 1; n <= Number(parameters.get('greet')); n++) socket.send(`greeting ${n}`);
    if (parameters.has('close')) {
      socket.close(Number(parameters.get('close')) || undefined, parameters.get('reason') ?? undefined);
    }
    if (parameters.has('drop')) socket.terminate();
  }

  #observation(id: string): Deferred {
    let deferred = this.#observations.get(id);
    if (deferred === undefined) {
      let resolve!: (observation: Observation) => void;
      const promise = new Promise<Observation>(settle => (resolve = settle));
      deferred = { promise, resolve };
      this.#observations.set(id, deferred);
    }
    return deferred;
  }
}

function query(target: string): URLSearchParams {
  return new URL(target, 'ws://conformance').searchParams;
}
