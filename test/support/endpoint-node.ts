import { expect } from 'vitest';
import { fromUtf8, utf8, writeUint32 } from '../../src/core/bytes.js';
import type { Channel, ChannelEvent } from '../../src/core/channel.js';
import { DEFAULT_MAX_FRAME } from '../../src/core/constants.js';
import type { Crypto } from '../../src/core/crypto.js';
import { Endpoint, type EndpointEvent } from '../../src/core/endpoint.js';
import type { SecureWebSocketError } from '../../src/core/errors.js';
import { peerAddress } from '../../src/core/frame.js';
import { Identity } from '../../src/core/identity.js';
import type { OpenParameters } from '../../src/core/open-parameters.js';
import type { ResumableChannels } from '../../src/core/resumable-channels.js';
import { type NetworkNode, seededCrypto, VirtualNetwork } from './virtual-network.js';

export interface EndpointNodeOptions {
  readonly identity: number;
  readonly connectionId?: number;
  readonly listening?: boolean;
  readonly maxFrame?: number;
  readonly maxPayload?: number;
  readonly resumables?: ResumableChannels;
  /** Number of the first channel that it opens; endpoints begin at a random one. */
  readonly firstChannel?: number | 'random';
  /** Default: libsodium. */
  readonly backEnd?: Crypto;
}

type Closed = Extract<ChannelEvent, { type: 'closed' }>;

/** One endpoint on the network, with an owner that accepts what comes and writes down what happens. */
export class EndpointNode implements NetworkNode {
  readonly endpoint: Endpoint;
  readonly identity: Identity;
  readonly address: Uint8Array;
  /** All that happened, in order. */
  readonly events: EndpointEvent[] = [];
  /** Answers OPEN at once; with undefined it is left waiting. */
  answer: ((channel: Channel, open: OpenParameters) => void) | undefined;
  /** Answers pings, as sockets do. */
  pongs = true;
  /** Bytes that go out at once each time the network asks. */
  budget = Infinity;
  readonly #network: { readonly now: number };
  readonly #resumables: ResumableChannels | undefined;

  constructor(
    network: { readonly now: number; add(node: EndpointNode): void },
    options: EndpointNodeOptions,
  ) {
    const { identity, connectionId = identity * 11, listening = true, maxFrame, maxPayload } = options;
    const { firstChannel = 1, resumables } = options;
    const crypto = seededCrypto(`${identity}/${connectionId}`, options.backEnd);
    this.identity = new Identity(crypto, new Uint8Array(32).fill(identity));
    this.address = peerAddress(this.identity.publicKeyBytes, connectionId);
    this.endpoint = new Endpoint({
      crypto: firstChannel === 'random' ? crypto : drawingFirst(crypto, firstChannel - 1),
      keyPair: this.identity.keyPair,
      connectionId,
      maxFrame: maxFrame ?? DEFAULT_MAX_FRAME,
      maxPayload,
      resumables,
      wallClock: () => 1_750_000_000_000,
    });
    this.answer = channel => {
      this.endpoint.accept(channel, '');
    };
    this.#network = network;
    this.#resumables = resumables;
    network.add(this);
    if (listening) this.endpoint.listen(true, network.now);
  }

  get wakeAt(): number {
    return Math.min(this.endpoint.wakeAt, this.#resumables?.wakeAt ?? Infinity);
  }

  get anyAddress(): Uint8Array {
    return peerAddress(this.identity.publicKeyBytes, 0);
  }

  receive(frame: Uint8Array, now: number): void {
    this.endpoint.receive(frame, now);
    this.drain();
  }

  takeFrames(now: number): Uint8Array[] {
    this.endpoint.flush(this.budget, now);
    this.drain();
    return this.endpoint.takeFrames();
  }

  timeout(now: number): void {
    this.endpoint.timeout(now);
    this.#resumables?.timeout(now);
    this.drain();
  }

  /** Takes the events that there are, as the owner of a link does. */
  drain(): void {
    for (let events = this.endpoint.takeEvents(); events.length > 0; events = this.endpoint.takeEvents()) {
      for (const event of events) {
        this.events.push(event);
        if (event.type === 'incoming') this.answer?.(event.channel, event.open);
        if (event.type === 'ping' && this.pongs) {
          event.channel.pong(event.data);
          this.endpoint.wake(event.channel);
        }
      }
    }
  }

  open(address: Uint8Array, parameters: Partial<OpenParameters> = {}): Channel {
    const open = { target: '/', protocols: [], ...parameters };
    return this.endpoint.open(address, open, this.#network.now);
  }

  send(channel: Channel, data: string | Uint8Array): void {
    if (typeof data === 'string') channel.send(utf8(data), true);
    else channel.send(data, false);
    this.endpoint.wake(channel);
  }

  ping(channel: Channel, data: Uint8Array): void {
    channel.ping(data);
    this.endpoint.wake(channel);
  }

  resume(channel: Channel): void {
    channel.resume();
    this.endpoint.wake(channel);
    this.drain();
  }

  /** Goes on with a channel whose peer was out of reach. */
  carryOn(channel: Channel, address: Uint8Array): void {
    this.endpoint.resume(channel, address, this.#network.now);
    this.drain();
  }

  /** Its link is lost. */
  fail(error: SecureWebSocketError): void {
    this.endpoint.fail(error, this.#network.now);
    this.drain();
  }

  close(channel: Channel, code?: number, reason?: string): void {
    this.endpoint.close(channel, this.#network.now, code, reason);
    this.drain();
  }

  terminate(channel: Channel, error: SecureWebSocketError): void {
    this.endpoint.terminate(channel, error, this.#network.now);
    this.drain();
  }

  /** What happened on one channel. */
  of(channel: Channel): ChannelEvent[] {
    return this.events.filter(
      (event): event is ChannelEvent => 'channel' in event && event.channel === channel,
    );
  }

  typesOf(channel: Channel): string[] {
    return this.of(channel).map(({ type }) => type);
  }

  /** The messages of one channel: texts as strings, binary ones as they are. */
  messages(channel: Channel): (string | Uint8Array | undefined)[] {
    return this.of(channel)
      .filter(event => event.type === 'message')
      .map(({ data, isText }) => (isText ? fromUtf8(data) : data));
  }

  closed(channel: Channel): Closed | undefined {
    const all = this.of(channel).filter((event): event is Closed => event.type === 'closed');
    expect(all.length).toBeLessThanOrEqual(1);
    return all[0];
  }

  /** The channels that the peers have opened. */
  get incoming(): Channel[] {
    return this.events.filter(event => event.type === 'incoming').map(({ channel }) => channel);
  }

  get refusals(): string[] {
    return this.events.filter(event => event.type === 'refused').map(({ error }) => error.code);
  }
}

/** The first four "random" bytes are this number: an endpoint gives its channels numbers from there on. */
function drawingFirst(crypto: Crypto, first: number): Crypto {
  let isDrawn = false;
  const randomBytes = (length: number): Uint8Array => {
    if (isDrawn || length !== 4) return crypto.randomBytes(length);
    isDrawn = true;
    const bytes = new Uint8Array(4);
    writeUint32(bytes, 0, first);
    return bytes;
  };
  return { ...crypto, randomBytes };
}

export type EndpointNetwork = VirtualNetwork<EndpointNode>;

/** `a` and `b` on one network. */
export function endpoints(
  options: { a?: Partial<EndpointNodeOptions>; b?: Partial<EndpointNodeOptions> } = {},
) {
  const network: EndpointNetwork = new VirtualNetwork();
  const a = new EndpointNode(network, { identity: 1, ...options.a });
  const b = new EndpointNode(network, { identity: 2, ...options.b });
  network.collect();
  return { network, a, b };
}

/** `a` has opened a channel with `b`: `ours` is its end, `theirs` the other. */
export function channels(options?: Parameters<typeof endpoints>[0]) {
  const nodes = endpoints(options);
  const ours = nodes.a.open(nodes.b.anyAddress);
  nodes.network.run();
  const theirs = nodes.b.incoming[0]!;
  expect([ours.state, theirs.state]).toEqual(['open', 'open']);
  return { ...nodes, ours, theirs };
}
