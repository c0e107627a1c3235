import { fromBase64Url, fromHex } from '../core/bytes.js';
import { SecureWebSocketError } from '../core/errors.js';
import type { Identity } from '../core/identity.js';
import { Membership, type MembershipEvent } from '../core/space/membership.js';
import { platform } from '#platform';
import type {
  ChannelEnd,
  ChannelInformation,
  ChannelListener,
  ChannelPort,
  SpaceMember,
  SpaceView,
} from './channel-port.js';
import { wallClock } from './clock.js';
import type { Link } from './link.js';
import type { AttachedSpace, SpaceOwner } from './link-spaces.js';
import { parseSpaceOptions, type SpaceOptions } from './space-options.js';

/** What every message that waits for its reader counts for beyond its payload, bytes: many tiny ones take memory, too. */
const MESSAGE_OVERHEAD = 64;

export interface SpacePortOptions {
  readonly name: string;
  /** Whether it outlives its links. */
  readonly stay: boolean;
  readonly space?: SpaceOptions | undefined;
  /** Largest message that is accepted, bytes. */
  readonly maxPayload: number;
  /** So many bytes of what has come may wait for the reader; with more the port fails with `BUFFER_FULL`. */
  readonly maxBuffered: number;
}

/** Somebody who has asked who is there. */
interface Refreshing {
  readonly resolve: () => void;
  readonly reject: (error: SecureWebSocketError) => void;
}

/** What is told when the reader is ready for it. */
type Held = Extract<MembershipEvent, { type: 'message' | 'joined' | 'moved' | 'left' | 'wiped' | 'lost' }>;

/**
 * The owner's handle of one membership, whatever link carries it: to whoever has dialled, a channel like any other. Nobody
 * can slow down a whole space, so that what comes while the owner has paused it is kept here.
 */
export class SpacePort implements ChannelPort, SpaceOwner {
  /** It stands on no channel. */
  readonly channel = undefined;
  readonly space: SpaceView;
  readonly #options: SpacePortOptions;
  readonly #listener: ChannelListener;
  readonly #identity: Identity;
  readonly #serverPublicKey: string;
  #membership: Membership;
  #attached: AttachedSpace | undefined;
  #isOpen = false;
  #isPaused = false;
  #isEnding = false;
  #hasEnded = false;
  /** The membership before this one was ended by the relay: what it had left to send. */
  #replaced: Membership | undefined;
  #held: Held[] = [];
  #heldBytes = 0;
  #end: ChannelEnd | undefined;
  #isTellingHeld = false;
  /** How the owner has closed it. */
  #closing: { readonly code: number; readonly reason: string } | undefined;
  #refreshing: Refreshing[] = [];

  /** Enters the space over `link`, as `identity`. */
  constructor(link: Link, identity: Identity, options: SpacePortOptions, listener: ChannelListener) {
    this.#options = options;
    this.#listener = listener;
    this.#identity = identity;
    this.#serverPublicKey = link.serverPublicKey;
    this.#membership = this.#createMembership();
    this.space = this.#createView();
    this.#attached = link.enter(this.#membership, this);
  }

  get isResumable(): boolean {
    return this.#options.stay;
  }

  get bufferedAmount(): number {
    return this.#membership.bufferedAmount;
  }

  /**
   * Enters again, over another link.
   * @throws SecureWebSocketError `CHANNEL_LOST` when that is to another relay, or of another identity
   */
  enter(link: Link): void {
    if (link.serverPublicKey !== this.#serverPublicKey || link.publicKey !== this.#identity.publicKey) {
      const message = 'The relay, or this end, has another key than before: that would be another space.';
      throw new SecureWebSocketError('CHANNEL_LOST', message);
    }
    this.#attached?.detach(true);
    if (this.#membership.isOver) {
      this.#replaced = this.#membership;
      this.#membership = this.#createMembership();
    }
    this.#attached = link.enter(this.#membership, this);
  }

  send(data: Uint8Array, isText: boolean): void {
    if (!this.#isOpen || this.#closing || this.#isEnding) return;
    this.#membership.send(data, isText);
    this.#attached?.changed();
  }

  // A space has nobody who would answer.
  ping(): void {}
  pong(): void {}

  close(code = 1005, reason = ''): void {
    if (!this.#isOpen) {
      this.terminate(new SecureWebSocketError('ABORTED', 'The socket was closed before it was open.'));
      return;
    }
    if (this.#closing || this.#isEnding) return;
    this.#closing = { code, reason };
    this.#askToLeave();
    queueMicrotask(() => {
      if (!this.#hasEnded) this.#listener.closing?.();
    });
  }

  terminate(error?: SecureWebSocketError): void {
    this.#held = [];
    this.#heldBytes = 0;
    this.fail(error ?? new SecureWebSocketError('ABORTED', 'The socket was terminated by this end.'));
  }

  /** Ends it as `terminate` does, but what has arrived is still handed over. */
  fail(error: SecureWebSocketError): void {
    this.#finish({ code: 1006, reason: '', wasClean: false, error, unacknowledged: this.#unsent() }, true);
  }

  /** Leaves without a word to the listener. */
  discard(): void {
    this.#hasEnded = true;
    this.#leave(true);
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#tellSoon();
  }

  // What the membership tells

  event(event: MembershipEvent): void {
    if (this.#isEnding) return;
    switch (event.type) {
      case 'entered':
        this.#entered();
        return;
      case 'sent':
        this.#listener.sent?.(event.bytes);
        return;
      case 'present':
        for (const { resolve } of this.#refreshing.splice(0)) resolve();
        return;
      case 'refused':
        this.#refused(event.error, event.retry);
        return;
      case 'failed':
        this.fail(event.error);
        return;
      case 'closed':
        this.#left();
        return;
      default:
        this.#hold(event);
    }
  }

  #left(): void {
    const unacknowledged = this.#unsent();
    if (unacknowledged.length > 0) {
      const message = 'The relay did not take in time what was sent before close().';
      this.fail(new SecureWebSocketError('CLOSE_TIMEOUT', message));
    } else {
      const { code, reason } = this.#closing ?? { code: 1005, reason: '' };
      this.#finish({ code, reason, wasClean: true, unacknowledged }, false);
    }
  }

  lost(error: SecureWebSocketError): void {
    this.#attached = undefined;
    if (this.#isEnding) return;
    if (this.#options.stay) this.#listener.suspended?.({ error });
    else this.fail(error);
  }

  #entered(): void {
    const information: ChannelInformation = {
      publicKey: this.#identity.publicKey,
      peerPublicKey: '',
      serverPublicKey: this.#serverPublicKey,
      handshakeHash: new Uint8Array(0),
      protocol: '',
    };
    if (this.#isOpen) {
      const unacknowledged = this.#replaced?.unsent() ?? [];
      const resumed = this.#replaced === undefined;
      this.#forgetReplaced();
      this.#listener.resumed?.({ ...information, resumed, unacknowledged });
    } else {
      this.#isOpen = true;
      this.#forgetReplaced();
      this.#listener.opened?.(information);
    }
    // What was asked for may have been lost with the link.
    if (this.#refreshing.length > 0) this.#ask();
    if (this.#closing) this.#askToLeave();
  }

  /** Behind what was sent. What waits for another link is not to be late for that. */
  #askToLeave(): void {
    this.#attached?.leave();
  }

  #refused(error: SecureWebSocketError, retry: boolean): void {
    if (!retry || !this.#options.stay) {
      this.fail(error);
      return;
    }
    this.#attached?.detach(false);
    this.#attached = undefined;
    this.#listener.suspended?.({ error, isPassing: true });
  }

  /** Whatever the application has to read, behind what it has not read. */
  #hold(event: Held): void {
    // Whoever sends what is no text must not end the sockets of all others.
    const isReadable = event.type !== 'message' || !event.isText || platform.isUtf8(event.data);
    const held: Held = isReadable ? event : this.#unreadable(event);
    if (!this.#isPaused && !this.#isTellingHeld && this.#held.length === 0) {
      this.#tell(held);
      return;
    }
    this.#held.push(held);
    this.#heldBytes += sizeOf(held);
    if (this.#heldBytes <= this.#options.maxBuffered) return;
    const most = String(this.#options.maxBuffered);
    this.fail(
      new SecureWebSocketError(
        'BUFFER_FULL',
        `More has come in the space than is read: more than ${most} bytes ("maxBuffered") would wait.`,
      ),
    );
  }

  #unreadable(event: Extract<Held, { type: 'message' }>): Held {
    const known = this.#membership.members.find(({ id }) => id === event.member);
    const unknown = {
      id: event.member,
      publicKey: event.from,
      isSelf: false,
      admitted: true,
      away: false,
      joined: 0,
    };
    return { type: 'lost', member: known ?? unknown, count: 1, reason: 'unreadable' };
  }

  #tell(event: Held): void {
    switch (event.type) {
      case 'message':
        this.#listener.message(event.data, event.isText, event.from, event.member);
        return;
      case 'joined':
      case 'moved':
        this.#listener.space?.({ type: event.type === 'moved' ? 'changed' : 'joined', member: event.member });
        return;
      default:
        this.#listener.space?.(event);
    }
  }

  #tellSoon(): void {
    if (this.#isTellingHeld) return;
    this.#isTellingHeld = true;
    queueMicrotask(() => {
      this.#isTellingHeld = false;
      this.#tellHeld();
    });
  }

  #tellHeld(): void {
    while (!this.#isPaused && !this.#hasEnded) {
      const [next] = this.#held;
      if (!next) break;
      this.#held.shift();
      this.#heldBytes -= sizeOf(next);
      this.#tell(next);
    }
    if (this.#end && this.#held.length === 0 && !this.#hasEnded) {
      this.#hasEnded = true;
      this.#listener.closed(this.#end);
    }
  }

  // Its end

  #finish(end: ChannelEnd, leaves: boolean): void {
    if (!this.#isEnding) {
      this.#isEnding = true;
      this.#end = end;
      this.#leave(leaves);
      const error = end.error ?? new SecureWebSocketError('ABORTED', 'The socket was closed.');
      for (const { reject } of this.#refreshing.splice(0)) reject(error);
    }
    this.#tellSoon();
  }

  #leave(leaves: boolean): void {
    this.#isEnding = true;
    // A membership that is over has said so, or was told.
    this.#attached?.detach(leaves && !this.#membership.isOver);
    this.#attached = undefined;
    this.#forgetReplaced();
    this.#membership.wipe();
  }

  #unsent(): ChannelEnd['unacknowledged'] {
    return [...(this.#replaced?.unsent() ?? []), ...this.#membership.unsent()];
  }

  #forgetReplaced(): void {
    this.#replaced?.wipe();
    this.#replaced = undefined;
  }

  #createMembership(): Membership {
    const { name: space, stay, maxPayload } = this.#options;
    const { invitation, ...options } = parseSpaceOptions(this.#options.space);
    const bytes = invitation === undefined ? undefined : fromBase64Url(invitation);
    if (bytes === undefined && invitation !== undefined) {
      throw new SecureWebSocketError('INVALID_ARGUMENT', '"space.invitation" was not copied whole.');
    }
    return new Membership({
      ...options,
      invitation: bytes,
      crypto: this.#identity.crypto,
      signer: this.#identity,
      relayKey: fromHex(this.#serverPublicKey),
      space,
      stay,
      maxPayload,
      wallClock,
    });
  }

  #createView(): SpaceView {
    const members = (): readonly SpaceMember[] => (this.#isOpen ? this.#membership.members : []);
    const memberId = (): string => this.#membership.id;
    return {
      name: this.#options.name,
      get memberId() {
        return memberId();
      },
      get members() {
        return members();
      },
      refresh: async () => {
        if (this.#isEnding) throw new SecureWebSocketError('ABORTED', 'The socket is closed.');
        await new Promise<void>((resolve, reject) => {
          this.#refreshing.push({ resolve, reject });
          if (this.#isOpen) this.#ask();
        });
      },
    };
  }

  #ask(): void {
    this.#membership.who();
    this.#attached?.changed();
  }
}

function sizeOf(event: Held): number {
  return MESSAGE_OVERHEAD + (event.type === 'message' ? event.data.length : 0);
}
