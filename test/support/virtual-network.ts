import { compareBytes, concat, toHex, utf8, writeUint64 } from '../../src/core/bytes.js';
import type { Crypto } from '../../src/core/crypto.js';
import {
  connectionIdOf,
  encodeNotice,
  ENVELOPE_HEADER_LENGTH,
  FrameType,
  NoticeReason,
  PUBLIC_KEY_LENGTH,
} from '../../src/core/frame.js';
import { loadLibsodium } from '../../src/crypto/libsodium.js';
import { seededSodium } from './seeded-sodium.js';

const sodium = await loadLibsodium();

/** libsodium, or another back end, with "random" bytes that depend on `seed` alone, so that whatever happens can happen again. */
export function seededCrypto(seed: string, backEnd?: Crypto): Crypto {
  let counter = 0;
  const randomBytes = (length: number): Uint8Array => {
    const blocks: Uint8Array[] = [];
    for (let made = 0; made < length; made += 64) {
      const block = new Uint8Array(8);
      writeUint64(block, 0, counter++);
      blocks.push(sodium.hash(utf8(seed), block));
    }
    return concat(...blocks).slice(0, length);
  };
  return seededSodium(randomBytes, backEnd);
}

/** What is connected to the network. */
export interface NetworkNode {
  /** 36 bytes. */
  readonly address: Uint8Array;
  receive(frame: Uint8Array, now: number): void;
  /** All that is to be sent now. */
  takeFrames(now: number): Uint8Array[];
  timeout(now: number): void;
  readonly wakeAt: number;
}

/** One envelope on its way from the router to its destination: the address in it is that of the source. */
export interface Packet<Node extends NetworkNode = NetworkNode> {
  readonly from: Node;
  readonly to: Node;
  readonly frame: Uint8Array;
}

/** What arrives instead of a packet: itself, nothing, several, others. */
export type Fault<Node extends NetworkNode> = (packet: Packet<Node>) => readonly Packet<Node>[];

/**
 * A relay and its clients without sockets and without time of their own: frames move when `run` is called, the clock when
 * `advance` is.
 */
export class VirtualNetwork<Node extends NetworkNode = NetworkNode> {
  now = 1_000_000;
  /** Every envelope that the router got, as it would have been delivered. */
  readonly passed: Packet<Node>[] = [];
  /** False: `passed` stays as it is, for more than memory should hold. */
  recording = true;
  /** What becomes of packets. */
  fault: Fault<Node> = packet => [packet];
  readonly #nodes: Node[] = [];
  readonly #listening: Node[] = [];
  #flight: Packet<Node>[] = [];

  add(node: Node): void {
    this.#nodes.push(node);
  }

  /** The connection of `node` ends; who had a session with it is told. */
  remove(node: Node, ...contacts: Node[]): void {
    this.#nodes.splice(this.#nodes.indexOf(node), 1);
    this.#stopListening(node);
    this.#flight = this.#flight.filter(packet => packet.to !== node);
    for (const contact of contacts) this.notice(contact, NoticeReason.PEER_GONE, node.address);
  }

  notice(to: Node, reason: NoticeReason, address: Uint8Array): void {
    to.receive(encodeNotice(reason, address), this.now);
  }

  /** Packets on their way. */
  get flight(): readonly Packet<Node>[] {
    return this.#flight;
  }

  /** Takes what the nodes have to send. */
  collect(): void {
    for (const node of [...this.#nodes]) {
      for (const frame of node.takeFrames(this.now)) this.#route(node, frame);
    }
  }

  /** Delivers the packet that has been on its way for longest, or another one. False when there is none. */
  deliver(index = 0): boolean {
    const [packet] = this.#flight.splice(index, 1);
    if (!packet) return false;
    packet.to.receive(packet.frame.slice(), this.now);
    return true;
  }

  /** Moves everything until nothing moves any more. */
  run(): void {
    for (let steps = 0; steps < 100_000; steps++) {
      this.collect();
      if (!this.deliver()) return;
    }
    throw new Error('The network does not come to rest.');
  }

  /** Lets `milliseconds` pass: nodes are woken when they want to be, and everything moves at once. */
  advance(milliseconds: number): void {
    const until = this.now + milliseconds;
    for (let steps = 0; steps < 10_000; steps++) {
      this.run();
      const next = Math.min(...this.#nodes.map(node => node.wakeAt));
      if (next > until) {
        this.now = until;
        return;
      }
      this.now = Math.max(this.now, next);
      for (const node of [...this.#nodes]) node.timeout(this.now);
    }
    throw new Error('A node wants to be woken again and again.');
  }

  /** A frame comes to `to` with `from` as its source, whoever has sent it. */
  inject(from: Node, to: Node, frame: Uint8Array): void {
    const stamped = frame.slice();
    stamped.set(from.address, 1);
    to.receive(stamped, this.now);
  }

  #route(from: Node, frame: Uint8Array): void {
    if (frame[0] === FrameType.LISTEN) {
      this.#stopListening(from);
      if (frame[1] === 1) this.#listening.push(from);
      return;
    }
    if (frame[0] !== FrameType.ENVELOPE) throw new Error(`A client sent a frame of type ${frame[0]}.`);
    const destination = frame.slice(1, ENVELOPE_HEADER_LENGTH);
    const to = this.#find(destination);
    if (!to) {
      this.notice(from, NoticeReason.NOT_HERE, destination);
      return;
    }
    const stamped = frame.slice();
    stamped.set(from.address, 1);
    const packet = { from, to, frame: stamped };
    if (this.recording) this.passed.push(packet);
    this.#flight.push(...this.fault(packet));
  }

  #find(destination: Uint8Array): Node | undefined {
    if (connectionIdOf(destination) !== 0) {
      return this.#nodes.find(node => compareBytes(node.address, destination) === 0);
    }
    const key = toHex(destination.subarray(0, PUBLIC_KEY_LENGTH));
    const listening = this.#listening.filter(
      node => toHex(node.address.subarray(0, PUBLIC_KEY_LENGTH)) === key,
    );
    return listening.at(-1);
  }

  #stopListening(node: Node): void {
    const at = this.#listening.indexOf(node);
    if (at >= 0) this.#listening.splice(at, 1);
  }
}

/** The sealed body in a packet. */
export function bodyOf(packet: Packet): Uint8Array {
  return packet.frame.subarray(ENVELOPE_HEADER_LENGTH);
}

/** The type of the sealed body in a packet. */
export function typeOf(packet: Packet): number | undefined {
  return packet.frame[ENVELOPE_HEADER_LENGTH];
}
