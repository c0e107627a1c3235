import { isUtf8 } from 'node:buffer';
import type { Signal } from './io.js';
import type { Peer, PeerEnd, PeerListener } from './peer.js';
import { printableMessage } from './printable.js';
import type { Terminal } from './terminal.js';

/** While a peer has more than this waiting, bytes, no more input is read. */
const HIGH_WATER = 1_048_576;
/** The same of messages given to a peer that is out of reach: the shortest take memory, too. */
const MAX_KEPT = 4_096;
/** With several peers, those that keep the others waiting for so long are dropped. Milliseconds. */
export const PATIENCE = 30_000;
/** How long a peer may take to answer when it is told that we leave. Milliseconds. */
const FAREWELL = 2_000;
/** Hex characters of a key by which somebody is called where there is no room for all. */
const NAME_LENGTH = 8;

/** RFC 6455 section 7.4.1. */
export const CloseCode = { NORMAL: 1000, GOING_AWAY: 1001, POLICY_VIOLATION: 1008, TRY_AGAIN_LATER: 1013 };

/** What ended an exchange from this side. */
export type LocalEnd =
  | { readonly by: 'signal'; readonly signal: Signal }
  /** Nobody reads our output any more; with an error, it cannot be written. */
  | { readonly by: 'output'; readonly error: Error | undefined }
  /** The input cannot be read. */
  | { readonly by: 'input'; readonly error: unknown };

export interface ExchangeOptions {
  /** Bytes as they come, in both directions, instead of lines. */
  readonly binary: boolean;
  /** True: at the end of the input close, whatever the peers still have to say. False: when their input has ended, too. */
  readonly closeAtEnd: boolean;
}

/** Who wants to know when a peer is out of reach and back: see PeerListener. */
export type ReachWatcher = Pick<PeerListener, 'suspended' | 'resumed'>;

interface Member {
  readonly peer: Peer;
  /** It has said that its input has ended. */
  hasEnded: boolean;
  /** It is out of reach. */
  isAway: boolean;
  /** Messages that were given to it since. */
  kept: number;
}

/**
 * Moves data between the terminal and any number of peers, both ways, at the pace of the slowest: what cannot leave is
 * not read.
 */
export class Exchange {
  /** All input was read and given to peers. Never settles when the input fails: see `localEnd`. */
  readonly inputEnd: Promise<void>;
  /** Resolves when there is a reason on this side to stop. */
  readonly localEnd: Promise<LocalEnd>;
  readonly #terminal: Terminal;
  readonly #options: ExchangeOptions;
  readonly #members = new Set<Member>();
  #inputEnded = false;
  #holdsInput = false;
  #isLeaving = false;
  #waiting: (() => void)[] = [];

  constructor(terminal: Terminal, options: ExchangeOptions, interrupted: Promise<Signal>) {
    this.#terminal = terminal;
    this.#options = options;
    const outputEnd = new Promise<LocalEnd>(resolve => {
      terminal.watchOutput({
        drained: () => {
          for (const { peer } of this.#members) peer.resume();
          // When what the peers have kept back has been shown.
          setImmediate(() => {
            this.#closeEnded();
          });
        },
        ended: error => {
          resolve({ by: 'output', error });
        },
      });
    });
    const pump = this.#pump();
    this.localEnd = Promise.race([
      interrupted.then(signal => ({ by: 'signal', signal }) as const),
      outputEnd,
      pump.then(never, (error: unknown) => ({ by: 'input', error }) as const),
    ]);
    this.inputEnd = pump.catch(never);
  }

  /** How many peers are connected. */
  get size(): number {
    return this.#members.size;
  }

  /** Whether there is input that nobody has got. */
  async hasUnsentInput(): Promise<boolean> {
    if (this.#inputEnded || this.#holdsInput) return this.#holdsInput;
    const isUnread = await this.#terminal.hasUnreadInput();
    // It may have gone to the pump.
    return isUnread || this.#holdsInput;
  }

  /** Takes a peer in, until it is gone: then `closed` is called. */
  add(peer: Peer, closed: (end: PeerEnd) => void, watcher?: ReachWatcher): void {
    const member: Member = { peer, hasEnded: false, isAway: false, kept: 0 };
    this.#members.add(member);
    peer.start({
      message: (data, isText, from) => {
        this.#show(peer, data, isText, from);
      },
      inputEnded: () => {
        member.hasEnded = true;
        this.#closeEnded();
      },
      progress: () => {
        this.#changed();
        this.#closeEnded();
      },
      suspended: error => {
        member.isAway = true;
        watcher?.suspended(error);
      },
      resumed: isNew => {
        member.isAway = false;
        member.kept = 0;
        if (isNew) member.hasEnded = false;
        watcher?.resumed(isNew);
        this.#changed();
        this.#closeEnded();
      },
      closed: end => {
        this.#members.delete(member);
        this.#changed();
        closed(end);
      },
    });
    if (this.#terminal.isFull) peer.pause();
    if (this.#inputEnded) peer.endInput();
    this.#changed();
  }

  /** Closes with everybody. Resolves when all are gone, or were given time enough. */
  async dismiss(code: number, reason: string): Promise<void> {
    this.#isLeaving = true;
    for (const { peer, isAway } of this.#members) {
      // Who is out of reach cannot be told.
      if (isAway) {
        peer.terminate();
        continue;
      }
      peer.close(code, reason);
      // Its answer comes behind what has not been shown yet.
      peer.resume();
    }
    const timer = setTimeout(() => {
      for (const { peer } of [...this.#members]) peer.terminate();
    }, FAREWELL);
    await this.#until(() => this.#members.size === 0);
    clearTimeout(timer);
  }

  /** What somebody is called on the terminal. */
  nameOf(peer: Pick<Peer, 'publicKey'>): string {
    return peer.publicKey.slice(0, NAME_LENGTH);
  }

  /** Input to peers. */
  async #pump(): Promise<void> {
    const { binary, closeAtEnd } = this.#options;
    const input = this.#terminal.input(binary)[Symbol.asyncIterator]();
    for (;;) {
      // What is piped waits for somebody who gets it; what is typed is not kept for a stranger.
      if (!this.#terminal.isTyped) await this.#until(() => this.#open.length > 0);
      const next = await input.next();
      if (next.done === true) break;
      await this.#send(next.value);
    }
    if (closeAtEnd) {
      // The time for the closing handshake begins when it does: not while much is waiting, or nobody hears of it.
      await this.#until(() => this.#open.every(({ peer, isAway }) => !isAway && peer.bufferedAmount === 0));
      this.#inputEnded = true;
      for (const { peer } of this.#open) peer.close(CloseCode.NORMAL);
    } else {
      this.#inputEnded = true;
      for (const { peer } of this.#open) peer.endInput();
      this.#closeEnded();
    }
  }

  async #send(data: Uint8Array): Promise<void> {
    if (this.#terminal.isTyped) {
      if (this.#open.length === 0) this.#terminal.status('Nobody is connected: this was not sent.');
    } else {
      this.#holdsInput = true;
      await this.#until(() => this.#open.length > 0);
      this.#holdsInput = false;
    }
    for (const member of this.#open) {
      member.peer.send(data, !this.#options.binary);
      if (member.isAway) member.kept++;
    }
    if (this.#slow.length > 0) await this.#room();
  }

  async #room(): Promise<void> {
    const timer = setInterval(() => {
      const slow = this.#slow;
      // If nobody waits for them, they may take their time.
      if (slow.length === this.#open.length) return;
      for (const { peer } of slow) {
        this.#terminal.status(`Dropped ${this.nameOf(peer)}: it kept the others waiting.`);
        peer.terminate();
      }
    }, PATIENCE);
    try {
      await this.#until(() => this.#slow.length === 0);
    } finally {
      clearInterval(timer);
    }
  }

  get #open(): Member[] {
    return [...this.#members].filter(({ peer }) => peer.isOpen);
  }

  get #slow(): Member[] {
    return this.#open.filter(({ peer, kept }) => peer.bufferedAmount > HIGH_WATER || kept > MAX_KEPT);
  }

  /** Where both ends have said all, and it has been sent and shown, the connection is over. */
  #closeEnded(): void {
    if (!this.#inputEnded || this.#terminal.isFull) return;
    for (const { peer, hasEnded, isAway } of this.#members) {
      if (hasEnded && !isAway && peer.isOpen && peer.bufferedAmount === 0) peer.close(CloseCode.NORMAL);
    }
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>(resolve => {
        this.#waiting.push(resolve);
      });
    }
  }

  #changed(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  /** One message of a peer to the output. */
  #show(peer: Peer, data: Uint8Array, isText: boolean, sender?: string): void {
    const terminal = this.#terminal;
    if (this.#isLeaving && terminal.isFull) return;
    if (this.#options.binary) {
      if (data.length > 0) terminal.write(data);
    } else if (!terminal.showsMessages) {
      terminal.write(Buffer.concat([data, Buffer.from('\n')]));
    } else {
      const speaker = sender ? { publicKey: sender } : this.#members.size > 1 ? peer : undefined;
      const from = speaker ? `${this.nameOf(speaker)}: ` : '';
      if (isText || isUtf8(data)) terminal.print(from + printableMessage(Buffer.from(data).toString()));
      else terminal.status(`${from}a binary message of ${data.length} bytes, which --binary would show`);
    }
    if (terminal.isFull && !this.#isLeaving) for (const member of this.#members) member.peer.pause();
  }
}

function never(): Promise<never> {
  return new Promise(() => undefined);
}
