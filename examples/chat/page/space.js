/**
 * What the page knows of a space, and all that it has to know: whether it encrypts by itself (`space-over-relay.js`) or a
 * proxy on this machine does (`space-over-proxy.js`) is nothing to the rest of it. Both have one function,
 * `openSpace(where, events)`, which returns a `Space` and calls the functions of `events`.
 *
 * @typedef {object} Member One entry into the space. Two tabs of one key are two members.
 * @property {string} id 32 hex digits
 * @property {string} publicKey 64 hex digits
 * @property {boolean} isSelf
 * @property {boolean} away its connection is lost, and its place is kept for a while
 *
 * @typedef {object} Where
 * @property {string} space the name of the space
 * @property {string} name what the person wants to be called: decides which key is used, and is told to nobody here
 * @property {string} url of the relay, or of the proxy
 * @property {string} [relayKey] the key that the relay must have
 *
 * @typedef {object} SpaceEvents
 * @property {(self: Member, members: readonly Member[]) => void} opened we are in
 * @property {(sender: { id: string, publicKey: string }, data: string | ArrayBuffer) => void} message `sender` is
 *   authenticated: nobody else can have sent it, the relay included
 * @property {(member: Member) => void} joined
 * @property {(member: Member, reason: string) => void} left
 * @property {(member: Member) => void} wiped every key of that member was wiped
 * @property {(member: Member, count: number) => void} lost so many messages of that member will never come
 * @property {(member: Member) => void} changed that member is away, or back
 * @property {() => void} away the relay cannot be reached. What is sent waits
 * @property {(resumed: boolean, members: readonly Member[]) => void} back it is reached again
 * @property {(reason: string) => void} ended we are not in the space any more, or never were
 *
 * @typedef {object} Space
 * @property {(data: string | Uint8Array) => void} send to every other member
 * @property {() => Promise<void>} drained resolves when there is room for more
 * @property {() => void} close leaves
 */
export {};
