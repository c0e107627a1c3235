import { page } from '#page';
import { parseAddress } from '../core/address.js';
import { SecureWebSocketError } from '../core/errors.js';
import {
  decodePresenceReport,
  encodePresenceRequest,
  MAX_PRESENCE_KEYS,
  PRESENCE_TARGET,
  type PresenceReport,
  type PresenceState,
} from '../core/presence.js';
import type { ChannelEnd, ChannelPort, ReconnectAttempt } from '../link/channel-port.js';
import { monotonicNow, startTimer, stopTimer, type Timer } from '../link/clock.js';
import { dialChannel, type DialOptions } from '../link/dial.js';
import { Backoff, isTerminal, parseReconnect } from '../link/reconnect-policy.js';
import { waitForAttempt } from '../link/wait-for-attempt.js';
import type { DomEvent, TypedEventTarget, UrlLike } from './dom-types.js';
import { createEvent, createOwnEvent, createReconnectingEvent } from './events.js';
import { toDomString, toWebSocketUrl } from './web-socket-arguments.js';

export type { PresenceState };

/** Options of `watchPresence`: those of a `ClientSecureWebSocket`. `reconnect` is true unless it is given. */
export type PresenceOptions = Omit<DialOptions, 'direct'>;

/** `presence`: of somebody it is known whether it is there, or that has changed. */
export type PresenceEvent = DomEvent & {
  /** 64 lowercase hex characters. */
  readonly publicKey: string;
  /** Whether it is there: that `state` is 'present'. */
  readonly present: boolean;
  /** 'unknown' when the relay does not tell us. */
  readonly state: PresenceState;
};

/** `close`: nothing is watched any more. */
export type PresenceCloseEvent = DomEvent & {
  /** Why; undefined after `close()`. `PRESENCE_REFUSED`: the relay does not tell. */
  readonly error: SecureWebSocketError | undefined;
};

/** The events of a {@link PresenceWatch}. */
export interface PresenceWatchEventMap {
  /** The relay answers from now on. Once. */
  open: DomEvent;
  presence: PresenceEvent;
  /** The relay was lost, or could not be reached, and will be tried again. */
  reconnecting: DomEvent & ReconnectAttempt;
  /** The relay answers again. What has changed meanwhile is told next. */
  reconnected: DomEvent;
  close: PresenceCloseEvent;
}

/** The class `EventTarget`, as a base class. */
interface PresenceEventTargetConstructor {
  new (): TypedEventTarget<PresenceWatchEventMap>;
  readonly prototype: TypedEventTarget<PresenceWatchEventMap>;
}

const EventTargetClass = EventTarget as unknown as PresenceEventTargetConstructor;

/** The relay is asked for a sign of life so often, milliseconds; one that has given none by the next time is lost. */
const LIVENESS_INTERVAL = 30_000;
/** What was asked just to hear something. */
const LIVENESS = 0;
/** "Policy violation": what we do is not welcome, and will not be the next time either. */
const NOT_LIKE_THIS = 1008;

interface Question {
  readonly keys: readonly string[];
  readonly resolve: (states: readonly PresenceState[]) => void;
  readonly reject: (error: SecureWebSocketError) => void;
}

/**
 * Who is present at a relay: which public keys have a connection to it. Made by {@link watchPresence}.
 *
 * It goes on over the loss of the relay, unless `reconnect` is false: what was known stays until the relay says otherwise.
 */
export class PresenceWatch extends EventTargetClass {
  readonly #url: URL;
  readonly #options: PresenceOptions;
  readonly #backoff: Backoff | undefined;
  readonly #states = new Map<string, PresenceState>();
  readonly #questions = new Map<number, Question>();
  #nextQuestion = LIVENESS + 1;
  #port: ChannelPort | undefined;
  #isOpen = false;
  #wasOpen = false;
  #isClosed = false;
  #timer: Timer | undefined;
  /** Whether the relay owes a sign of life. */
  #isAsked = false;
  #stopWaiting: (() => void) | undefined;

  /** @internal Use {@link watchPresence}. */
  constructor(url: string | UrlLike, publicKeys: Iterable<string>, options: PresenceOptions) {
    super();
    const reconnect = parseReconnect(options.reconnect ?? true);
    this.#url = toWebSocketUrl(toDomString(url), page.baseUrl());
    this.#options = { ...options, reconnect: options.reconnect ?? true };
    this.#backoff = reconnect && new Backoff(reconnect, Math.random);
    for (const key of this.#newKeys(publicKeys)) this.#states.set(key, 'unknown');
    this.#dial();
  }

  /** The keys that are watched and known to be present, as of now. */
  get present(): ReadonlySet<string> {
    const present = [...this.#states].filter(([, state]) => state === 'present');
    return new Set(present.map(([key]) => key));
  }

  /** The keys that are watched. */
  get keys(): ReadonlySet<string> {
    return new Set(this.#states.keys());
  }

  /**
   * What is known of a key: 'unknown' also before the relay has said anything, and of a key that is not watched.
   * @throws SecureWebSocketError with an address code when that is no public key
   */
  stateOf(publicKey: string): PresenceState {
    return this.#states.get(normalKey(publicKey)) ?? 'unknown';
  }

  /**
   * Watches these keys, too: `presence` tells what is known of each.
   * @throws SecureWebSocketError with an address code for what is no public key, `INVALID_ARGUMENT` when there would be
   *   more than 1,000; nothing is changed then
   */
  add(publicKeys: Iterable<string>): void {
    const keys = this.#newKeys(publicKeys);
    if (this.#isClosed) return;
    for (const key of keys) this.#states.set(key, 'unknown');
    if (this.#isOpen && keys.length > 0) this.#send({ type: 'watch', keys });
  }

  /** Watches them no longer. */
  remove(publicKeys: Iterable<string>): void {
    const keys = [...publicKeys].map(normalKey).filter(key => this.#states.delete(key));
    if (this.#isOpen && keys.length > 0) this.#send({ type: 'unwatch', keys });
  }

  /**
   * Asks once, of whomever: those that are watched or others. Waits until the relay is in reach.
   *
   * Rejects with a SecureWebSocketError: with an address code for what is no public key, `INVALID_ARGUMENT` for more than
   * 1,000 of them, or with what ended the watch.
   */
  async ask(publicKeys: Iterable<string>): Promise<Map<string, PresenceState>> {
    const keys = [...new Set([...publicKeys].map(normalKey))];
    checkCount(keys.length);
    if (this.#isClosed) throw closed();
    const states = await new Promise<readonly PresenceState[]>((resolve, reject) => {
      const request = this.#nextQuestion;
      this.#nextQuestion = (request % 0xffff_ffff) + 1;
      this.#questions.set(request, { keys, resolve, reject });
      if (this.#isOpen) this.#send({ type: 'ask', request, keys });
    });
    return new Map(keys.map((key, index) => [key, states[index] ?? 'unknown']));
  }

  /** Ends it: `close` follows, and nothing else. */
  close(): void {
    if (this.#isClosed) return;
    this.#port?.close(1000);
    // Not from inside the call.
    queueMicrotask(() => {
      this.#end(undefined);
    });
  }

  /** @throws SecureWebSocketError */
  #newKeys(publicKeys: Iterable<string>): string[] {
    const keys = [...new Set([...publicKeys].map(normalKey))].filter(key => !this.#states.has(key));
    checkCount(this.#states.size + keys.length);
    return keys;
  }

  #send(request: Parameters<typeof encodePresenceRequest>[0]): void {
    this.#port?.send(encodePresenceRequest(request), false);
  }

  #dial(): void {
    const options = { ...this.#options, service: PRESENCE_TARGET, endsWithPeer: true };
    const port = dialChannel(this.#url, [], options, {
      opened: () => {
        this.#opened();
      },
      message: data => {
        this.#message(data);
      },
      reconnecting: attempt => {
        this.#tell(createReconnectingEvent(attempt));
      },
      closed: end => {
        if (this.#port === port) this.#lost(end);
      },
    });
    this.#port = port;
  }

  #opened(): void {
    this.#isOpen = true;
    this.#backoff?.connected(monotonicNow());
    const keys = [...this.#states.keys()];
    if (keys.length > 0) this.#send({ type: 'watch', keys });
    for (const [request, question] of this.#questions) {
      this.#send({ type: 'ask', request, keys: question.keys });
    }
    this.#expectLife();
    this.#tell(createEvent(this.#wasOpen ? 'reconnected' : 'open'));
    this.#wasOpen = true;
  }

  #message(data: Uint8Array): void {
    let report: PresenceReport;
    try {
      report = decodePresenceReport(data);
    } catch (error) {
      this.#port?.terminate(error as SecureWebSocketError);
      return;
    }
    this.#isAsked = false;
    if (report.type === 'changed') {
      for (const [key, state] of report.states) this.#changed(key, state);
      return;
    }
    const question = this.#questions.get(report.request);
    if (question?.keys.length !== report.states.length) return;
    this.#questions.delete(report.request);
    question.resolve(report.states);
  }

  #changed(publicKey: string, state: PresenceState): void {
    // It may have been removed meanwhile, and the first that is heard of a key is worth telling, whatever it is.
    if (!this.#states.has(publicKey)) return;
    this.#states.set(publicKey, state);
    this.#tell(createOwnEvent('presence', { publicKey, present: state === 'present', state }));
  }

  /** Nothing else tells that a relay is gone whose connection stays open. */
  #expectLife(): void {
    stopTimer(this.#timer);
    this.#isAsked = false;
    const look = (): void => {
      if (this.#isAsked) {
        const message = 'The relay gives no answer any more.';
        this.#port?.terminate(new SecureWebSocketError('LINK_LOST', message));
        return;
      }
      this.#isAsked = true;
      this.#send({ type: 'ask', request: LIVENESS, keys: [] });
      this.#timer = startTimer(LIVENESS_INTERVAL, look);
    };
    this.#timer = startTimer(LIVENESS_INTERVAL, look);
  }

  #lost(end: ChannelEnd): void {
    const wasOpen = this.#isOpen;
    this.#isOpen = false;
    this.#port = undefined;
    stopTimer(this.#timer);
    const error = this.#reason(end);
    const now = monotonicNow();
    this.#backoff?.lost(now);
    // Before it was open, whoever dials has tried again as often as it makes sense.
    const isFinal = !wasOpen || end.code === NOT_LIKE_THIS || isTerminal(error);
    const delay = isFinal ? undefined : this.#backoff?.next(now);
    if (delay === undefined || this.#isClosed) {
      this.#end(error);
      return;
    }
    this.#stopWaiting = waitForAttempt(delay, () => {
      this.#stopWaiting = undefined;
      this.#dial();
    });
    this.#tell(createReconnectingEvent({ attempt: this.#backoff?.attempt ?? 1, delay, error }));
  }

  #reason({ code, reason, error }: ChannelEnd): SecureWebSocketError {
    // A relay that offers nothing at its own key takes nothing there.
    if (error?.code === 'PEER_REFUSED' || error?.code === 'CHANNEL_REFUSED') {
      const message = `The relay at ${this.#url.origin} does not tell us who is present (its option "presence").`;
      return new SecureWebSocketError('PRESENCE_REFUSED', message, { cause: error });
    }
    const why = reason && `: ${reason}`;
    return error ?? new SecureWebSocketError('LINK_LOST', `The relay has ended it (${String(code)}${why}).`);
  }

  #end(error: SecureWebSocketError | undefined): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#isOpen = false;
    this.#port = undefined;
    stopTimer(this.#timer);
    this.#stopWaiting?.();
    this.#states.clear();
    const questions = [...this.#questions.values()];
    this.#questions.clear();
    for (const { reject } of questions) reject(error ?? closed());
    super.dispatchEvent(createOwnEvent('close', { error }));
  }

  #tell(event: DomEvent): void {
    if (!this.#isClosed) super.dispatchEvent(event);
  }
}

/**
 * Watches who is present at a relay: which of these public keys have a connection to it. The relay has to allow it.
 *
 * ```ts
 * const watch = watchPresence('wss://relay.example', [alice, bob], { identity });
 * watch.addEventListener('presence', ({ publicKey, present }) => show(publicKey, present));
 * ```
 *
 * @param url of the relay; without a key and without a space
 * @param publicKeys at most 1,000, 64 hex characters each; `add` and `remove` change them
 * @param options who this end is and whom it trusts, as for a socket: with the same ones it uses the same connection
 * @throws SecureWebSocketError with an address code for what is no public key, `INVALID_ARGUMENT` for more than 1,000, or
 *   a URL with a key or a space
 * @throws TypeError when `reconnect` is not valid
 * @throws DOMException `SyntaxError` for a URL that is none of a WebSocket
 */
export function watchPresence(
  url: string | UrlLike,
  publicKeys: Iterable<string> = [],
  options: PresenceOptions = {},
): PresenceWatch {
  return new PresenceWatch(url, publicKeys, options);
}

function normalKey(publicKey: string): string {
  // One key has one address.
  parseAddress(publicKey);
  return publicKey;
}

function checkCount(count: number): void {
  if (count <= MAX_PRESENCE_KEYS) return;
  throw new SecureWebSocketError(
    'INVALID_ARGUMENT',
    `No more than ${String(MAX_PRESENCE_KEYS)} keys can be asked about at a time, not ${String(count)}.`,
  );
}

function closed(): SecureWebSocketError {
  return new SecureWebSocketError('ABORTED', 'The watch was closed.');
}
