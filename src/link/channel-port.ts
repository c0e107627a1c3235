import type { ThrottledLimit } from '../core/control.js';
import type { SecureWebSocketError } from '../core/errors.js';

/** A message that was given to `send` and that the peer has not acknowledged. */
export interface UnacknowledgedMessage {
  readonly data: Uint8Array;
  readonly isText: boolean;
}

/** How a channel ended. */
export interface ChannelEnd {
  /** RFC 6455 section 7.4 status code: what the peer's CLOSE carried, 1005 when it carried none, 1006 without one. */
  readonly code: number;
  readonly reason: string;
  /** True only when a sealed CLOSE was received and ours was sent. */
  readonly wasClean: boolean;
  /** Why, when the channel failed. */
  readonly error?: SecureWebSocketError;
  /** What the peer may or may not have got, in the order of `send`. Empty after a clean end. */
  readonly unacknowledged: readonly UnacknowledgedMessage[];
}

/** The peer cannot be reached at present; the channel waits to go on where it stopped. */
export interface Suspension {
  /** Why. */
  readonly error: SecureWebSocketError;
  /** Whoever has ended it has said that it may be otherwise later. */
  readonly isPassing?: boolean;
}

/** An attempt to reach the peer again that is about to be made (dialled channels). */
export interface ReconnectAttempt {
  /** 1 for the first since the peer was last reached. */
  readonly attempt: number;
  /** Milliseconds until it is made. */
  readonly delay: number;
  /** Why there has to be one: how the connection was lost, or the last attempt failed. */
  readonly error: SecureWebSocketError;
}

/** More was sent over a link than its relay takes per second. Whoever shares the link is told, once. */
export interface Throttling {
  /** What is counted: frames or bytes, of the connection or (`key_…`) of all connections of the key. */
  readonly limit: ThrottledLimit;
  readonly perSecond: number;
}

/** The peer is reached again. */
export interface Resumption extends ChannelInformation {
  /** True when the channel went on where it stopped. False when a new one has taken its place. */
  readonly resumed: boolean;
  /** What was sent on the old channel and not acknowledged: it is not sent again. Empty when `resumed`. */
  readonly unacknowledged: readonly UnacknowledgedMessage[];
}

/** A member of a space. One identity may be several: each socket that enters is one. */
export interface SpaceMember {
  /** 32 lowercase hex characters: what tells the members of one key apart. */
  readonly id: string;
  /** The public key that it has joined with, and signed for: 64 lowercase hex characters. */
  readonly publicKey: string;
  /** Whether it is this socket. */
  readonly isSelf: boolean;
  /** Whether it is given keys. With `admins` only those are whom an admin has invited; without it everybody is. */
  readonly admitted: boolean;
  /** Whether its connection is lost at present. The relay keeps its place for a while. */
  readonly away: boolean;
  /** When it has joined, by its own clock, milliseconds since 1970. */
  readonly joined: number;
}

/** Why somebody is no member any more: it has left; was away for too long; or the relay has removed it. */
export type MemberLeaveReason = 'left' | 'gone' | 'removed';

/** Why keys of a member were wiped. `absent`: the relay says that it is not there. */
export type KeysWipedReason = MemberLeaveReason | 'absent';

/**
 * Why messages are not delivered. `repair`: the sender does not keep them any more. `view`: it saw another space than we
 * do, so that the relay or the sender lies. `unreadable`: no key came for them, or they are malformed.
 */
export type MessagesLostReason = 'repair' | 'view' | 'unreadable';

/** What happens in a space beside messages. */
export type SpaceEvent =
  | { readonly type: 'joined'; readonly member: SpaceMember }
  /** Its connection is lost, or is back: `away` is another than before. */
  | { readonly type: 'changed'; readonly member: SpaceMember }
  | { readonly type: 'left'; readonly member: SpaceMember; readonly reason: MemberLeaveReason }
  | { readonly type: 'wiped'; readonly member: SpaceMember; readonly reason: KeysWipedReason }
  /** So many messages of this member were for us, and are not delivered. */
  | {
      readonly type: 'lost';
      readonly member: SpaceMember;
      readonly count: number;
      readonly reason: MessagesLostReason;
    };

/** What a port in a space knows of it. */
export interface SpaceView {
  readonly name: string;
  /** Which of the members we are. */
  readonly memberId: string;
  /** Who is there, ourselves included. Empty before the channel is open. */
  readonly members: readonly SpaceMember[];
  /**
   * Asks the relay who is there. Resolves when it has answered, and that is true of `members`.
   * Rejects with a SecureWebSocketError when the channel ends before.
   */
  refresh(): Promise<void>;
}

/** What a service has sent to everybody in a space, or to all clients of a user, through the relay that it runs. */
export interface ServerEvent {
  /** The space that it is for; '' when it is for the user. */
  readonly space: string;
  readonly data: Uint8Array;
  readonly isText: boolean;
  /** To be called when it has been dealt with: until then it counts as waiting, and the relay is slowed down. */
  readonly taken: () => void;
}

/** What both sides know of a channel once it is open. Keys are hex addresses. */
export interface ChannelInformation {
  /** Our own public key. */
  readonly publicKey: string;
  /** The authenticated public key at the other end; '' in a space, where there are many. */
  readonly peerPublicKey: string;
  /** The public key of the server or relay that the link is registered with. */
  readonly serverPublicKey: string;
  /** Noise handshake hash of the session in which the channel was opened, 64 bytes: for channel binding. Empty in a space. */
  readonly handshakeHash: Uint8Array;
  /** The subprotocol agreed inside the encryption, or ''. */
  readonly protocol: string;
}

/**
 * What a channel tells its owner. Never called from inside a call that the owner makes on the port: the owner
 * may call any method of the port from inside any of these.
 */
export interface ChannelListener {
  /** The identity and the server's key become known (dialled channels, before `opened`). */
  registered?(known: { publicKey: string; serverPublicKey: string }): void;
  /** The peer accepted the channel (dialled channels). */
  opened?(information: ChannelInformation): void;
  /**
   * A whole message. `data` belongs to the receiver. Text is not yet checked to be UTF-8, except in a space. There
   * `from` is the authenticated public key of the sender, and `member` says which member it is; both hex.
   */
  message(data: Uint8Array, isText: boolean, from?: string, member?: string): void;
  /** Something else has happened in the space (channels to a space). */
  space?(event: SpaceEvent): void;
  /** A service at the relay has sent something to whoever is connected (dialled channels through a relay). */
  serverEvent?(event: ServerEvent): void;
  ping?(data: Uint8Array): void;
  pong?(data: Uint8Array): void;
  /** The peer sent CLOSE, or we called `close`: the closing handshake is under way. */
  closing?(): void;
  /** So many bytes of message payload were handed to the network. Same total as was given to `send`. */
  sent?(bytes: number): void;
  /** The peer cannot be reached, and the channel is kept. Not called again before `resumed`. */
  suspended?(suspension: Suspension): void;
  /** Another attempt will be made (dialled channels with `reconnect`; before `opened` too). */
  reconnecting?(attempt: ReconnectAttempt): void;
  /** The relay holds back what is sent over the link (dialled channels). */
  throttled?(throttling: Throttling): void;
  /** After `suspended`: the channel goes on. */
  resumed?(resumption: Resumption): void;
  /** Called exactly once, and nothing after it. */
  closed(end: ChannelEnd): void;
}

/** The owner's handle of one channel. Every method is safe to call in every state. */
export interface ChannelPort {
  /** Bytes of message payload accepted by `send` and not yet handed to the network. */
  readonly bufferedAmount: number;
  /** Whether it outlives its link, and looks after its peer by itself. */
  readonly isResumable?: boolean;
  /** The space that it is a member of, if what was dialled is one. */
  readonly space?: SpaceView | undefined;
  /** Queues one message; `data` is copied. Ignored unless the channel is open (a suspended one is). */
  send(data: Uint8Array, isText: boolean): void;
  /** At most 125 bytes (RFC 6455 section 5.5). */
  ping(data: Uint8Array): void;
  pong(data: Uint8Array): void;
  /**
   * Starts the closing handshake after what was queued. Before the channel is open it fails it instead (`closed` with 1006).
   * `reason` at most 123 bytes of UTF-8.
   */
  close(code?: number, reason?: string): void;
  /** Ends the channel at once, without a closing handshake: `closed` with 1006, later. */
  terminate(error?: SecureWebSocketError): void;
  /** No further `message` until `resume`; the peer is slowed down. */
  pause(): void;
  resume(): void;
}

/** A channel that a peer wants to open. Exactly one of `accept` and `refuse` must be called, within the deadline. */
export interface IncomingChannel {
  readonly publicKey: string;
  readonly peerPublicKey: string;
  readonly serverPublicKey: string;
  readonly handshakeHash: Uint8Array;
  /** Path with query, as the peer dialled it: '/chat?x=1'. */
  readonly target: string;
  /** Subprotocols in the order of preference of the peer. */
  readonly protocols: readonly string[];
  /** `Origin` as the peer states it (a page's origin), or undefined. A claim of the peer, not a proof. */
  readonly origin: string | undefined;
  /** In direct use: what the client gave as its token. Not yet judged by anybody. */
  readonly token?: string | undefined;
  accept(protocol: string, listener: ChannelListener): ChannelPort;
  /** `status` is an HTTP status code, as a WebSocket server would answer with. */
  refuse(status: number, reason: string): void;
}
