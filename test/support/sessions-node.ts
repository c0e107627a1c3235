import { fromUtf8, utf8 } from '../../src/core/bytes.js';
import type { SecureWebSocketError } from '../../src/core/errors.js';
import { decodeFrame, encodeEnvelope, encodeListen, peerAddress } from '../../src/core/frame.js';
import { Identity } from '../../src/core/identity.js';
import type { Session } from '../../src/core/session.js';
import { type Attempt, Sessions } from '../../src/core/sessions.js';
import type { TransportKeys } from '../../src/core/transport-keys.js';
import { transportMessage } from './transport-message.js';
import { type NetworkNode, seededCrypto } from './virtual-network.js';

export interface SessionsNodeOptions {
  /** Which identity; nodes with the same number are connections of the same one. */
  readonly identity: number;
  readonly connectionId: number;
  readonly listening?: boolean;
}

/** The sessions of one connection, with an owner that writes down what it is told. */
export class SessionsNode implements NetworkNode {
  readonly sessions: Sessions;
  readonly address: Uint8Array;
  readonly identity: Identity;
  readonly established: { attempt: Attempt; session: Session }[] = [];
  readonly confirmed: Session[] = [];
  readonly received: { session: Session; keys: TransportKeys; plaintext: Uint8Array; text: string }[] = [];
  readonly failures: { session: Session; error: SecureWebSocketError }[] = [];
  readonly attemptFailures: { attempt: Attempt; error: SecureWebSocketError }[] = [];
  readonly refusals: SecureWebSocketError[] = [];
  /** When something authentic came. */
  readonly heard: number[] = [];
  /** Sessions on which something stands. */
  readonly used = new Set<Session>();
  listening: boolean;
  /** What its clock shows, milliseconds since 1970. */
  wall = 1_750_000_000_000;
  /** Confirms new keys with an empty message, as an endpoint does that has nothing to say. */
  confirms = true;
  #frames: Uint8Array[] = [];
  readonly #network: { readonly now: number };

  constructor(
    network: { readonly now: number; add(node: SessionsNode): void },
    options: SessionsNodeOptions,
  ) {
    const { identity, connectionId, listening = true } = options;
    const crypto = seededCrypto(`${identity}/${connectionId}`);
    this.identity = new Identity(crypto, new Uint8Array(32).fill(identity));
    this.address = peerAddress(this.identity.publicKeyBytes, connectionId);
    this.listening = listening;
    this.#network = network;
    if (listening) this.#frames.push(encodeListen(true));
    this.sessions = new Sessions({
      crypto,
      keyPair: this.identity.keyPair,
      address: this.address,
      wallClock: () => this.wall,
      owner: {
        send: (address, body) => this.#frames.push(encodeEnvelope(address, body)),
        acceptsStrangers: () => this.listening,
        established: (attempt, session) => {
          this.established.push({ attempt, session });
          this.used.add(session);
          if (this.confirms) this.seal(session, '');
        },
        confirmed: session => {
          this.confirmed.push(session);
          this.used.add(session);
        },
        heard: now => this.heard.push(now),
        plaintext: (session, keys, plaintext) => {
          this.received.push({ session, keys, plaintext, text: fromUtf8(plaintext) ?? '(no text)' });
        },
        failed: (session, error) => this.failures.push({ session, error }),
        unanswered: () => undefined,
        attemptFailed: (attempt, error) => this.attemptFailures.push({ attempt, error }),
        uses: session => this.used.has(session),
        refused: error => this.refusals.push(error),
      },
    });
    network.add(this);
  }

  get wakeAt(): number {
    return this.sessions.wakeAt;
  }

  /** Address of whoever listens at this node's key. */
  get anyAddress(): Uint8Array {
    return peerAddress(this.identity.publicKeyBytes, 0);
  }

  get texts(): string[] {
    return this.received.map(({ text }) => text);
  }

  receive(bytes: Uint8Array, now: number): void {
    const frame = decodeFrame(bytes);
    if (frame.type === 'envelope') this.sessions.receive(frame.address, frame.body, now);
    else if (frame.type === 'notice') this.sessions.notice(frame.address, frame.reason, now);
  }

  takeFrames(): Uint8Array[] {
    const frames = this.#frames;
    this.#frames = [];
    return frames;
  }

  timeout(now: number): void {
    this.sessions.timeout(now);
  }

  sessionWith(peer: SessionsNode): Session | undefined {
    return this.sessions.find(peer.address);
  }

  /** Seals `text` for the peer and puts it on its way, renewing keys when that is due. False without usable keys. */
  say(peer: SessionsNode, text: string): boolean {
    const session = this.sessionWith(peer);
    if (!session) throw new Error('There is no session.');
    const { now } = this.#network;
    if (session.wantsHandshake(now)) this.sessions.renew(session, now);
    return this.seal(session, text);
  }

  /** The same without a thought of renewal. */
  seal(session: Session, plaintext: string | Uint8Array): boolean {
    const keys = session.sealingKeys(this.#network.now);
    if (!keys) return false;
    const bytes = typeof plaintext === 'string' ? utf8(plaintext) : plaintext;
    this.#frames.push(encodeEnvelope(session.address, transportMessage(keys, bytes)));
    return true;
  }
}
