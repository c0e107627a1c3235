import { fromUtf8, utf8 } from '../../src/core/bytes.js';
import type { Channel, ChannelEnding } from '../../src/core/channel.js';
import type { World } from './world.js';

/** Is in every message, and in no frame. */
export const MARKER = 'plaintext marker';

/** One end of one channel, with an application that sends and checks what it gets. */
export class Party {
  readonly world: World;
  readonly name: string;
  readonly channel: Channel;
  /** The other end, once it is known. */
  other: Party | undefined;
  /** Messages given to the channel while it took them. */
  readonly sent: number[] = [];
  delivered = 0;
  ending: ChannelEnding | undefined;
  /** Its process died, or it gave up by itself: nothing is promised about what it had. */
  abandoned = false;
  /** How often the channel was resumed. */
  resumed = 0;
  readonly #wake: () => void;

  constructor(world: World, name: string, channel: Channel, wake: () => void) {
    this.world = world;
    this.name = name;
    this.channel = channel;
    this.#wake = wake;
  }

  get isOpen(): boolean {
    return !this.ending && this.channel.state === 'open' && !this.abandoned;
  }

  send(size: number): void {
    if (!this.isOpen) return;
    const index = this.sent.length;
    this.sent.push(size);
    this.channel.send(utf8(text(this.name, index, size)), index % 2 === 0);
    this.#wake();
  }

  close(): void {
    if (!this.isOpen) return;
    this.world.trace(`${this.name} closes after ${this.sent.length}`);
    this.closeChannel();
    this.#wake();
  }

  /** Replaced by whoever carries the channel. */
  closeChannel: () => void = () => {
    this.channel.close(1000, 'done');
  };

  pause(): void {
    this.channel.pause();
  }

  resume(): void {
    this.channel.resume();
    this.#wake();
  }

  message(data: Uint8Array, isText: boolean): void {
    const { world, other } = this;
    if (!other) {
      world.wrong(`${this.name} got a message before its other end was known`);
      return;
    }
    const index = this.delivered++;
    const size = other.sent[index];
    if (this.ending) world.wrong(`${this.name} got message ${index} after its end`);
    if (size === undefined) {
      world.wrong(`${this.name} got message ${index}, which was never sent`);
    } else if (fromUtf8(data) !== text(other.name, index, size) || isText !== (index % 2 === 0)) {
      world.wrong(
        `${this.name} got another message than number ${index}: ${fromUtf8(data.subarray(0, 60)) ?? '?'}`,
      );
    }
    world.trace(`${this.name} got ${index}`);
  }

  closed(ending: ChannelEnding): void {
    const { world } = this;
    if (this.ending) world.wrong(`${this.name} ended twice`);
    this.ending = ending;
    const code = ending.error?.code ?? '';
    world.trace(
      `${this.name} ended ${ending.code} ${ending.wasClean} ${code} ${ending.unacknowledged.length}`,
    );
    // What is handed back is the tail of what was sent, whole and in order.
    const first = this.sent.length - ending.unacknowledged.length;
    ending.unacknowledged.forEach(({ data }, at) => {
      const size = this.sent[first + at];
      if (size === undefined || fromUtf8(data) !== text(this.name, first + at, size)) {
        world.wrong(`${this.name} was handed back another message than number ${first + at}`);
      }
    });
  }

  /** What was acknowledged has been delivered, or is kept for a reader who pauses. To be called when all is over. */
  check(): void {
    const { world, other, ending } = this;
    if (!ending || !other || other.abandoned || this.abandoned) return;
    const acknowledged = this.sent.length - ending.unacknowledged.length;
    if (other.delivered < acknowledged) {
      world.wrong(`${this.name}: ${acknowledged} messages were acknowledged, ${other.delivered} delivered`);
    }
    // Whoever closes a channel that ends with its link may give up before it has heard everything.
    if (ending.wasClean && ending.unacknowledged.length > 0 && this.channel.resumeWindow > 0) {
      world.wrong(`${this.name} ended cleanly with messages that were not acknowledged`);
    }
  }
}

function text(sender: string, index: number, size: number): string {
  return `${sender} ${index} ${MARKER} `.padEnd(size, '.');
}
