import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { RelayOptions, RelaySnapshot, RelayStatistics } from '../../../src/relay/relay.js';
import type { Tally } from './tally.js';

/** What a relay in a process of its own says of itself. */
export interface RelayReport {
  /** Bytes, after garbage has been collected. */
  readonly memory: {
    readonly rss: number;
    readonly heapUsed: number;
    readonly external: number;
    readonly arrayBuffers: number;
  };
  /** Seconds of CPU time since it was started. */
  readonly cpu: number;
  readonly statistics: RelayStatistics;
  readonly snapshot: RelaySnapshot;
  /** Its TCP sockets, those that listen included. */
  readonly handles: number;
  /** How often each limit was hit, by its name; each refusal, by its code; each end of a connection, by its status. */
  readonly limited: Tally;
  readonly refused: Tally;
  readonly disconnected: Tally;
}

/** Options that another process can be given. With `audit` there is a log of what happens, which nobody keeps. */
export type RelayProcessOptions = Omit<RelayOptions, 'identity' | 'keyStore' | 'server'>;

/** A relay in a process of its own, so that its memory and its time are its own. */
export class RelayProcess {
  readonly #child: ChildProcess;
  readonly #answers = new Map<number, { resolve: (result: never) => void; reject: (error: Error) => void }>();
  #asked = 0;
  #isClosing = false;
  url = '';
  /** Hex. */
  publicKey = '';
  internalUrl: string | undefined;
  /** Rejects when the process ends by itself. */
  readonly died: Promise<never>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.on('message', ({ id, result, error }: { id: number; result: never; error?: string }) => {
      const answer = this.#answers.get(id);
      this.#answers.delete(id);
      if (error === undefined) answer?.resolve(result);
      else answer?.reject(new Error(error));
    });
    this.died = once(child, 'exit').then(([code, signal]) => {
      const error = new Error(`The relay's process ended (${String(code ?? signal)}).`);
      for (const { reject } of this.#answers.values()) reject(error);
      this.#answers.clear();
      // It was asked to.
      if (this.#isClosing) return new Promise<never>(() => undefined);
      throw error;
    });
    this.died.catch(() => undefined);
  }

  /** `program`: `relay-process-main.ts`, bundled. */
  static async start(program: string, options: RelayProcessOptions): Promise<RelayProcess> {
    const relay = new RelayProcess(fork(program, { execArgv: ['--expose-gc'], serialization: 'advanced' }));
    const { url, publicKey, internalUrl } = await relay.#ask<
      Pick<RelayProcess, 'url' | 'publicKey' | 'internalUrl'>
    >('start', options);
    Object.assign(relay, { url, publicKey, internalUrl });
    return relay;
  }

  /** Collects garbage, and tells what is left. */
  report(): Promise<RelayReport> {
    return this.#ask('report');
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    // It may go before it has answered.
    this.#ask('close').catch(() => undefined);
    await exited;
  }

  kill(): void {
    this.#isClosing = true;
    this.#child.kill('SIGKILL');
  }

  #ask<Result>(ask: string, argument?: unknown): Promise<Result> {
    return new Promise((resolve, reject) => {
      const id = this.#asked++;
      this.#answers.set(id, { resolve, reject });
      this.#child.send({ id, ask, argument }, error => {
        if (error) reject(error);
      });
    });
  }
}
