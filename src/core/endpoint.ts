import { Channel } from './channel.js';
import { closeCodeFor, encodeClose, resetPayload } from './close-status.js';
import {
  ACCEPT_TIMEOUT,
  CLOSE_TIMEOUT,
  CONNECT_TIMEOUT,
  DEFAULT_MAX_PAYLOAD,
  MAX_CHANNELS_PER_PEER,
} from './constants.js';
import { Deadlines } from './deadlines.js';
import type { EndpointEvent, EndpointOptions } from './endpoint-options.js';
import { asSecureWebSocketError, type ErrorCode, SecureWebSocketError } from './errors.js';
import { decodeFrame, ENVELOPE_HEADER_LENGTH, encodeEnvelope, encodeListen, peerAddress } from './frame.js';
import { decodeOpen, encodeOpen, type OpenParameters } from './open-parameters.js';
import {
  decodeItems,
  decodeRecordHeader,
  Opcode,
  RECORD_HEADER_LENGTH,
  type RecordHeader,
  encodeSingleItem,
} from './record.js';
import type { Session } from './session.js';
import { type Attempt, Sessions } from './sessions.js';
import { TRANSPORT_OVERHEAD, type TransportKeys } from './transport-keys.js';

export type { EndpointEvent, EndpointOptions };

/**
 * All sessions and channels of one registered link. Sans I/O: frames and the time (milliseconds of a clock that only
 * goes forward) come in as arguments; what is to be sent is fetched with `takeFrames` and `flush`, what happened with
 * `takeEvents`. Nothing here calls its owner back.
 */
export class Endpoint {
  readonly #options: EndpointOptions;
  readonly #sessions: Sessions;
  readonly #recordCapacity: number;
  readonly #channels = new Map<Session, Map<string, Channel>>();
  /** Dialled channels whose session is not there yet. */
  readonly #waiting = new Map<Channel, Attempt>();
  /** When each channel that waits for its peer or its owner has waited long enough. */
  readonly #deadlines = new Deadlines<Channel>();
  /** Channels that may have something to send, in the order of their turn. */
  readonly #ready = new Set<Channel>();
  /** Answers about channels that are not there. They wait for room in the network like all else, and are not many. */
  #answers: ((now: number) => void)[] = [];
  /** What peers could not be told because keys had grown too old: it is told when there are new ones. */
  readonly #untold = new Map<Session, ((now: number) => void)[]>();
  #frames: Uint8Array[] = [];
  #events: EndpointEvent[] = [];
  #listening = false;
  #nextChannelId = 1;

  constructor(options: EndpointOptions) {
    this.#options = options;
    this.#recordCapacity = options.maxFrame - ENVELOPE_HEADER_LENGTH - TRANSPORT_OVERHEAD;
    this.#sessions = new Sessions({
      crypto: options.crypto,
      keyPair: options.keyPair,
      address: peerAddress(options.keyPair.publicKey, options.connectionId),
      wallClock: options.wallClock,
      owner: {
        send: (address, ...body) => this.#frames.push(encodeEnvelope(address, ...body)),
        acceptsStrangers: () => this.#listening,
        established: (attempt, session) => {
          this.#established(attempt, session);
        },
        confirmed: session => {
          this.#keysRenewed(session);
        },
        plaintext: (session, keys, plaintext, now) => {
          this.#record(session, keys, plaintext, now);
        },
        failed: (session, error, now) => {
          this.#sessionFailed(session, error, now);
        },
        attemptFailed: (attempt, error) => {
          for (const [channel, its] of [...this.#waiting]) if (its === attempt) this.#fail(channel, error);
        },
        uses: session => this.#channels.has(session) || this.#untold.has(session),
        refused: error => {
          this.#events.push({ type: 'refused', error });
        },
      },
    });
  }

  /** Channels that are not closed. */
  get channelCount(): number {
    let count = this.#waiting.size;
    for (const channels of this.#channels.values()) count += channels.size;
    return count;
  }

  /** Whether `flush` has something to seal. */
  get hasOutput(): boolean {
    return this.#ready.size > 0 || this.#answers.length > 0;
  }

  /** When `timeout` wants to be called, or Infinity. */
  get wakeAt(): number {
    return Math.min(this.#deadlines.wakeAt, this.#sessions.wakeAt);
  }

  /** Listens at our key, or stops: peers with whom there is no session may start one, and open channels. */
  listen(listening: boolean): void {
    if (this.#listening === listening) return;
    this.#listening = listening;
    this.#frames.push(encodeListen(listening));
  }

  /** Accepts channels without telling a router: the service end of a direct link. */
  acceptDirect(): void {
    this.#listening = true;
  }

  /** The registration of a direct link is the first session with the peer at its other end. */
  adopt(address: Uint8Array, keys: TransportKeys): void {
    this.#sessions.adopt(address, keys);
  }

  /** Opens a channel with the peer at `address` (connection id 0: whoever listens there). */
  open(address: Uint8Array, parameters: Omit<OpenParameters, 'window'>, now: number): Channel {
    const channel = this.#newChannel(this.#nextChannelId, true);
    channel.open(parameters);
    this.#nextChannelId = (this.#nextChannelId % 0xffff_ffff) + 1;
    const session = this.#sessions.find(address);
    if (session) this.#attach(channel, session);
    else this.#waiting.set(channel, this.#sessions.dial(address, now));
    this.#deadlines.set(channel, now + CONNECT_TIMEOUT);
    return channel;
  }

  /** Answers the peer's OPEN. `protocol` must be one that it offered, or ''. */
  accept(channel: Channel, protocol: string): void {
    this.#deadlines.delete(channel);
    channel.accept(protocol);
    this.#ready.add(channel);
  }

  refuse(channel: Channel, status: number, reason: string, now: number): void {
    if (channel.state !== 'incoming') return;
    this.#tell(channel, Opcode.OPEN_REFUSE, encodeOpen({ status, reason: reason.slice(0, 200) }), now);
    channel.fail(new SecureWebSocketError('CHANNEL_REFUSED', `Refused with ${String(status)}.`));
    this.#remove(channel);
  }

  /** To be called after anything that gives a channel something to send, or that may end it. */
  wake(channel: Channel): void {
    if (channel.state === 'closed') this.#remove(channel);
    else if (channel.session && channel.hasRecord) this.#ready.add(channel);
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
    if (channel.state === 'open') this.#deadlines.set(channel, now + CLOSE_TIMEOUT);
    channel.close(code, reason);
    this.wake(channel);
  }

  /** Ends a channel at once and tells the peer why. */
  terminate(channel: Channel, error: SecureWebSocketError, now: number): void {
    if (channel.state === 'closed') return;
    const code = closeCodeFor(error);
    // A channel that no record of ours has announced is not known to the peer.
    if (channel.session) {
      let { position } = channel;
      if (code !== undefined && channel.state !== 'opening' && !channel.closeSent) {
        this.#tell(channel, Opcode.CLOSE, encodeClose(code), now);
        // It took a sequence number.
        position = { ...position, sequence: position.sequence + 1 };
      }
      // Also after CLOSE: nothing that the peer still has to say would be heard.
      this.#tell(channel, Opcode.RESET, resetPayload(error.code), now, position);
    }
    this.#fail(channel, error);
  }

  /**
   * Handles one frame.
   * @throws SecureWebSocketError `FRAME_MALFORMED` when the server breaks the protocol: the link is of no use then.
   */
  receive(bytes: Uint8Array, now: number): void {
    const frame = decodeFrame(bytes);
    if (frame.type === 'envelope') this.#sessions.receive(frame.address, frame.body, now);
    else if (frame.type === 'notice') this.#sessions.notice(frame.address, frame.reason, now);
    else throw new SecureWebSocketError('FRAME_MALFORMED', 'Received a frame that only clients send.');
  }

  timeout(now: number): void {
    this.#sessions.timeout(now);
    for (const channel of this.#deadlines.expired(now)) this.#expired(channel, now);
  }

  /**
   * Seals what channels have to send, in turn, up to about `budget` bytes. The rest waits for the next call.
   * Frames are fetched with `takeFrames`.
   */
  flush(budget: number, now: number): void {
    if (budget <= 0) return;
    for (const answer of this.#answers.splice(0)) answer(now);
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
      const record = channel.writeRecord(this.#recordCapacity);
      if (!record) continue;
      channel.handshakeHash ??= keys.handshakeHash;
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

  /** The link is gone: every channel fails with `error`, and all keys are wiped. */
  fail(error: SecureWebSocketError): void {
    for (const channel of [...this.#waiting.keys()]) this.#fail(channel, error);
    for (const channels of [...this.#channels.values()]) {
      for (const channel of [...channels.values()]) this.#fail(channel, error);
    }
    this.#sessions.wipe();
    this.#frames = [];
    this.#answers = [];
    this.#untold.clear();
  }

  #newChannel(id: number, opener: boolean): Channel {
    return new Channel({
      id,
      opener,
      maxPayload: this.#options.maxPayload ?? DEFAULT_MAX_PAYLOAD,
      emit: event => {
        this.#events.push(event);
      },
    });
  }

  #attach(channel: Channel, session: Session): void {
    channel.session = session;
    let channels = this.#channels.get(session);
    if (!channels) this.#channels.set(session, (channels = new Map<string, Channel>()));
    channels.set(nameOf(channel.id, channel.opener), channel);
    this.#waiting.delete(channel);
    this.wake(channel);
  }

  #remove(channel: Channel): void {
    this.#waiting.delete(channel);
    this.#deadlines.delete(channel);
    this.#ready.delete(channel);
    if (!channel.session) return;
    const channels = this.#channels.get(channel.session);
    channels?.delete(nameOf(channel.id, channel.opener));
    if (channels?.size === 0) this.#channels.delete(channel.session);
  }

  #fail(channel: Channel, error: SecureWebSocketError): void {
    channel.fail(error);
    this.#remove(channel);
  }

  #expired(channel: Channel, now: number): void {
    if (channel.state === 'opening') {
      const message = `The peer did not answer within ${String(CONNECT_TIMEOUT / 1000)} s.`;
      this.terminate(channel, new SecureWebSocketError('SESSION_TIMEOUT', message), now);
    } else if (channel.state === 'incoming') {
      this.refuse(channel, 503, 'the application did not answer in time', now);
    } else if (channel.waitsForReader) {
      this.#deadlines.delete(channel);
    } else {
      const message = `The peer did not answer CLOSE within ${String(CLOSE_TIMEOUT / 1000)} s.`;
      this.terminate(channel, new SecureWebSocketError('CLOSE_TIMEOUT', message), now);
    }
  }

  #established(attempt: Attempt, session: Session): void {
    for (const [channel, its] of [...this.#waiting]) if (its === attempt) this.#attach(channel, session);
    // The peer may not use the new keys before it has heard something under them (WireGuard, section 5.4.6). At once,
    // be there more to say or not: that may have to wait until the network has room.
    if (session.current) this.#seal(session, session.current, EMPTY);
    this.#keysRenewed(session);
  }

  #keysRenewed(session: Session): void {
    this.#answers.push(...(this.#untold.get(session) ?? []));
    this.#untold.delete(session);
    for (const channel of this.#channels.get(session)?.values() ?? []) this.wake(channel);
  }

  #sessionFailed(session: Session, error: SecureWebSocketError, now: number): void {
    for (const channel of [...(this.#channels.get(session)?.values() ?? [])]) {
      // The peer noticed nothing of it, perhaps, and would wait for ever.
      if (!UNREACHABLE.has(error.code) && session.sealingKeys(now)) {
        this.#tell(channel, Opcode.RESET, resetPayload(error.code), now);
      }
      this.#fail(channel, error);
    }
    this.#untold.delete(session);
  }

  #record(session: Session, keys: TransportKeys, plaintext: Uint8Array, now: number): void {
    let header;
    try {
      header = decodeRecordHeader(plaintext);
    } catch (error) {
      this.#sessions.fail(session, asError(error), now);
      return;
    }
    // What the sender calls "mine" is what we call "theirs".
    const channel = this.#channels.get(session)?.get(nameOf(header.channelId, !header.opener));
    if (!channel) {
      this.#unknownChannel(session, keys, header, plaintext, now);
      return;
    }
    try {
      channel.receive(header, plaintext);
    } catch (error) {
      this.terminate(channel, asError(error), now);
      return;
    }
    if (channel.state === 'closed') this.#remove(channel);
    else if (channel.state === 'closing' && !this.#deadlines.has(channel))
      this.#deadlines.set(channel, now + CLOSE_TIMEOUT);
    else if (channel.state === 'open' && channel.opener) this.#deadlines.delete(channel);
    this.wake(channel);
  }

  /** A record of no channel that we know: it opens one, or is late for one that has ended. */
  #unknownChannel(
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
      this.#sessions.fail(session, asError(error), now);
      return;
    }
    const [first] = items;
    const opens = header.opener && header.sequenced && header.sequence === 0 && header.acknowledgement === 0;
    if (first?.opcode !== Opcode.OPEN || !opens) {
      // The other end must learn that it talks to nobody; but a RESET, or the end of a closing handshake, needs no answer.
      const isEnd = items.every(
        item => item.opcode === Opcode.RESET || item.opcode === Opcode.CLOSE || item.opcode === Opcode.CREDIT,
      );
      if (!isEnd) this.#answer(session, header, Opcode.RESET, resetPayload('CHANNEL_RESET'));
      return;
    }
    let open;
    try {
      if (items.length > 1)
        throw new SecureWebSocketError(
          'PROTOCOL_VIOLATION',
          'The peer sent data before its channel was accepted.',
        );
      open = decodeOpen(first.payload);
    } catch (error) {
      this.#answer(session, header, Opcode.RESET, resetPayload(asError(error).code));
      return;
    }
    if (!this.#listening) {
      this.#answer(
        session,
        header,
        Opcode.OPEN_REFUSE,
        encodeOpen({ status: 404, reason: 'nobody listens' }),
      );
      return;
    }
    if ((this.#channels.get(session)?.size ?? 0) >= MAX_CHANNELS_PER_PEER) {
      this.#answer(
        session,
        header,
        Opcode.OPEN_REFUSE,
        encodeOpen({ status: 503, reason: 'too many channels' }),
      );
      return;
    }
    const channel = this.#newChannel(header.channelId, false);
    this.#attach(channel, session);
    channel.handshakeHash = keys.handshakeHash;
    channel.offered(open.window);
    channel.receive(header, record.subarray(0, RECORD_HEADER_LENGTH));
    this.#deadlines.set(channel, now + ACCEPT_TIMEOUT);
    this.#events.push({ type: 'incoming', channel, open });
  }

  /** One item to the peer of a channel that we know, outside of its queue. */
  #tell(
    channel: Channel,
    opcode: Opcode,
    payload: Uint8Array,
    now: number,
    position = channel.position,
  ): void {
    const { session, id, opener } = channel;
    if (!session) return;
    const tell = (at: number): void => {
      this.#sendItem(session, id, opener, opcode, payload, position, at);
    };
    if (session.sealingKeys(now)) {
      tell(now);
      return;
    }
    this.#untold.set(session, [...(this.#untold.get(session) ?? []), tell]);
    this.#sessions.renew(session, now);
  }

  /** One item about a channel that the peer has opened, or believes in. */
  #answer(session: Session, header: RecordHeader, opcode: Opcode, payload: Uint8Array): void {
    // A peer that asks and asks, and reads nothing, is answered no more.
    if (this.#answers.length >= MAX_ANSWERS) return;
    const position = { sequence: header.acknowledgement, expected: header.sequence + 1 };
    this.#answers.push(now => {
      this.#sendItem(session, header.channelId, !header.opener, opcode, payload, position, now);
    });
  }

  #sendItem(
    session: Session,
    channelId: number,
    opener: boolean,
    opcode: Opcode,
    payload: Uint8Array,
    position: { sequence: number; expected: number },
    now: number,
  ): void {
    const keys = session.sealingKeys(now);
    // Without keys the peer has no channel either, or will learn it when it next speaks.
    if (!keys) return;
    const { sequence, expected } = position;
    const sequenced = opcode !== Opcode.RESET;
    const header = { channelId, opener, sequenced, sequence, acknowledgement: expected };
    this.#seal(session, keys, encodeSingleItem(header, opcode, payload));
  }

  #seal(session: Session, keys: TransportKeys, record: Uint8Array): number {
    const frame = encodeEnvelope(session.address, ...keys.seal(record));
    this.#frames.push(frame);
    return frame.length;
  }
}

const EMPTY = new Uint8Array(0);

/** Answers that may wait. */
const MAX_ANSWERS = 1_024;

/** With these the peer gets nothing that is sent to it. */
const UNREACHABLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'PEER_NOT_HERE',
  'PEER_REFUSED',
  'PEER_GONE',
]);

function nameOf(id: number, openedByUs: boolean): string {
  return openedByUs ? `+${String(id)}` : `-${String(id)}`;
}

function asError(error: unknown): SecureWebSocketError {
  return asSecureWebSocketError(error, 'PROTOCOL_VIOLATION', 'A record from the peer could not be handled.');
}
