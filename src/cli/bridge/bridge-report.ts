import { describeError } from '../../core/describe-error.js';
import type { ReconnectAttempt } from '../../link/channel-port.js';
import { ReachReport } from '../reach.js';
import type { Terminal } from '../terminal.js';
import type { ConnectionEnd } from './bridge-end.js';
import type { Refusal } from './refusal.js';

/** What a command that bridges connections says while it runs. Neither paths nor messages nor tokens are among it. */
export interface BridgeReport {
  /** `url`: where it can be connected to. `publicKey`: who it is. */
  listening(url: string, publicKey: string, to: string): void;
  connected(number: number, peerPublicKey: string | undefined): void;
  disconnected(number: number, end: ConnectionEnd): void;
  /** A client was turned away. */
  refused(refusal: Refusal): void;
  /** The far end of a connection is out of reach; the near one stays. */
  suspended(number: number, error: Error): void;
  resumed(number: number): void;
  /** The relay that we listen at was lost. */
  reconnecting(attempt: ReconnectAttempt): void;
  reconnected(): void;
  closing(connections: number): void;
}

/** For people, on stderr. */
export class TextBridgeReport implements BridgeReport {
  readonly #terminal: Terminal;
  readonly #isVerbose: boolean;
  readonly #reach: ReachReport;
  readonly #away = new Set<number>();
  readonly #refusals = new Map<string, number>();

  constructor(terminal: Terminal, isVerbose: boolean) {
    this.#terminal = terminal;
    this.#isVerbose = isVerbose;
    this.#reach = new ReachReport(terminal);
  }

  listening(url: string, publicKey: string, to: string): void {
    // The first line is the address and nothing else, for scripts.
    this.#terminal.highlight(url);
    this.#terminal.status(`Leads to ${to}`);
    this.#terminal.status(`Our public key: ${publicKey}`);
    this.#terminal.status('Press Ctrl-C to stop.');
  }

  connected(number: number, peerPublicKey: string | undefined): void {
    const peer = peerPublicKey === undefined ? '' : ` with ${peerPublicKey}`;
    this.#log(`+ connection ${number}${peer}`);
  }

  disconnected(number: number, { code, reason, error }: ConnectionEnd): void {
    this.#back(number);
    const why = error?.message ?? reason;
    this.#log(`- connection ${number} (${code}${why === '' ? '' : `: ${why}`})`);
  }

  /** Those for one reason are told ever less often: any web page can cause them. */
  refused({ status, message }: Refusal): void {
    const text = `Refused with ${status}: ${message}`;
    // What clients choose is in some of them.
    if (this.#refusals.size > 100) this.#refusals.clear();
    const count = (this.#refusals.get(text) ?? 0) + 1;
    this.#refusals.set(text, count);
    const isPowerOfTwo = (count & (count - 1)) === 0;
    if (!this.#isVerbose && !isPowerOfTwo) return;
    this.#terminal.status(count === 1 ? text : `${text} (${count} times so far)`);
  }

  suspended(number: number, error: Error): void {
    if (this.#away.size === 0) this.#terminal.status(`Out of reach: ${error.message} Connections are kept.`);
    this.#away.add(number);
    this.#log(`~ connection ${number} is out of reach`);
  }

  resumed(number: number): void {
    this.#log(`~ connection ${number} goes on`);
    this.#back(number);
  }

  reconnecting(attempt: ReconnectAttempt): void {
    this.#reach.reconnecting('Lost the relay', attempt);
  }

  reconnected(): void {
    this.#reach.back('Listening again.');
  }

  closing(connections: number): void {
    if (connections > 0)
      this.#terminal.status(`Closing ${connections} connection${connections === 1 ? '' : 's'}.`);
  }

  #back(number: number): void {
    if (this.#away.delete(number) && this.#away.size === 0)
      this.#terminal.status('Nobody is out of reach any more.');
  }

  #log(text: string): void {
    if (this.#isVerbose) this.#terminal.status(text);
  }
}

/** For programs: one JSON object per line on stdout. */
export class JsonBridgeReport implements BridgeReport {
  readonly #terminal: Terminal;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  listening(url: string, publicKey: string, to: string): void {
    this.#write('listening', { url, publicKey, to });
  }

  connected(connection: number, peerPublicKey: string | undefined): void {
    this.#write('connected', { connection, peerPublicKey });
  }

  disconnected(connection: number, { code, reason, error }: ConnectionEnd): void {
    this.#write('disconnected', { connection, code, reason, error: error?.message });
  }

  refused({ status, message }: Refusal): void {
    this.#write('refused', { status, message });
  }

  suspended(connection: number, error: Error): void {
    this.#write('suspended', { connection, error: error.message });
  }

  resumed(connection: number): void {
    this.#write('resumed', { connection });
  }

  reconnecting({ attempt, delay, error }: ReconnectAttempt): void {
    this.#write('reconnecting', { attempt, delay: Math.round(delay), error: describeError(error) });
  }

  reconnected(): void {
    this.#write('reconnected', {});
  }

  closing(connections: number): void {
    this.#write('closing', { connections });
  }

  #write(event: string, fields: object): void {
    this.#terminal.print(JSON.stringify({ event, time: new Date().toISOString(), ...fields }));
  }
}
