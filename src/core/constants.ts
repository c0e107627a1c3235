/**
 * Every timing and limit of the protocol. Timings are in milliseconds and carry the names of the WireGuard paper
 * (section 6.1) where WireGuard has them.
 */

/** Protocol version: part of every prologue and of CHALLENGE. */
export const PROTOCOL_VERSION = 1;

// Sessions

/** A session that has carried so many messages starts a fresh handshake. */
export const REKEY_AFTER_MESSAGES = 2 ** 48;
/** No message is sealed or opened under a key beyond this counter; far below 2^53, where a double stops counting. */
export const REJECT_AFTER_MESSAGES = 2 ** 50;
/** The initiator of a session starts a fresh handshake when it sends under keys older than this. */
export const REKEY_AFTER_TIME = 120_000;
/** Keys older than this are refused in both directions, and wiped. */
export const REJECT_AFTER_TIME = 180_000;
/** Nothing is sealed under keys that have no more than this to live: it has to arrive while the peer still takes it. */
export const REJECT_MARGIN = 10_000;
/** An unanswered handshake is given up after this. */
export const REKEY_ATTEMPT_TIME = 90_000;
/** An unanswered handshake initiation is made anew, with a new ephemeral key, after this. */
export const REKEY_TIMEOUT = 5_000;
/** A receiver that has nothing to say confirms new keys, or shows that it is there, after this. */
export const KEEPALIVE_TIMEOUT = 10_000;

/** Handshakes answered and not yet confirmed by a first transport message, per endpoint. A full table refuses new ones and evicts none. */
export const MAX_UNCONFIRMED_HANDSHAKES = 1_024;
/** The same, per peer address. */
export const MAX_UNCONFIRMED_HANDSHAKES_PER_PEER = 4;
/** An answered handshake that is not confirmed is forgotten after this. */
export const UNCONFIRMED_HANDSHAKE_TIME = 10_000;
/** Handshake initiations accepted from one peer address: a bucket of this many, one more per `HANDSHAKE_INTERVAL`. */
export const HANDSHAKE_BURST = 128;
export const HANDSHAKE_INTERVAL = 50;
/** Ephemeral keys of initiations that are remembered, so that a replayed initiation costs and changes nothing. */
export const MAX_SEEN_EPHEMERALS = 16_384;
/** Sessions of one endpoint. */
export const MAX_SESSIONS = 65_536;
/** Largest payload accepted in a handshake message, bytes. */
export const MAX_HANDSHAKE_PAYLOAD = 1_024;

// Links

/** Registration must be complete within this, on both sides. */
export const REGISTRATION_TIMEOUT = 10_000;
/** Largest registration message, bytes, and the most that an unregistered link may send in all. */
export const MAX_REGISTRATION_MESSAGE = 8_192;
/** Longest token that a client may show when it registers, UTF-16 code units. */
export const MAX_TOKEN_LENGTH = 4_096;
/** Largest message of a CONTROL frame, bytes. */
export const MAX_CONTROL_MESSAGE = 1_024;
/** Largest TOKEN frame, bytes: a token of three bytes a character, and what sealing adds. */
export const MAX_TOKEN_FRAME = 3 * MAX_TOKEN_LENGTH + 64;
/** Frames may be so large, header included, unless the server says less. */
export const DEFAULT_MAX_FRAME = 262_144;
/** The least frame limit that a server may tell, bytes: the largest OPEN must fit. */
export const MIN_MAX_FRAME = 32_768;
/** The most that a client accepts as a frame limit, bytes. */
export const MAX_MAX_FRAME = 16_777_216;
/** Signed device information is valid so long. */
export const DEVICE_INFORMATION_LIFETIME = 30 * 24 * 3_600_000;

// Channels

/** Largest whole message, bytes, unless the application says otherwise (the default of `ws`). */
export const DEFAULT_MAX_PAYLOAD = 104_857_600;
/** Bytes of message payload that a peer may send ahead of what has been consumed. */
export const RECEIVE_WINDOW = 2_097_152;
/** What every data item counts for beyond its payload, bytes: many tiny messages take memory too. */
export const ITEM_OVERHEAD = 64;
/** Items of one record: what is made of a record must not take many times its size. */
export const MAX_RECORD_ITEMS = 4_096;
/** A fragment that is not the last of its message carries at least this, bytes. */
export const MIN_FRAGMENT = 1_024;
/** A dialled channel must be open within this. */
export const CONNECT_TIMEOUT = 30_000;
/** An incoming channel must be accepted or refused by the application within this. */
export const ACCEPT_TIMEOUT = 30_000;
/** CLOSE must be answered within this. */
export const CLOSE_TIMEOUT = 30_000;
/** Channels with one peer, those of both ends together. */
export const MAX_CHANNELS_PER_PEER = 1_024;
/** OPEN, OPEN_ACCEPT and OPEN_REFUSE may be so large, bytes. */
export const MAX_OPEN_PAYLOAD = 16_384;

/** Close code of a link whose relay goes down to come back: "Service Restart" (registered with IANA). */
export const SERVICE_RESTART = 1_012;
/** Close code of a link whose owner has come back on another: terminal, nobody redials. */
export const REPLACED = 4_001;
/** Close code of a link whose client does not read what is sent to it, where the relay has no patience with that. */
export const TOO_SLOW = 4_002;
/** Close code of a link for which no token is valid any more. Who has a fresh one may come again. */
export const TOKEN_EXPIRED = 4_003;
/** Close code of a link whose client is admitted no longer: terminal. */
export const NOT_ADMITTED = 4_004;

// Reliability

/** A record that was received is acknowledged within this, unless something else that goes out says so before. */
export const ACK_DELAY = 200;
/** So many records are acknowledged at once. */
export const ACK_EVERY = 32;
/** What was not acknowledged in so long is asked after, before round trips have been measured. */
export const INITIAL_RETRY = 1_000;
/** The least of that time: more than the longest that an acknowledgement may wait. */
export const MIN_RETRY = 500;
/** The most of that time: each question that is not answered doubles it up to here. */
export const MAX_RETRY = 10_000;
/** Records of one channel that wait for acknowledgement: nothing new is sealed beyond so many, or so many bytes. */
export const MAX_UNACKNOWLEDGED_RECORDS = 1_024;
export const MAX_UNACKNOWLEDGED_BYTES = 4_194_304;
/** Memory of records, messages and frames that is kept to be used again. Bytes. */
export const MAX_POOLED_BYTES = 8_388_608;
/** A peer of which nothing was heard for so long is asked whether it is there, when channels are to outlive it. */
export const HEARTBEAT_INTERVAL = 15_000;
/** A peer that leaves questions unanswered for so long is not there. */
export const DEAD_AFTER = 15_000;
/** A peer that has answered a handshake and leaves RESUME unanswered for so long is asked anew, under other keys. */
export const RESUME_PATIENCE = 5_000;
/** A link on which we listen and nothing was heard for so long is tried with an envelope to ourselves. */
export const ECHO_INTERVAL = 30_000;
/** A channel whose peer is out of reach is kept so long, unless the application says otherwise. */
export const RESUME_WINDOW = 120_000;
/** So many channels of one service are kept while their peers are out of reach, and so many bytes, all together. */
export const MAX_RESUMABLE = 10_000;
export const MAX_RESUMABLE_BYTES = 67_108_864;

// Spaces

/** Longest name of a space, bytes of UTF-8. */
export const MAX_SPACE_NAME = 128;
/** Largest JSON of a SPACE frame, bytes. */
export const MAX_SPACE_JSON = 4_096;
/** Largest SPACE frame with a part of a roster, bytes, header included: it fits wherever a frame does. */
export const MAX_ROSTER_PAGE = MIN_MAX_FRAME;
/** Keys of one sender are used for so many messages, and so long. */
export const GENERATION_MESSAGES = 100;
export const GENERATION_TIME = 3_600_000;
/** Where so many members can read, sender keys take the place of wraps, unless the application says otherwise. */
export const SENDER_KEY_MEMBERS = 16;
/** Also for whoever has sent more than so many messages a second, as long as that lasts. */
export const SENDER_KEY_RATE = 8;
/** Over so long that rate is measured. */
export const SENDER_KEY_RATE_TIME = 10_000;
/** Messages of a chain that may be missing before one that is opened, and keys of such messages that are kept. */
export const MAX_SKIPPED_MESSAGES = 512;
/** Messages that a member may have under way which the relay has not accepted, and bytes of them. */
export const SPACE_WINDOW_MESSAGES = 64;
export const SPACE_WINDOW_BYTES = 1_048_576;
/** What a sender has seen may be so many items behind when the relay accepts its message. */
export const MAX_VIEW_AGE = 512;
/** Messages that a sender keeps for members who missed them, bytes of them, and for how long. */
export const REPAIR_MESSAGES = 256;
export const REPAIR_BYTES = 4_194_304;
export const REPAIR_TIME = 120_000;
/** A relay tells members how far the order has come after so long, if it has moved. */
export const SPACE_HEAD_INTERVAL = 15_000;
