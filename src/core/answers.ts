import type { Channel } from './channel.js';
import { EndedChannels, type LastWord } from './ended-channels.js';
import {
  encodeAcknowledgement,
  encodeSingleItem,
  type Item,
  isUnsequenced,
  Opcode,
  type RecordHeader,
} from './record.js';
import type { Session } from './session.js';
import type { Sessions } from './sessions.js';
import type { TransportKeys } from './transport-keys.js';

/** Answers that may wait. */
const MAX_ANSWERS = 1_024;

type Position = LastWord['position'];
type Seal = (session: Session, keys: TransportKeys, record: Uint8Array) => void;

/** What is said about channels outside of their own queues: about those that are not there, and about their end. */
export class Answers {
  readonly #sessions: Pick<Sessions, 'renew'>;
  readonly #seal: Seal;
  /** They wait for room in the network like all else, and are not many. */
  #waiting: ((now: number) => void)[] = [];
  /** What peers could not be told because keys had grown too old: it is told when there are new ones. */
  readonly #untold = new Map<Session, ((now: number) => void)[]>();
  readonly #ended = new EndedChannels();

  constructor(sessions: Pick<Sessions, 'renew'>, seal: Seal) {
    this.#sessions = sessions;
    this.#seal = seal;
  }

  get isWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  hasUntold(session: Session): boolean {
    return this.#untold.has(session);
  }

  /** One item to the peer of a channel that we know, outside of its queue. */
  tell(
    channel: Channel,
    opcode: Opcode,
    payload: Uint8Array,
    now: number,
    position = channel.position,
  ): void {
    const { session, id, opener } = channel;
    if (!session) return;
    this.#tell(session, now, at => {
      this.#sendItem(session, id, opener, opcode, payload, position, at);
    });
  }

  /** A channel is over, and the peer wants to hear that its CLOSE has arrived. */
  acknowledge(session: Session, channelId: number, opener: boolean, position: Position, now: number): void {
    this.#tell(session, now, at => {
      const keys = session.sealingKeys(at);
      if (keys)
        this.#seal(session, keys, encodeAcknowledgement(headerOf(channelId, opener, false, position)));
    });
  }

  /** Remembers what is to be said to a peer that still speaks of the channel. */
  remember(session: Session, name: string, lastWord: LastWord): void {
    this.#ended.add(session, name, lastWord);
  }

  /** Says the last word about a channel once more, if there was one. */
  repeat(session: Session, name: string, header: RecordHeader, items: readonly Item[]): boolean {
    const lastWord = this.#ended.find(session, name);
    if (!lastWord) return false;
    const { position, refusal } = lastWord;
    if (!waitsForAnswer(header, items)) return true;
    const opener = !header.opener;
    this.#push(now => {
      if (refusal) {
        this.#sendItem(session, header.channelId, opener, Opcode.OPEN_REFUSE, refusal, position, now);
      } else {
        this.acknowledge(session, header.channelId, opener, position, now);
      }
    });
    return true;
  }

  /** One item about a channel that the peer has opened, or believes in. */
  answer(session: Session, header: RecordHeader, opcode: Opcode, payload: Uint8Array): void {
    // What opens a channel has arrived; of all else nothing is known here.
    const expected = header.sequenced && header.sequence === 0 ? 1 : 0;
    const position = { sequence: header.acknowledgement, expected };
    this.#push(now => {
      this.#sendItem(session, header.channelId, !header.opener, opcode, payload, position, now);
    });
  }

  flush(now: number): void {
    for (const answer of this.#waiting.splice(0)) answer(now);
  }

  keysRenewed(session: Session): void {
    this.#waiting.push(...(this.#untold.get(session) ?? []));
    this.#untold.delete(session);
  }

  forget(session: Session): void {
    this.#untold.delete(session);
  }

  clear(): void {
    this.#waiting = [];
    this.#untold.clear();
  }

  #push(answer: (now: number) => void): void {
    // A peer that asks and asks, and reads nothing, is answered no more.
    if (this.#waiting.length < MAX_ANSWERS) this.#waiting.push(answer);
  }

  #tell(session: Session, now: number, tell: (now: number) => void): void {
    if (session.sealingKeys(now)) {
      tell(now);
      return;
    }
    this.#untold.set(session, [...(this.#untold.get(session) ?? []), tell]);
    this.#sessions.renew(session, now);
  }

  #sendItem(
    session: Session,
    channelId: number,
    opener: boolean,
    opcode: Opcode,
    payload: Uint8Array,
    position: Position,
    now: number,
  ): void {
    const keys = session.sealingKeys(now);
    // Without keys the peer has no channel either, or will learn it when it next speaks.
    if (!keys) return;
    const header = headerOf(channelId, opener, !isUnsequenced(opcode), position);
    this.#seal(session, keys, encodeSingleItem(header, opcode, payload));
  }
}

/** Whether whoever sent the record waits until it hears something of it. */
export function waitsForAnswer(header: RecordHeader, items: readonly Item[]): boolean {
  return header.sequenced || items.some(({ opcode }) => opcode === Opcode.PROBE);
}

function headerOf(channelId: number, opener: boolean, sequenced: boolean, position: Position): RecordHeader {
  return { channelId, opener, sequenced, sequence: position.sequence, acknowledgement: position.expected };
}
