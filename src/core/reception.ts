import { type Answers, waitsForAnswer } from './answers.js';
import { compareBytes } from './bytes.js';
import type { Channel } from './channel.js';
import { nameOf } from './channel-name.js';
import { resetPayload, UNKNOWN_CHANNEL } from './close-status.js';
import type { Crypto } from './crypto.js';
import { SecureWebSocketError } from './errors.js';
import { Lineage, lineageIdOf } from './lineage.js';
import { decodeOpen, encodeOpen, type OpenParameters } from './open-parameters.js';
import { asRecordError, type Item, Opcode, RECORD_HEADER_LENGTH, type RecordHeader } from './record.js';
import type { Session } from './session.js';
import type { TransportKeys } from './transport-keys.js';

/** What the reception needs of its endpoint. */
export interface ReceptionHost {
  /** Whether anybody takes what the peer of this session opens. */
  isListening(session: Session): boolean;
  /** The channel of this lineage, among those that can be resumed. */
  find(lineageId: string): Channel | undefined;
  /** How many channels there are on this session. */
  channelsOn(session: Session): number;
  /** The most that there may be with one peer. */
  readonly maxChannelsPerPeer: number;
  newChannel(id: number): Channel;
  /** `session` carries the channel from now on. */
  attach(channel: Channel, session: Session): void;
  /** A peer opens a channel: its owner has to decide. */
  incoming(channel: Channel, open: OpenParameters, now: number): void;
  /** This endpoint carries the channel from now on, be it one that another has carried. */
  takeOver(channel: Channel): void;
  /**
   * A peer goes on with a channel.
   * @throws SecureWebSocketError when that cannot be
   */
  resumed(channel: Channel, now: number): void;
  terminate(channel: Channel, error: SecureWebSocketError, now: number): void;
  seal(session: Session, keys: TransportKeys, record: Uint8Array): void;
}

/** Where records go that belong to no channel of their session: they open one, resume one, or are late for one that has ended. */
export class Reception {
  readonly #crypto: Crypto;
  readonly #host: ReceptionHost;
  readonly #answers: Answers;

  constructor(crypto: Crypto, host: ReceptionHost, answers: Answers) {
    this.#crypto = crypto;
    this.#host = host;
    this.#answers = answers;
  }

  /** Takes a record with at least its items well-formed. */
  receive(
    session: Session,
    keys: TransportKeys,
    header: RecordHeader,
    items: readonly Item[],
    record: Uint8Array,
    now: number,
  ): void {
    const [first] = items;
    if (first?.opcode === Opcode.RESUME && header.opener && !header.sequenced) {
      this.#resume(session, keys, header, first, now);
      return;
    }
    const name = nameOf({ id: header.channelId, opener: !header.opener });
    if (this.#answers.repeat(session, name, header, items)) return;
    const opens = header.opener && header.sequenced && header.sequence === 0 && header.acknowledgement === 0;
    if (first?.opcode === Opcode.OPEN && opens) {
      this.#open(session, keys, header, items, record, now);
      return;
    }
    // The other end must learn that it talks to nobody; but what needs no answer gets none.
    if (waitsForAnswer(header, items)) {
      this.#answers.answer(session, header, Opcode.RESET, resetPayload(UNKNOWN_CHANNEL));
    }
  }

  #open(
    session: Session,
    keys: TransportKeys,
    header: RecordHeader,
    items: readonly Item[],
    record: Uint8Array,
    now: number,
  ): void {
    let open;
    try {
      const [first, second] = items;
      if (!first || second) {
        throw new SecureWebSocketError(
          'PROTOCOL_VIOLATION',
          'The peer sent data before its channel was accepted.',
        );
      }
      open = decodeOpen(first.payload);
    } catch (error) {
      this.#answers.answer(session, header, Opcode.RESET, resetPayload(asRecordError(error).code));
      return;
    }
    const refusal = this.#reasonToRefuse(session);
    if (refusal) {
      this.#answers.answer(session, header, Opcode.OPEN_REFUSE, encodeOpen(refusal));
      return;
    }
    const channel = this.#host.newChannel(header.channelId);
    channel.offered(open, new Lineage(this.#crypto, keys, session.publicKey, header.channelId));
    this.#host.attach(channel, session);
    // OPEN itself has been taken; that it arrived has still to be noted.
    channel.receive(header, record.subarray(0, RECORD_HEADER_LENGTH), keys, now);
    this.#host.incoming(channel, open, now);
  }

  #reasonToRefuse(session: Session): { status: number; reason: string } | undefined {
    if (!this.#host.isListening(session)) return { status: 404, reason: 'nobody listens' };
    if (this.#host.channelsOn(session) >= this.#host.maxChannelsPerPeer) {
      return { status: 503, reason: 'too many channels' };
    }
    return undefined;
  }

  /** The peer wants to go on with a channel that it has opened in another session. */
  #resume(session: Session, keys: TransportKeys, header: RecordHeader, item: Item, now: number): void {
    const id = lineageIdOf(item.payload);
    const channel = id === undefined ? undefined : this.#host.find(id);
    const isOurs =
      channel?.peerKey !== undefined &&
      compareBytes(channel.peerKey, session.publicKey) === 0 &&
      channel.lineage?.isProven('opener', keys.handshakeHash, item.payload) === true;
    if (!isOurs) {
      this.#answers.answer(session, header, Opcode.RESET, resetPayload('CHANNEL_LOST'));
      return;
    }
    if (channel.state === 'closed') {
      this.#host.seal(session, keys, channel.farewell(header.channelId, keys));
      return;
    }
    this.#host.takeOver(channel);
    channel.id = header.channelId;
    this.#host.attach(channel, session);
    try {
      channel.resumeAsAsked(header, now);
      this.#host.resumed(channel, now);
    } catch (error) {
      this.#host.terminate(channel, asRecordError(error), now);
    }
  }
}
