import { Channel } from './channel.js';
import { Answers } from './answers.js';
import { nameOf } from './channel-name.js';
import { compareBytes } from './bytes.js';
import { closeCodeFor, encodeClose, resetPayload, SUSPENSION } from './close-status.js';
import {
  ACCEPT_TIMEOUT,
  CLOSE_TIMEOUT,
  CONNECT_TIMEOUT,
  DEAD_AFTER,
  DEFAULT_MAX_PAYLOAD,
  MAX_CHANNELS_PER_PEER,
  RESUME_WINDOW,
} from './constants.js';
import { Deadlines } from './deadlines.js';
import type { EndpointEvent, EndpointOptions } from './endpoint-options.js';
import { type ErrorCode, SecureWebSocketError } from './errors.js';
import {
  decodeFrame,
  ENVELOPE_HEADER_LENGTH,
  encodeEnvelope,
  encodeListen,
  peerAddress,
  PUBLIC_KEY_LENGTH,
  writeEnvelopeHeader,
} from './frame.js';
import { LinkEcho } from './link-echo.js';
import { encodeOpen, type OpenParameters } from './open-parameters.js';
import {
  asRecordError,
  decodeItems,
  decodeRecordHeader,
  Opcode,
  RECORD_HEADER_LENGTH,
  type RecordHeader,
} from './record.js';
import { Reception, type ReceptionHost } from './reception.js';
import type { Carrier, ResumableChannels } from './resumable-channels.js';
import type { Session } from './session.js';
import { type Attempt, Sessions } from './sessions.js';
import { TRANSPORT_OVERHEAD, type TransportKeys } from './transport-keys.js';

export type { EndpointEvent, EndpointOptions };

/**
 * All sessions and channels of one registered link. Sans I/O: frames and the time (milliseconds of a clock that only
 * goes forward) come in as arguments; what is to be sent is fetched with `takeFrames` and `flush`, what happened with
 * `takeEvents`. Nothing here calls its owner back.
 *
 * Channels may outlive it: one that can be resumed is let go of when its peer, or the link, is out of reach, and is
 * carried on by another endpoint, or by this one in another session.
 */
export class Endpoint implements Carrier {
  readonly #options: EndpointOptions;
  /** Keeps the channels that peers have opened while these are out of reach. Without it they end with the link. */
  resumables: ResumableChannels | undefined;
  readonly #address: Uint8Array;
  readonly #sessions: Sessions;
  readonly #recordCapacity: number;
  readonly #channels = new Map<Session, Map<string, Channel>>();
  /** Dialled channels whose session is not there yet. */
  readonly #waiting = new Map<Channel, Attempt>();
  /** When each channel that waits for its peer or its owner has waited long enough. */
  readonly #deadlines = new Deadlines<Channel>();
  /** When each channel has something to do by itself. */
  readonly #timers = new Deadlines<Channel>();
  /** Who keeps each channel that a peer has opened: `resumables` may change meanwhile. */
  readonly #keepers = new WeakMap<Channel, ResumableChannels>();
  /** How far a closing channel had come when its deadline was set. */
  readonly #closing = new WeakMap<Channel, number>();
  /** Channels that may have something to send, in the order of their turn. */
  readonly #ready = new Set<Channel>();
  readonly #answers: Answers;
  readonly #reception: Reception;
  readonly #echo: LinkEcho;
  #frames: Uint8Array[] = [];
  #events: EndpointEvent[] = [];
  #listening = false;
  /** Who may start a session, and open channels, although nobody listens. */
  #welcomes: ((publicKey: Uint8Array) => boolean) | undefined;
  #awaits = false;
  #isDirect = false;
  #isDead = false;
  #hidden = false;
  #heardAt = 0;
  #nextChannelId: number;

  constructor(options: EndpointOptions) {
    const { crypto, keyPair, connectionId, maxFrame, wallClock } = options;
    this.#options = options;
    this.resumables = options.resumables;
    this.#address = peerAddress(keyPair.publicKey, connectionId);
    this.#recordCapacity = maxFrame - ENVELOPE_HEADER_LENGTH - TRANSPORT_OVERHEAD;
    // Unlike those that an earlier endpoint of the same address gave: its peers may not know that it is gone.
    this.#nextChannelId = 1 + (new DataView(crypto.randomBytes(4).slice().buffer).getUint32(0) % 0xffff_fffe);
    this.#echo = new LinkEcho(crypto);
    this.#sessions = new Sessions({
      crypto,
      keyPair,
      address: this.#address,
      maxSessions: options.maxPeers,
      wallClock,
      owner: {
        send: (address, body) => this.#frames.push(encodeEnvelope(address, body)),
        acceptsStrangers: source => this.#isWelcome(source.subarray(0, PUBLIC_KEY_LENGTH)),
        established: (attempt, session) => {
          this.#established(attempt, session);
        },
        confirmed: session => {
          this.#keysRenewed(session);
        },
        heard: now => {
          this.#heardAt = now;
          this.#echo.heard(now);
        },
        plaintext: (session, keys, plaintext, now) => {
          this.#record(session, keys, plaintext, now);
        },
        failed: (session, error, now) => {
          this.#sessionFailed(session, error, now);
        },
        unanswered: now => {
          this.#doubt(now);
        },
        attemptFailed: (attempt, error) => {
          for (const [channel, its] of [...this.#waiting]) if (its === attempt) this.#lose(channel, error);
        },
        uses: session => this.#channels.has(session) || this.#answers.hasUntold(session),
        refused: error => {
          this.#events.push({ type: 'refused', error });
        },
      },
    });
    const seal = (session: Session, keys: TransportKeys, record: Uint8Array): void => {
      this.#seal(session, keys, record);
    };
    this.#answers = new Answers(this.#sessions, seal);
    this.#reception = new Reception(crypto, this.#receptionHost(seal), this.#answers);
  }

  /** Channels that are not closed. */
  get channelCount(): number {
    let count = this.#waiting.size;
    for (const channels of this.#channels.values()) count += channels.size;
    return count;
  }

  /** Whether there is none of them. */
  get isIdle(): boolean {
    return this.#waiting.size === 0 && this.#channels.size === 0;
  }

  /** Whether `flush` has something to seal. */
  get hasOutput(): boolean {
    return this.#ready.size > 0 || this.#answers.isWaiting;
  }

  /** When `timeout` wants to be called, or Infinity. */
  get wakeAt(): number {
    const echoAt = this.#hidden || this.#isDead ? Infinity : this.#echo.wakeAt(this.#isIdleListener);
    return Math.min(this.#deadlines.wakeAt, this.#timers.wakeAt, this.#sessions.wakeAt, echoAt);
  }

  /** Listens at our key, or stops: peers with whom there is no session may start one, and open channels. */
  listen(listening: boolean, now: number): void {
    if (this.#listening === listening) return;
    this.#listening = listening;
    this.#echo.heard(now);
    this.#frames.push(encodeListen(listening));
  }

  /**
   * Takes sessions and channels of those keys of which `welcomes` says so, be anybody listening or not; undefined: of
   * nobody. The router is not told: they have to know our connection id. `awaits`: whether we wait for them as one who
   * listens does, and have to notice when nothing can come any more.
   */
  welcome(welcomes: ((publicKey: Uint8Array) => boolean) | undefined, awaits: boolean, now: number): void {
    this.#welcomes = welcomes;
    this.#awaits = awaits;
    this.#echo.heard(now);
  }

  /** Accepts channels without telling a router: the service end of a direct link. */
  acceptDirect(): void {
    this.#listening = true;
    this.#isDirect = true;
  }

  /** The registration of a direct link is the first session with the peer at its other end. */
  adopt(address: Uint8Array, keys: TransportKeys): void {
    this.#isDirect = true;
    this.#sessions.adopt(address, keys);
  }

  /** While a page is hidden its timers stand still, and nobody's silence says anything. */
  setHidden(hidden: boolean, now: number): void {
    this.#hidden = hidden;
    if (hidden) return;
    this.#echo.heard(now);
    for (const channels of this.#channels.values()) {
      for (const channel of channels.values()) {
        channel.forgive(now);
        this.wake(channel);
      }
    }
  }

  /** Opens a channel with the peer at `address` (connection id 0: whoever listens there). */
  open(address: Uint8Array, parameters: Omit<OpenParameters, 'window'>, now: number): Channel {
    const channel = this.#newChannel(this.#nextChannelId, true);
    channel.open(parameters);
    this.#dial(channel, address, now);
    return channel;
  }

  /** Goes on with a channel that has lost its peer, in a session with the one at `address`. */
  resume(channel: Channel, address: Uint8Array, now: number): void {
    channel.id = this.#nextChannelId;
    channel.emit = this.#emit;
    channel.askToResume();
    this.#dial(channel, address, now);
  }

  /** Answers the peer's OPEN. `protocol` must be one that it offered, or ''. */
  accept(channel: Channel, protocol: string): void {
    this.#deadlines.delete(channel);
    channel.accept(protocol, this.resumables?.window ?? 0);
    if (!channel.isResumable || !this.resumables) {
      this.wake(channel);
      return;
    }
    this.resumables.carry(channel, this);
    this.#keepers.set(channel, this.resumables);
    this.wake(channel);
  }

  refuse(channel: Channel, status: number, reason: string, now: number): void {
    if (channel.state !== 'incoming') return;
    const refusal = encodeOpen({ status, reason: reason.slice(0, 200) });
    const { position } = channel;
    this.#answers.tell(channel, Opcode.OPEN_REFUSE, refusal, now);
    if (channel.session) this.#answers.remember(channel.session, nameOf(channel), { position, refusal });
    channel.fail(new SecureWebSocketError('CHANNEL_REFUSED', `Refused with ${String(status)}.`));
    this.#remove(channel);
  }

  /** To be called after anything that gives a channel something to send, or that may end it. */
  wake(channel: Channel): void {
    if (channel.state === 'closed') {
      this.#remove(channel);
      return;
    }
    if (channel.session && channel.hasRecord) this.#ready.add(channel);
    const { wakeAt } = channel;
    if (wakeAt < Infinity) this.#timers.set(channel, wakeAt);
    else this.#timers.delete(channel);
  }

  /** Starts the closing handshake. A channel that is not open yet is failed instead. */
  close(channel: Channel, now: number, code?: number, reason?: string): void {
    if (channel.state === 'opening' || channel.state === 'incoming') {
      this.terminate(
        channel,
        new SecureWebSocketError('ABORTED', 'The socket was closed before it was open.'),
        now,
      );
      return;
    }
    channel.close(code, reason);
    this.#expectEnd(channel, now);
    this.wake(channel);
  }

  /** Ends a channel at once and tells the peer why. `discard`: what has arrived and was not read is of no use to anybody. */
  terminate(channel: Channel, error: SecureWebSocketError, now: number, discard = false): void {
    if (channel.state === 'closed') {
      // What it was given before its end may still wait for a reader.
      if (discard) channel.fail(error, discard);
      return;
    }
    const code = closeCodeFor(error);
    // A channel that no record of ours has announced is not known to the peer.
    if (channel.session) {
      let { position } = channel;
      if (code !== undefined && channel.state !== 'opening' && !channel.closeSent) {
        this.#answers.tell(channel, Opcode.CLOSE, encodeClose(code), now);
        // It took a sequence number.
        position = { ...position, sequence: position.sequence + 1 };
      }
      // Also after CLOSE: nothing that the peer still has to say would be heard.
      this.#answers.tell(channel, Opcode.RESET, resetPayload(error.code), now, position);
    }
    channel.fail(error, discard);
    this.#remove(channel);
  }

  /**
   * Handles one frame, which must not be used afterwards: plaintext may take its place.
   * @throws SecureWebSocketError `FRAME_MALFORMED` when the server breaks the protocol: the link is of no use then.
   */
  receive(bytes: Uint8Array, now: number): void {
    const frame = decodeFrame(bytes);
    if (frame.type === 'envelope') {
      if (compareBytes(frame.address, this.#address) === 0 && this.#echo.isEcho(frame.body)) {
        this.#heardAt = now;
        this.#echo.heard(now);
      } else {
        this.#sessions.receive(frame.address, frame.body, now);
      }
    } else if (frame.type === 'notice') {
      this.#sessions.notice(frame.address, frame.reason, now);
    } else if (frame.type === 'control' && !this.#isDirect) {
      if (frame.control) this.#events.push({ type: 'control', control: frame.control });
    } else if (frame.type === 'space' && !this.#isDirect) {
      this.#events.push(frame);
    } else {
      const isOfRelays = frame.type === 'control' || frame.type === 'space';
      const who = isOfRelays ? 'relays' : 'clients of a relay';
      throw new SecureWebSocketError('FRAME_MALFORMED', `Received a frame that only ${who} send.`);
    }
  }

  timeout(now: number): void {
    this.#sessions.timeout(now);
    for (const channel of this.#deadlines.expired(now)) this.#expired(channel, now);
    for (const channel of this.#timers.expired(now)) {
      this.#timers.delete(channel);
      const { session } = channel;
      if (!session) continue;
      const isThere = channel.timeout(now, !this.#hidden);
      if (channel.isDoubtful) this.#doubt(now);
      if (isThere) this.wake(channel);
      else this.#unresponsive(session, now);
    }
    if (this.#hidden || this.#isDead) return;
    const echo = this.#echo.timeout(now, this.#isIdleListener);
    if (echo === 'dead') this.#dead('Nothing comes over the connection any more.');
    else this.#sendEcho(echo);
  }

  /**
   * Seals what channels have to send, in turn, up to about `budget` bytes. The rest waits for the next call.
   * Frames are fetched with `takeFrames`.
   */
  flush(budget: number, now: number): void {
    if (budget <= 0) return;
    this.#answers.flush(now);
    for (const channel of this.#ready) {
      if (budget <= 0) return;
      // Whoever is not finished comes last again.
      this.#ready.delete(channel);
      const { session } = channel;
      if (!session || !channel.hasRecord) continue;
      if (session.wantsHandshake(now)) this.#sessions.renew(session, now);
      const keys = session.sealingKeys(now);
      // The handshake that was just started wakes the channel when it is done.
      if (!keys) continue;
      const record = channel.writeRecord(this.#recordCapacity, keys, now);
      if (!record) continue;
      budget -= this.#seal(session, keys, record);
      this.wake(channel);
    }
  }

  takeFrames(): Uint8Array[] {
    const frames = this.#frames;
    if (frames.length > 0) this.#frames = [];
    return frames;
  }

  takeEvents(): EndpointEvent[] {
    const events = this.#events;
    if (events.length > 0) this.#events = [];
    return events;
  }

  /** The link is gone: channels that can be resumed are let go of, all others fail with `error`, and keys are wiped. */
  fail(error: SecureWebSocketError, now: number): void {
    this.#isDead = true;
    for (const channel of [...this.#waiting.keys()]) this.#lose(channel, error, now);
    for (const channels of [...this.#channels.values()]) {
      for (const channel of [...channels.values()]) this.#lose(channel, error, now);
    }
    this.#sessions.wipe();
    this.#frames = [];
    this.#answers.clear();
  }

  release(channel: Channel): void {
    this.#waiting.delete(channel);
    this.#deadlines.delete(channel);
    this.#timers.delete(channel);
    this.#ready.delete(channel);
    const { session } = channel;
    if (!session) return;
    const channels = this.#channels.get(session);
    if (channels?.get(nameOf(channel)) === channel) channels.delete(nameOf(channel));
    if (channels?.size === 0) this.#channels.delete(session);
  }

  get #isIdleListener(): boolean {
    return (this.#listening || this.#awaits) && !this.#isDirect;
  }

  #isWelcome(publicKey: Uint8Array): boolean {
    return this.#listening || this.#welcomes?.(publicKey) === true;
  }

  readonly #emit = (event: EndpointEvent): void => {
    this.#events.push(event);
  };

  #newChannel(id: number, opener: boolean): Channel {
    const { crypto, keyPair, maxPayload = DEFAULT_MAX_PAYLOAD } = this.#options;
    return new Channel({ id, opener, maxPayload, emit: this.#emit, crypto, ownKey: keyPair.publicKey });
  }

  #receptionHost(seal: ReceptionHost['seal']): ReceptionHost {
    return {
      isListening: ({ publicKey }) => this.#isWelcome(publicKey),
      find: lineageId => this.resumables?.find(lineageId),
      maxChannelsPerPeer: this.#options.maxChannelsPerPeer ?? MAX_CHANNELS_PER_PEER,
      channelsOn: session => this.#channels.get(session)?.size ?? 0,
      newChannel: id => this.#newChannel(id, false),
      attach: (channel, session) => {
        this.#attach(channel, session);
      },
      incoming: (channel, open, now) => {
        this.#deadlines.set(channel, now + ACCEPT_TIMEOUT);
        this.wake(channel);
        this.#events.push({ type: 'incoming', channel, open });
      },
      takeOver: channel => {
        if (this.resumables) this.#keepers.set(channel, this.resumables);
        this.resumables?.carry(channel, this);
        channel.emit = this.#emit;
      },
      resumed: (channel, now) => {
        this.#checkFits(channel);
        this.#events.push({ type: 'resumed', channel });
        this.#expectEnd(channel, now);
        this.wake(channel);
      },
      terminate: (channel, error, now) => {
        this.terminate(channel, error, now);
      },
      seal,
    };
  }

  #dial(channel: Channel, address: Uint8Array, now: number): void {
    const session = this.#sessions.find(address);
    if (session) this.#attach(channel, session);
    else this.#waiting.set(channel, this.#sessions.dial(address, now));
    this.#nextChannelId = (this.#nextChannelId % 0xffff_ffff) + 1;
    this.#deadlines.set(channel, now + CONNECT_TIMEOUT);
  }

  #attach(channel: Channel, session: Session): void {
    channel.session = session;
    channel.peerKey = session.publicKey;
    let channels = this.#channels.get(session);
    if (!channels) this.#channels.set(session, (channels = new Map<string, Channel>()));
    channels.set(nameOf(channel), channel);
    this.#waiting.delete(channel);
    this.wake(channel);
  }

  /** A channel that is over. */
  #remove(channel: Channel): void {
    this.release(channel);
    this.#keepers.get(channel)?.ended(channel, channel.endedWell, this.#heardAt);
    channel.session = undefined;
  }

  /** What carried a channel is gone. */
  #lose(channel: Channel, error: SecureWebSocketError, now = this.#heardAt): void {
    const keeper = this.#keepers.get(channel);
    if (!channel.isResumable || (!channel.opener && !keeper)) {
      channel.fail(error);
      this.#remove(channel);
      return;
    }
    this.release(channel);
    channel.suspend(error);
    if (!channel.opener) keeper?.suspend(channel, now);
  }

  #expired(channel: Channel, now: number): void {
    if (channel.isResuming) {
      const message = `The peer did not go on with the connection within ${String(CONNECT_TIMEOUT / 1000)} s.`;
      this.#lose(channel, new SecureWebSocketError('SESSION_TIMEOUT', message), now);
    } else if (channel.state === 'opening') {
      const message = `The peer did not answer within ${String(CONNECT_TIMEOUT / 1000)} s.`;
      this.terminate(channel, new SecureWebSocketError('SESSION_TIMEOUT', message), now);
    } else if (channel.state === 'incoming') {
      this.refuse(channel, 503, 'the application did not answer in time', now);
    } else if (channel.state !== 'closing' || channel.waitsForReader) {
      this.#deadlines.delete(channel);
    } else if (channel.acknowledged !== this.#closing.get(channel)) {
      // The peer takes what is to come before our CLOSE, be it slowly.
      this.#deadlines.delete(channel);
      this.#expectEnd(channel, now);
    } else {
      const message = `The peer did not answer CLOSE within ${String(closeTimeout(channel) / 1000)} s.`;
      this.terminate(channel, new SecureWebSocketError('CLOSE_TIMEOUT', message), now);
    }
  }

  #expectEnd(channel: Channel, now: number): void {
    if (channel.state !== 'closing' || this.#deadlines.has(channel)) return;
    this.#closing.set(channel, channel.acknowledged);
    this.#deadlines.set(channel, now + closeTimeout(channel));
  }

  #unresponsive(session: Session, now: number): void {
    const message = `Nothing was heard of the peer for more than ${String(DEAD_AFTER / 1000)} s.`;
    if (this.#isDirect) this.#dead(message);
    else this.#sessions.fail(session, new SecureWebSocketError('SESSION_TIMEOUT', message), now);
  }

  #dead(message: string): void {
    if (this.#isDead) return;
    this.#isDead = true;
    this.#events.push({ type: 'dead', error: new SecureWebSocketError('LINK_LOST', message) });
  }

  /** Somebody should have answered: perhaps nothing comes through any more. */
  #doubt(now: number): void {
    if (!this.#isDirect && !this.#hidden) this.#sendEcho(this.#echo.check(now));
  }

  #sendEcho(payload: Uint8Array | undefined): void {
    if (payload) this.#frames.push(encodeEnvelope(this.#address, payload));
  }

  #established(attempt: Attempt, session: Session): void {
    for (const [channel, its] of [...this.#waiting]) if (its === attempt) this.#attach(channel, session);
    // The peer may not use the new keys before it has heard something under them (WireGuard, section 5.4.6). At once,
    // be there more to say or not: that may have to wait until the network has room.
    if (session.current) this.#seal(session, session.current, EMPTY);
    this.#keysRenewed(session);
  }

  #keysRenewed(session: Session): void {
    this.#answers.keysRenewed(session);
    for (const channel of this.#channels.get(session)?.values() ?? []) this.wake(channel);
  }

  #sessionFailed(session: Session, error: SecureWebSocketError, now: number): void {
    for (const channel of [...(this.#channels.get(session)?.values() ?? [])]) {
      // The peer noticed nothing of it, perhaps, and would wait for ever.
      if (!UNREACHABLE.has(error.code) && session.sealingKeys(now)) {
        const why = channel.isResumable ? SUSPENSION : error.code;
        this.#answers.tell(channel, Opcode.RESET, resetPayload(why), now);
      }
      this.#lose(channel, error, now);
    }
    this.#answers.forget(session);
  }

  #record(session: Session, keys: TransportKeys, plaintext: Uint8Array, now: number): void {
    let header;
    try {
      header = decodeRecordHeader(plaintext);
    } catch (error) {
      this.#sessions.fail(session, asRecordError(error), now);
      return;
    }
    // What the sender calls "mine" is what we call "theirs".
    const name = nameOf({ id: header.channelId, opener: !header.opener });
    const channel = this.#channels.get(session)?.get(name);
    if (!channel) {
      this.#unknown(session, keys, header, plaintext, now);
      return;
    }
    const before = channel.isResuming ? 'resuming' : 'settled';
    try {
      // Its opener may not have heard that it goes on.
      if (!channel.opener && this.#isRepeated(channel, keys, header, plaintext))
        channel.resumeAsAsked(header, now, true);
      else channel.receive(header, plaintext, keys, now);
      if (before === 'resuming' && !channel.isResuming) this.#checkFits(channel);
    } catch (error) {
      this.terminate(channel, asRecordError(error), now);
      return;
    }
    if (channel.disowned) {
      // Another process of the same key may have answered: the right one may still come back.
      const isHome = channel.home === undefined || compareBytes(channel.home, session.address) === 0;
      if (isHome || this.#isDirect) {
        channel.fail(channel.disowned);
        this.#remove(channel);
      } else {
        this.#lose(channel, channel.disowned, now);
      }
      return;
    }
    if (channel.abandoned) {
      const message = `The peer no longer knows the ${channel.abandoned}: it has to be resumed.`;
      const error = new SecureWebSocketError('SESSION_FAILED', message);
      // What was said under keys that are being replaced says nothing about those that replace them.
      const isNewest = keys === session.current && session.unconfirmed === 0;
      if (channel.abandoned === 'session' && isNewest) this.#sessions.fail(session, error, now);
      else this.#lose(channel, error, now);
      return;
    }
    if (channel.isSettled) channel.home = session.address;
    if (channel.state === 'closed') this.#sayLastWord(session, channel, name, now);
    else if (channel.state === 'closing') this.#expectEnd(channel, now);
    else if (channel.opener && channel.state === 'open' && !channel.isResuming)
      this.#deadlines.delete(channel);
    this.wake(channel);
  }

  /** The peer waits to hear that we heard its CLOSE. */
  #sayLastWord(session: Session, channel: Channel, name: string, now: number): void {
    if (!channel.endedWell) return;
    const { position } = channel;
    this.#answers.remember(session, name, { position });
    this.#answers.acknowledge(session, channel.id, channel.opener, position, now);
  }

  #isRepeated(channel: Channel, keys: TransportKeys, header: RecordHeader, record: Uint8Array): boolean {
    if (header.sequenced || record.length === RECORD_HEADER_LENGTH) return false;
    const [item] = decodeItems(record);
    if (item?.opcode !== Opcode.RESUME) return false;
    return channel.lineage?.isProven('opener', keys.handshakeHash, item.payload) === true;
  }

  /** A record of no channel that we know. */
  #unknown(
    session: Session,
    keys: TransportKeys,
    header: RecordHeader,
    record: Uint8Array,
    now: number,
  ): void {
    let items;
    try {
      items = decodeItems(record);
    } catch (error) {
      this.#sessions.fail(session, asRecordError(error), now);
      return;
    }
    this.#reception.receive(session, keys, header, items, record, now);
  }

  /** @throws SecureWebSocketError `FRAME_TOO_LARGE` when what is to be sent again does not fit into frames of this link */
  #checkFits(channel: Channel): void {
    if (channel.longestRecord > this.#recordCapacity) {
      throw new SecureWebSocketError(
        'FRAME_TOO_LARGE',
        'What was sent before does not fit through the new link: its frames are smaller than those of the link before.',
      );
    }
  }

  #seal(session: Session, keys: TransportKeys, record: Uint8Array): number {
    const length = ENVELOPE_HEADER_LENGTH + TRANSPORT_OVERHEAD + record.length;
    const frame = this.#options.allocate?.(length) ?? new Uint8Array(length);
    writeEnvelopeHeader(frame, session.address);
    keys.seal(record, frame, ENVELOPE_HEADER_LENGTH);
    this.#frames.push(frame);
    return frame.length;
  }
}

const EMPTY = new Uint8Array(0);

/** With these the peer gets nothing that is sent to it. */
const UNREACHABLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'PEER_NOT_HERE',
  'PEER_REFUSED',
  'PEER_NOT_ALLOWED',
  'TOO_MANY_PEERS',
  'PEER_GONE',
]);

/** A peer that may be out of reach for a while has so long to answer CLOSE, too; but it is not for the peer to say how long. */
export function closeTimeout(channel: Channel): number {
  return Math.max(CLOSE_TIMEOUT, Math.min(channel.resumeWindow, RESUME_WINDOW));
}
