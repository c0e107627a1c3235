import { fromHex } from '../../../src/core/bytes.js';
import { Identity } from '../../../src/core/identity.js';
import { ClientSecureWebSocket } from '../../../src/socket/client-secure-web-socket.js';
import { SecureWebSocketServer } from '../../../src/socket/node-secure-web-socket-server.js';
import type { ServerSecureWebSocket } from '../../../src/socket/server-secure-web-socket.js';
import { Random } from './random.js';

export interface WellBehavedOptions {
  /** Where the relay is. */
  readonly url: string;
  /** Its public key, hex. */
  readonly relayKey: string;
  /** Clients that talk with the service all the time. Default 2. */
  readonly clients?: number | undefined;
  readonly seed?: number | undefined;
  /** Milliseconds that a client waits after each round. Default 0. */
  readonly pause?: number | undefined;
  /** Options of `tls.connect`. */
  readonly tls?: Readonly<Record<string, unknown>> | undefined;
}

/** Messages that a client sends before it waits for the answers to all of them. */
const PER_ROUND = 4;
/** Bytes of messages; each round has some of every kind. */
const SIZES = [0, 40, 1_000, 20_000] as const;

/**
 * People who use a relay for what it is there for: clients, and a service that sends back what they say. Each numbers
 * what it says, and looks whether all of it comes, once, in order and whole. Whatever is wrong is a fault, and ends everything
 * that is being waited for.
 */
export class WellBehaved {
  readonly #service: SecureWebSocketServer;
  readonly #options: WellBehavedOptions;
  readonly #clients: Client[] = [];
  readonly #faults: string[] = [];
  readonly #failed = new Set<(error: Error) => void>();
  #seed: number;
  #isStopping = false;
  /** Messages that the service has received. */
  #received = 0;
  #newcomers = 0;
  #turnedAway = 0;

  private constructor(options: WellBehavedOptions, service: SecureWebSocketServer) {
    this.#options = options;
    this.#service = service;
    this.#seed = options.seed ?? 1;
    service.on('connection', socket => {
      this.#serve(socket);
    });
    service.on('error', error => {
      this.#fault(`the service: ${describe(error)}`);
    });
    service.on('reconnecting', ({ error }) => {
      this.#fault(`the service lost the relay: ${describe(error)}`);
    });
  }

  /** Resolves when everybody is connected, and talks. */
  static async start(options: WellBehavedOptions): Promise<WellBehaved> {
    const service = new SecureWebSocketServer({
      relay: options.url,
      serverKey: options.relayKey,
      identity: Identity.generate(),
      pingInterval: 0,
      ...(options.tls && { tls: options.tls }),
    });
    await service.ready;
    const all = new WellBehaved(options, service);
    for (let i = 0; i < (options.clients ?? 2); i++) {
      const client = all.#dial(`client ${i}`);
      await client.opened;
      all.#clients.push(client);
      void client.talk();
    }
    return all;
  }

  /** The public key of the service, 32 bytes. */
  get service(): Uint8Array {
    return fromHex(this.#service.publicKey ?? '');
  }

  /** Connections to the relay that are theirs: of the service, and of each client. */
  get connections(): number {
    return 1 + this.#clients.length;
  }

  /** Messages that came back whole, once and in order. */
  get delivered(): number {
    return this.#clients.reduce((sum, { delivered }) => sum + delivered, 0);
  }

  /** Clients that came, said something and went. */
  get newcomers(): number {
    return this.#newcomers;
  }

  /** How often one of them was not let in, and came again. */
  get turnedAway(): number {
    return this.#turnedAway;
  }

  get faults(): readonly string[] {
    return this.#faults;
  }

  /** Resolves when each client has been answered in `count` rounds more. Rejects when something is wrong with anybody. */
  async rounds(count: number): Promise<void> {
    await this.#orFault(Promise.all(this.#clients.map(client => client.rounds(count))));
  }

  /** Somebody new comes, says something, is answered and goes; comes again, up to `tries` times, when not let in. */
  async newcomer(tries = 1): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const client = this.#dial('a newcomer');
      try {
        await client.opened;
      } catch (error) {
        this.#turnedAway += 1;
        if (attempt < tries) continue;
        this.#fault(`a newcomer was not let in: ${describe(error)}`);
        throw error;
      }
      client.isLastRound = true;
      await this.#orFault(client.talk());
      await this.#orFault(client.leave());
      this.#newcomers += 1;
      return;
    }
  }

  /**
   * Everybody finishes what they say, and goes. Throws when something was lost, doubled, reordered, or ended by itself.
   * Gives how many messages there were.
   */
  async stop(): Promise<number> {
    try {
      for (const client of this.#clients) client.isLastRound = true;
      await this.#orFault(Promise.all(this.#clients.map(client => client.done)));
      await this.#orFault(Promise.all(this.#clients.map(client => client.leave())));
      return this.#received;
    } finally {
      this.terminate();
    }
  }

  /** Everybody goes at once, whatever they were saying. */
  terminate(): void {
    this.#isStopping = true;
    for (const { socket } of this.#clients) socket.close();
    for (const socket of this.#service.clients) socket.terminate();
    this.#service.close();
  }

  #dial(name: string): Client {
    const { url, relayKey, tls } = this.#options;
    const socket = new ClientSecureWebSocket(`${url}/${this.#service.publicKey ?? ''}`, [], {
      identity: Identity.generate(),
      serverKey: relayKey,
      ...(tls && { tls }),
    });
    return new Client(socket, new Random(this.#seed++), this.#options.pause ?? 0, what => {
      this.#fault(`${name} ${what}`);
    });
  }

  #serve(socket: ServerSecureWebSocket): void {
    let expected = 0;
    socket.on('message', (data, isBinary) => {
      this.#received += 1;
      const text = (data as Buffer).toString();
      const number = isBinary ? NaN : numberOf(text);
      if (number !== expected) this.#fault(`the service expected message ${expected}, not ${number}`);
      expected = number + 1;
      socket.send(text);
    });
    socket.on('error', error => {
      this.#fault(`the service's end: ${describe(error)}`);
    });
  }

  #fault(what: string): void {
    if (this.#isStopping) return;
    this.#faults.push(what);
    for (const fail of this.#failed) fail(new Error(this.#faults.join('; ')));
  }

  async #orFault<Result>(result: Promise<Result>): Promise<Result> {
    if (this.#faults.length > 0) throw new Error(this.#faults.join('; '));
    let fail!: (error: Error) => void;
    const failed = new Promise<never>((_, reject) => {
      fail = reject;
    });
    this.#failed.add(fail);
    try {
      return await Promise.race([result, failed]);
    } finally {
      this.#failed.delete(fail);
    }
  }
}

class Client {
  readonly socket: ClientSecureWebSocket;
  readonly opened: Promise<void>;
  /** Resolves when `talk` has come to its end. */
  done: Promise<void> = Promise.resolve();
  isLastRound = false;
  delivered = 0;
  readonly #random: Random;
  readonly #pause: number;
  readonly #fault: (what: string) => void;
  readonly #closed: Promise<number>;
  /** What was said and is not answered. */
  readonly #unanswered: string[] = [];
  #said = 0;
  #rounds = 0;
  #isLeaving = false;
  #answered: () => void = () => undefined;
  readonly #waiting = new Set<{ round: number; resolve: () => void }>();

  constructor(socket: ClientSecureWebSocket, random: Random, pause: number, fault: (what: string) => void) {
    this.socket = socket;
    this.#random = random;
    this.#pause = pause;
    this.#fault = fault;
    let isOpen = false;
    this.opened = new Promise((resolve, reject) => {
      socket.onopen = () => {
        isOpen = true;
        resolve();
      };
      socket.onerror = ({ error }) => {
        if (isOpen) fault(`failed: ${describe(error)}`);
        else reject(error);
      };
    });
    // Whoever is not interested would bring the process down.
    this.opened.catch(() => undefined);
    socket.onmessage = ({ data }) => {
      this.#receive(data);
    };
    this.#closed = new Promise(resolve => {
      socket.onclose = ({ code }) => {
        if (isOpen && !this.#isLeaving) fault(`lost its connection (${code})`);
        resolve(code);
      };
    });
  }

  /** Says as much as a round has, waits for the answers, and begins again. */
  talk(): Promise<void> {
    return (this.done = this.#talk());
  }

  rounds(count: number): Promise<void> {
    return new Promise(resolve => {
      // The one that is under way may have been answered in part already.
      this.#waiting.add({ round: this.#rounds + count + 1, resolve });
    });
  }

  async leave(): Promise<void> {
    this.#isLeaving = true;
    this.socket.close(1000);
    const code = await this.#closed;
    if (code !== 1000) this.#fault(`closed with ${code}`);
  }

  async #talk(): Promise<void> {
    do {
      await new Promise<void>(resolve => {
        this.#answered = resolve;
        for (let i = 0; i < PER_ROUND; i++) this.#say();
      });
      this.#rounds += 1;
      for (const waiting of this.#waiting) {
        if (waiting.round > this.#rounds) continue;
        this.#waiting.delete(waiting);
        waiting.resolve();
      }
      // Whoever else is in this process has a turn.
      const pause = this.#pause;
      await new Promise(resolve => (pause > 0 ? setTimeout(resolve, pause) : setImmediate(resolve)));
    } while (!this.isLastRound && this.socket.readyState === ClientSecureWebSocket.OPEN);
  }

  #say(): void {
    const length = this.#random.below(this.#random.pick(SIZES) + 1);
    const text = `${this.#said++} ${String.fromCharCode(97 + this.#random.below(26)).repeat(length)}`;
    this.#unanswered.push(text);
    this.socket.send(text);
  }

  #receive(data: unknown): void {
    const expected = this.#unanswered.shift();
    if (data !== expected) {
      this.#fault(`expected message ${numberOf(expected)}, and received ${numberOf(data)}`);
      return;
    }
    this.delivered += 1;
    if (this.#unanswered.length === 0) this.#answered();
  }
}

function numberOf(text: unknown): number {
  return typeof text === 'string' ? Number.parseInt(text, 10) : NaN;
}

function describe(error: unknown): string {
  const { code, message } = error as { code?: string; message?: string };
  return `${code ?? ''} ${message ?? String(error)}`.trim();
}
