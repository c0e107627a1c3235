import { ITEM_OVERHEAD } from '../../core/constants.js';
import { SecureWebSocketError } from '../../core/errors.js';
import { encodeServerEvent, EVENTS_TARGET } from '../../core/server-event.js';
import type { ChannelEnd } from '../../link/channel-port.js';
import { monotonicNow, startTimer, stopTimer, type Timer } from '../../link/clock.js';
import type { LinkChannel } from '../../link/link-channel.js';
import type { RelayClient } from '../relay-connection.js';
import type { RelayService } from './relay-service.js';

/** Events that may wait for one connection, bytes. Those that come then are dropped. */
export const MAX_EVENT_QUEUE = 1_048_576;
/** The same for all connections together. An event that waits for many of them counts once, as it is there once. */
export const MAX_TOTAL_EVENT_QUEUE = 67_108_864;
/** So many bytes may be under way to one connection, in memory of its own, until it says that it has them. */
const WINDOW = 262_144;
/** The same, while all connections together have more under way than `MAX_TOTAL_EVENT_QUEUE`. */
const LEAST_WINDOW = 16_384;
/** Channels that are being opened at a time: each takes a handshake. */
const MAX_OPENING = 64;
/** Whoever takes longer than this to open one does not keep others waiting, milliseconds. */
const PATIENCE = 1_000;
/** Whoever would not open one is not asked again before that, milliseconds. */
const RETRY_AFTER = 60_000;
/** A channel that is lost while its client is there, as when its process is another one by now, is opened anew so often. */
const MAX_RETRIES = 3;

/** What was encoded once, however many it goes to. */
interface SharedEvent {
  readonly message: Uint8Array;
  /** In how many queues it waits. */
  waiting: number;
}

type State =
  /** There is no channel, and none was asked for. */
  | 'idle'
  /** Waits until it may be opened. */
  | 'queued'
  | 'opening'
  | 'open'
  /** The client would not open one. */
  | 'deaf';

/** One connection that events go to. */
interface Receiver {
  readonly client: RelayClient;
  state: State;
  port: LinkChannel | undefined;
  queue: SharedEvent[];
  queuedBytes: number;
  /** What the channel kept when it was looked at last, bytes. */
  kept: number;
  retries: number;
  deafUntil: number;
  patience: Timer | undefined;
}

/**
 * Tells clients what the application at the relay has to say: over one channel for each connection, opened with the first
 * event and kept, in order and once. Whoever does not read loses what comes after its queue is full, and nobody else does.
 */
export class ServerEvents {
  readonly #service: Pick<RelayService, 'open'>;
  readonly #receivers = new Map<number, Receiver>();
  /** Those that wait until others are open. */
  readonly #toOpen = new Set<Receiver>();
  #opening = 0;
  #isScheduled = false;
  #queuedBytes = 0;
  #kept = 0;
  #sent = 0;
  #dropped = 0;

  constructor(service: Pick<RelayService, 'open'>) {
    this.#service = service;
  }

  /** How many events were handed to connections, for each connection its own. */
  get sent(): number {
    return this.#sent;
  }

  /** How many were not: there was no room, or the client was gone before, or would not hear of them. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Bytes that wait for connections, those of an event that waits for many counted once. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /**
   * Sends `data` to all of `clients`, which are connected. Gives to how many it is on its way.
   * @throws SecureWebSocketError `MESSAGE_TOO_LARGE`
   */
  emit(clients: Iterable<RelayClient>, space: string, data: string | Uint8Array): number {
    const event: SharedEvent = { message: encodeServerEvent(space, data), waiting: 0 };
    let count = 0;
    for (const client of clients) if (this.#give(this.#receiver(client), event)) count++;
    return count;
  }

  /** A connection is gone, and what waits for it with it. */
  gone(client: RelayClient): void {
    const receiver = this.#receivers.get(client.connectionId);
    if (receiver?.client === client) this.#forget(receiver);
  }

  /** Something has come from a connection: it may have said what it has got. */
  heard(connectionId: number): void {
    const receiver = this.#receivers.get(connectionId);
    if (receiver?.state === 'open') this.#flush(receiver);
  }

  close(): void {
    for (const receiver of [...this.#receivers.values()]) this.#forget(receiver);
  }

  #receiver(client: RelayClient): Receiver {
    const known = this.#receivers.get(client.connectionId);
    if (known?.client === client) return known;
    // It has come back under its connection id: what was there before is on its way out.
    if (known) this.#forget(known);
    const receiver: Receiver = {
      client,
      state: 'idle',
      port: undefined,
      queue: [],
      queuedBytes: 0,
      kept: 0,
      retries: 0,
      deafUntil: 0,
      patience: undefined,
    };
    this.#receivers.set(client.connectionId, receiver);
    return receiver;
  }

  /** False: there is no room for it. */
  #give(receiver: Receiver, event: SharedEvent): boolean {
    const cost = costOf(event);
    const isDeaf = receiver.state === 'deaf' && monotonicNow() < receiver.deafUntil;
    const fits = receiver.queuedBytes === 0 || receiver.queuedBytes + cost <= MAX_EVENT_QUEUE;
    const fitsInAll = event.waiting > 0 || this.#queuedBytes + cost <= MAX_TOTAL_EVENT_QUEUE;
    if (isDeaf || !fits || !fitsInAll) {
      this.#dropped++;
      return false;
    }
    if (event.waiting++ === 0) this.#queuedBytes += cost;
    receiver.queue.push(event);
    receiver.queuedBytes += cost;
    if (receiver.state === 'open') this.#flush(receiver);
    else if (receiver.state === 'idle' || receiver.state === 'deaf') this.#enqueue(receiver);
    return true;
  }

  /** Hands to the channel what may be under way. What is given in one turn leaves in one record. */
  #flush(receiver: Receiver): void {
    const { port, queue } = receiver;
    if (!port) return;
    this.#look(receiver);
    const window = this.#kept > MAX_TOTAL_EVENT_QUEUE ? LEAST_WINDOW : WINDOW;
    let next = 0;
    for (let event = queue[next]; event; event = queue[++next]) {
      if (receiver.kept > 0 && receiver.kept + event.message.length > window) break;
      port.send(event.message, false);
      this.#sent++;
      receiver.queuedBytes -= costOf(event);
      this.#release(event);
      this.#look(receiver);
    }
    queue.splice(0, next);
  }

  /** Brings up to date how much its channel keeps. */
  #look(receiver: Receiver): void {
    const kept = receiver.port?.channel.bytesKept ?? 0;
    this.#kept += kept - receiver.kept;
    receiver.kept = kept;
  }

  #release(event: SharedEvent): void {
    if (--event.waiting === 0) this.#queuedBytes -= costOf(event);
  }

  #drop(receiver: Receiver): void {
    const queue = receiver.queue;
    receiver.queue = [];
    receiver.queuedBytes = 0;
    this.#dropped += queue.length;
    for (const event of queue) this.#release(event);
  }

  // Channels

  #enqueue(receiver: Receiver): void {
    receiver.state = 'queued';
    this.#toOpen.add(receiver);
    this.#schedule();
  }

  /** After what the router has to say of this turn: whoever has come back is known by then. */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      for (const receiver of this.#toOpen) {
        if (this.#opening >= MAX_OPENING) return;
        this.#toOpen.delete(receiver);
        this.#open(receiver);
      }
    });
  }

  #open(receiver: Receiver): void {
    receiver.state = 'opening';
    this.#opening++;
    receiver.patience = startTimer(PATIENCE, () => {
      this.#settle(receiver);
    });
    let port: LinkChannel | undefined;
    const isCurrent = (): boolean => receiver.port !== undefined && receiver.port === port;
    try {
      port = this.#service.open(receiver.client, EVENTS_TARGET, {
        opened: () => {
          if (!isCurrent()) return;
          this.#settle(receiver);
          receiver.state = 'open';
          receiver.retries = 0;
          this.#flush(receiver);
        },
        message: () => {
          // There is nothing that a client could say here; it is read, and that is all.
        },
        closed: end => {
          if (isCurrent()) this.#ended(receiver, end);
        },
      });
      receiver.port = port;
    } catch {
      // The relay is being closed.
      this.#forget(receiver);
    }
  }

  /** It is open, or will not be, or takes its time: the next one's turn. */
  #settle(receiver: Receiver): void {
    if (receiver.patience === undefined) return;
    stopTimer(receiver.patience);
    receiver.patience = undefined;
    this.#opening--;
    if (this.#toOpen.size > 0) this.#schedule();
  }

  #ended(receiver: Receiver, { error }: ChannelEnd): void {
    const wasOpen = receiver.state === 'open';
    this.#settle(receiver);
    receiver.port = undefined;
    this.#look(receiver);
    const isLost = wasOpen || error?.code === 'PEER_GONE' || error?.code === 'SESSION_FAILED';
    if (isLost && receiver.retries++ < MAX_RETRIES) {
      receiver.state = 'idle';
      if (receiver.queue.length > 0) this.#enqueue(receiver);
      return;
    }
    receiver.state = 'deaf';
    receiver.retries = 0;
    receiver.deafUntil = monotonicNow() + RETRY_AFTER;
    this.#drop(receiver);
  }

  #forget(receiver: Receiver): void {
    if (this.#receivers.get(receiver.client.connectionId) === receiver) {
      this.#receivers.delete(receiver.client.connectionId);
    }
    this.#toOpen.delete(receiver);
    const { port } = receiver;
    receiver.port = undefined;
    receiver.state = 'deaf';
    receiver.deafUntil = Infinity;
    this.#settle(receiver);
    this.#look(receiver);
    this.#drop(receiver);
    port?.terminate(new SecureWebSocketError('PEER_GONE', 'The client is gone.'));
  }
}

/** What it counts for, bytes. */
function costOf({ message }: SharedEvent): number {
  return message.length + ITEM_OVERHEAD;
}
