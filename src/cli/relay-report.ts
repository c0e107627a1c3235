import { describeError } from '../core/describe-error.js';
import type { RelayClient } from '../relay/relay.js';
import type { Reloadable, RelayRefusal } from '../relay/relay-observer.js';
import type { Signal } from './io.js';
import { printable } from './printable.js';
import type { Terminal } from './terminal.js';

/** Hex characters of a key in the log: enough to tell clients apart. */
const SHORT_KEY = 8;

/** What a relay says about itself while it runs. */
export interface RelayReport {
  /** `urls`: where it can be dialled, the best first. `internalUrl`: its status page. */
  listening(publicKey: string, urls: readonly string[], internalUrl: string | undefined): void;
  connected(client: RelayClient): void;
  disconnected(client: RelayClient, code: number): void;
  refused(refusal: RelayRefusal): void;
  /** It ends at once. */
  closing(signal: Signal, connections: number): void;
  /** It ends when all have had time to go elsewhere. */
  draining(signal: Signal, connections: number): void;
  /** That is over. */
  drained(): void;
  /** A file was read again because it has changed, or could not be: what was in use before stays in use. */
  reloaded(what: Reloadable, error?: Error): void;
  /** All of them were looked at, because somebody asked; what came of each is told by `reloaded`. */
  reload(error?: unknown): void;
}

/** For people, on stdout. */
export class TextReport implements RelayReport {
  readonly #terminal: Terminal;
  readonly #verbose: boolean;

  constructor(terminal: Terminal, verbose: boolean) {
    this.#terminal = terminal;
    this.#verbose = verbose;
  }

  listening(publicKey: string, urls: readonly string[], internalUrl: string | undefined): void {
    const [url = '', ...others] = urls;
    const also = others.map(other => `also at     ${other}`);
    const status = internalUrl === undefined ? [] : [`Status at   ${internalUrl}`];
    for (const line of [
      `Relay at    ${url}`,
      ...also,
      `Public key  ${publicKey}`,
      ...status,
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
    this.#terminal.status(`${signal}: closing ${counted(connections)}.`);
  }

  draining(signal: Signal, connections: number): void {
    this.#terminal.status(
      `${signal}: ${counted(connections)} will move elsewhere. Another signal ends all of it at once.`,
    );
  }

  drained(): void {
    this.#terminal.status('Nobody is connected any more.');
  }

  reloaded(what: Reloadable, error?: Error): void {
    const { name, was } = RELOADABLES[what];
    if (error === undefined) this.#terminal.status(`The ${name} ${was} read again.`);
    else
      this.#terminal.error(
        `The new ${name} cannot be used: ${error.message}`,
        'What was in use before, if anything, stays in use.',
      );
  }

  reload(error?: unknown): void {
    if (error === undefined) this.#terminal.status('SIGHUP: every file was looked at again.');
    else this.#terminal.error(`SIGHUP: not every file could be looked at again: ${describeError(error)}`);
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

  listening(publicKey: string, urls: readonly string[], internalUrl: string | undefined): void {
    this.#write('listening', { url: urls[0], urls, publicKey, internalUrl });
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

  draining(signal: Signal, connections: number): void {
    this.#write('draining', { signal, connections });
  }

  drained(): void {
    this.#write('drained', {});
  }

  reloaded(what: Reloadable, error?: Error): void {
    this.#write('reloaded', { what, error: error?.message });
  }

  reload(error?: unknown): void {
    this.#write('reload', { error: error === undefined ? undefined : describeError(error) });
  }

  #write(event: string, fields: object): void {
    this.#terminal.print(JSON.stringify({ event, time: new Date().toISOString(), ...fields }));
  }
}

function shortened(publicKey: string): string {
  return publicKey.slice(0, SHORT_KEY);
}

function counted(connections: number): string {
  return `${connections} ${connections === 1 ? 'connection' : 'connections'}`;
}

const RELOADABLES: Readonly<Record<Reloadable, { readonly name: string; readonly was: 'was' | 'were' }>> = {
  certificate: { name: 'certificate', was: 'was' },
  allow: { name: 'list of allowed keys', was: 'was' },
  deny: { name: 'list of denied keys', was: 'was' },
  jwt: { name: 'keys for tokens', was: 'were' },
  reach: { name: 'rules about who may reach whom', was: 'were' },
};
