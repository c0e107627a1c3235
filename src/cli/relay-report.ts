import type { RelayClient, RelayRefusal } from '../relay/relay.js';
import type { Signal } from './io.js';
import { printable } from './printable.js';
import type { Terminal } from './terminal.js';

/** Hex characters of a key in the log: enough to tell clients apart. */
const SHORT_KEY = 8;

/** What a relay says about itself while it runs. */
export interface RelayReport {
  /** `urls`: where it can be dialled, the best first. */
  listening(publicKey: string, urls: readonly string[]): void;
  connected(client: RelayClient): void;
  disconnected(client: RelayClient, code: number): void;
  refused(refusal: RelayRefusal): void;
  closing(signal: Signal, connections: number): void;
}

/** For people, on stdout. */
export class TextReport implements RelayReport {
  readonly #terminal: Terminal;
  readonly #verbose: boolean;

  constructor(terminal: Terminal, verbose: boolean) {
    this.#terminal = terminal;
    this.#verbose = verbose;
  }

  listening(publicKey: string, urls: readonly string[]): void {
    const [url = '', ...others] = urls;
    const also = others.map(other => `also at     ${other}`);
    for (const line of [
      `Relay at    ${url}`,
      ...also,
      `Public key  ${publicKey}`,
      '',
      'To be reached through it:   secure-websocket listen --relay ' + url,
      'To reach somebody there:    secure-websocket connect <the address that listen prints>',
      'To accept no other relay:   --server-key ' + publicKey + ' with listen',
      'Press Ctrl-C to stop.',
    ]) {
      this.#terminal.print(line);
    }
  }

  connected({ publicKey, connectionId, remoteAddress = 'an unknown address' }: RelayClient): void {
    this.#log(`+ ${shortened(publicKey)} connection ${connectionId} from ${remoteAddress}`);
  }

  disconnected({ publicKey, connectionId }: RelayClient, code: number): void {
    this.#log(`- ${shortened(publicKey)} connection ${connectionId} (${code})`);
  }

  refused({ remoteAddress = 'an unknown address', code, message }: RelayRefusal): void {
    this.#log(`! ${remoteAddress} refused: ${code}, ${message}`);
  }

  closing(signal: Signal, connections: number): void {
    this.#terminal.status(
      `${signal}: closing ${connections} ${connections === 1 ? 'connection' : 'connections'}.`,
    );
  }

  #log(text: string): void {
    if (this.#verbose) this.#terminal.print(`${new Date().toISOString()} ${printable(text)}`);
  }
}

/** For programs: one JSON object per line on stdout. Keys are whole. */
export class JsonReport implements RelayReport {
  readonly #terminal: Terminal;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  listening(publicKey: string, urls: readonly string[]): void {
    this.#write('listening', { url: urls[0], urls, publicKey });
  }

  connected(client: RelayClient): void {
    this.#write('connection', client);
  }

  disconnected(client: RelayClient, code: number): void {
    this.#write('disconnection', { ...client, code });
  }

  refused(refusal: RelayRefusal): void {
    this.#write('refused', refusal);
  }

  closing(signal: Signal, connections: number): void {
    this.#write('closing', { signal, connections });
  }

  #write(event: string, fields: object): void {
    this.#terminal.print(JSON.stringify({ event, time: new Date().toISOString(), ...fields }));
  }
}

function shortened(publicKey: string): string {
  return publicKey.slice(0, SHORT_KEY);
}
