import {
  decodePresenceRequest,
  encodePresenceReport,
  MAX_PRESENCE_KEYS,
  type PresenceRequest,
  type PresenceState,
} from '../../core/presence.js';
import { SecureWebSocketError } from '../../core/errors.js';
import type { LinkChannel } from '../../link/link-channel.js';
import { startTimer, stopTimer, type Timer } from '../../link/clock.js';
import type { RelayClient } from '../relay-connection.js';
import type { ReservedChannel } from '../../link/link.js';

/**
 * Who may ask who is present: nobody (false), everybody about everybody (true), or whoever the function says, about the
 * public key that it is given (64 hex digits). A function that throws, or rejects, has said no.
 */
export type PresencePolicy = boolean | ((asker: RelayClient, about: string) => boolean | Promise<boolean>);

/** Channels that the connections of one key may have at a time. */
export const MAX_WATCHES_PER_KEY = 16;
/** Keys that all channels together may watch. */
export const MAX_WATCHED = 262_144;
/** Changes are told so often, milliseconds: who comes and goes meanwhile was not away. */
export const CHANGE_INTERVAL = 200;
/** A client that has not read so many bytes is told nothing more, and that asks all the same has to go. */
const MAX_UNREAD = 262_144;
/** Refused for good: RFC 6455 section 7.4.1, "policy violation". */
const NOT_LIKE_THIS = 1008;
/** "Try again later". */
const LATER = 1013;

export interface PresenceHost {
  readonly policy: PresencePolicy;
  isPresent(publicKey: string): boolean;
  /** The registered client that has this connection. */
  client(publicKey: string, connectionId: number): RelayClient | undefined;
  /** The policy threw. */
  failed(error: unknown): void;
}

/**
 * Tells clients who has a connection to the relay, as far as the policy lets them know: once, or now and whenever it
 * changes. Of a key that a client may not know of it hears `unknown`, whether that is there or not.
 *
 * The policy is asked for each key when a client asks or begins to watch, and again before a change is told.
 */
export class Presence {
  readonly #host: PresenceHost;
  readonly #watches = new Map<string, Set<Watch>>();
  /** By asker. */
  readonly #open = new Map<string, number>();
  readonly #changed = new Set<Watch>();
  #watched = 0;
  #timer: Timer | undefined;

  constructor(host: PresenceHost) {
    this.#host = host;
  }

  /** Keys that are watched, each as often as it is. */
  get watched(): number {
    return this.#watched;
  }

  /** A client wants to ask. */
  accept(request: ReservedChannel): void {
    const { peerPublicKey, peerConnectionId } = request;
    const asker = this.#host.client(peerPublicKey, peerConnectionId);
    const count = this.#open.get(peerPublicKey) ?? 0;
    if (!asker) {
      request.refuse(403, 'not registered here');
      return;
    }
    if (count >= MAX_WATCHES_PER_KEY) {
      request.refuse(429, `there are ${String(MAX_WATCHES_PER_KEY)} of these for this key`);
      return;
    }
    this.#open.set(peerPublicKey, count + 1);
    const watch: Watch = new Watch({
      mayKnow: about => this.#mayKnow(asker, about),
      isPresent: about => this.#host.isPresent(about),
      add: key => this.#add(key, watch),
      remove: key => {
        this.#remove(key, watch);
      },
      later: () => {
        this.#note(watch);
      },
    });
    const port = request.accept('', {
      message: data => {
        watch.message(data);
      },
      closed: () => {
        watch.end();
        this.#changed.delete(watch);
        const left = (this.#open.get(peerPublicKey) ?? 1) - 1;
        if (left === 0) this.#open.delete(peerPublicKey);
        else this.#open.set(peerPublicKey, left);
      },
    });
    watch.port = port;
  }

  /** Somebody with this key has come or gone. */
  changed(publicKey: string): void {
    for (const watch of this.#watches.get(publicKey) ?? []) {
      watch.changed(publicKey);
      this.#note(watch);
    }
  }

  close(): void {
    stopTimer(this.#timer);
    this.#timer = undefined;
    this.#changed.clear();
  }

  #note(watch: Watch): void {
    this.#changed.add(watch);
    this.#timer ??= startTimer(CHANGE_INTERVAL, () => {
      this.#timer = undefined;
      const watches = [...this.#changed];
      this.#changed.clear();
      for (const each of watches) each.tell();
    });
  }

  #mayKnow(asker: RelayClient, about: string): boolean | Promise<boolean> {
    const { policy } = this.#host;
    if (typeof policy === 'boolean') return policy;
    const refused = (error: unknown): boolean => {
      this.#host.failed(error);
      return false;
    };
    try {
      const answer = policy(asker, about);
      return typeof answer === 'boolean' ? answer : Promise.resolve(answer).then(isTrue, refused);
    } catch (error) {
      return refused(error);
    }
  }

  #add(key: string, watch: Watch): boolean {
    if (this.#watched >= MAX_WATCHED) return false;
    let watches = this.#watches.get(key);
    if (!watches) this.#watches.set(key, (watches = new Set()));
    watches.add(watch);
    this.#watched++;
    return true;
  }

  #remove(key: string, watch: Watch): void {
    const watches = this.#watches.get(key);
    if (watches?.delete(watch) !== true) return;
    this.#watched--;
    if (watches.size === 0) this.#watches.delete(key);
  }
}

/** What a watch needs of all of them. */
interface WatchOwner {
  mayKnow(about: string): boolean | Promise<boolean>;
  isPresent(about: string): boolean;
  /** False: as many are watched as may be. */
  add(key: string): boolean;
  remove(key: string): void;
  /** `tell` is to be called when changes are told next. */
  later(): void;
}

/** One channel over which a client asks. What it asks is dealt with one after the other. */
class Watch {
  port: LinkChannel | undefined;
  readonly #owner: WatchOwner;
  /** What the client was told of each key that it watches. Undefined: nothing yet. */
  readonly #told = new Map<string, PresenceState | undefined>();
  readonly #changed = new Set<string>();
  #requests: PresenceRequest[] = [];
  #isBusy = false;
  #isOver = false;

  constructor(owner: WatchOwner) {
    this.#owner = owner;
  }

  message(data: Uint8Array): void {
    if (this.#isOver) return;
    try {
      this.#requests.push(decodePresenceRequest(data));
    } catch (error) {
      this.#fail(error instanceof SecureWebSocketError ? error : new SecureWebSocketError('ABORTED', ''));
      return;
    }
    // Until this is answered nothing more is read.
    this.port?.pause();
    void this.#work();
  }

  changed(key: string): void {
    if (this.#told.has(key)) this.#changed.add(key);
  }

  /** Tells what has changed, unless the client does not read. */
  tell(): void {
    void this.#work();
  }

  end(): void {
    this.#isOver = true;
    for (const key of this.#told.keys()) this.#owner.remove(key);
    this.#told.clear();
    this.#changed.clear();
    this.#requests = [];
  }

  async #work(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    for (let request = this.#requests.shift(); request; request = this.#requests.shift()) {
      await this.#handle(request);
    }
    await this.#tellChanges();
    this.#isBusy = false;
    if (this.#isOver) return;
    if (this.#requests.length > 0) void this.#work();
    else this.port?.resume();
    if (this.#changed.size > 0) this.#owner.later();
  }

  async #handle(request: PresenceRequest): Promise<void> {
    if (this.#isOver) return;
    const { keys } = request;
    if (request.type === 'ask') {
      const states = await this.#statesOf(keys);
      if (this.#isUnread) {
        this.#fail(new SecureWebSocketError('TOO_SLOW', 'The client does not read what it asks for.'));
      } else {
        this.#send({ type: 'answer', request: request.request, states });
      }
    } else if (request.type === 'watch') {
      this.#watch(keys);
      await this.#tellChanges();
    } else {
      for (const key of keys) {
        if (!this.#told.delete(key)) continue;
        this.#changed.delete(key);
        this.#owner.remove(key);
      }
    }
  }

  #watch(keys: readonly string[]): void {
    for (const key of keys) {
      // Who asks again is told again.
      if (!this.#told.has(key)) {
        if (this.#told.size >= MAX_PRESENCE_KEYS) {
          this.#close(NOT_LIKE_THIS, `no more than ${String(MAX_PRESENCE_KEYS)} keys`);
          return;
        }
        if (!this.#owner.add(key)) {
          this.#close(LATER, 'the relay watches as many keys as it can');
          return;
        }
      }
      this.#told.set(key, undefined);
      this.#changed.add(key);
    }
  }

  async #tellChanges(): Promise<void> {
    if (this.#isOver || this.#changed.size === 0 || this.#isUnread) return;
    const keys = [...this.#changed];
    this.#changed.clear();
    const states = await this.#statesOf(keys);
    const news = new Map<string, PresenceState>();
    keys.forEach((key, index) => {
      const state = states[index] ?? 'unknown';
      // It may be watched no longer.
      if (!this.#told.has(key) || this.#told.get(key) === state) return;
      this.#told.set(key, state);
      news.set(key, state);
    });
    if (news.size > 0) this.#send({ type: 'changed', states: news });
  }

  /** Whether somebody is there is looked at when it is known who may know. */
  async #statesOf(keys: readonly string[]): Promise<PresenceState[]> {
    const may = await Promise.all(keys.map(async key => this.#owner.mayKnow(key)));
    return keys.map((key, index) => {
      if (may[index] !== true) return 'unknown';
      return this.#owner.isPresent(key) ? 'present' : 'absent';
    });
  }

  get #isUnread(): boolean {
    return (this.port?.channel.bytesKept ?? 0) > MAX_UNREAD;
  }

  #send(report: Parameters<typeof encodePresenceReport>[0]): void {
    if (!this.#isOver) this.port?.send(encodePresenceReport(report), false);
  }

  #close(code: number, reason: string): void {
    this.#requests = [];
    this.port?.close(code, reason);
  }

  #fail(error: SecureWebSocketError): void {
    this.#requests = [];
    this.port?.terminate(error);
  }
}

function isTrue(answer: unknown): boolean {
  return answer === true;
}
