import type { Identity } from '../../src/core/identity.js';
import type { Relay } from '../../src/relay/relay.js';
import { fromHex } from '../../src/core/bytes.js';
import type { Frame } from '../../src/core/frame.js';
import { RelayClient } from './relay-client.js';
import { SpaceFollower } from './space-follower.js';

/** A raw client of a relay, and the members of spaces that it is. */
export class SpaceParty {
  readonly client: RelayClient;
  readonly relayKey: Uint8Array;
  readonly followers: SpaceFollower[] = [];
  /** Frames that are about no space. */
  readonly others: Frame[] = [];
  #isOver = false;

  private constructor(client: RelayClient, relayKey: Uint8Array) {
    this.client = client;
    this.relayKey = relayKey;
    void client.closed.then(() => {
      this.#isOver = true;
    });
  }

  static async at(relay: Relay, identity?: Identity): Promise<SpaceParty> {
    const client = await RelayClient.connect(relay.url, identity ? { identity } : {});
    return new SpaceParty(client, fromHex(relay.publicKey));
  }

  /** Asks to be let in, and waits for the answer. */
  async enter(
    space = 'room',
    options: ConstructorParameters<typeof SpaceFollower>[3] = {},
  ): Promise<SpaceFollower> {
    const membership = options.membership ?? this.followers.length + 1;
    const follower = new SpaceFollower(this.client.identity, this.relayKey, space, {
      ...options,
      membership,
    });
    await this.enterAs(follower);
    return follower;
  }

  /** The same as somebody who was there before. */
  async enterAs(follower: SpaceFollower, anew?: boolean): Promise<void> {
    if (!this.followers.includes(follower)) this.followers.push(follower);
    const before = follower.entered + follower.refusals.length;
    this.client.send(follower.enter(anew));
    await this.until(() => follower.entered + follower.refusals.length > before);
  }

  /** Hands on what has come, until that. */
  async until(isDone: () => boolean): Promise<void> {
    while (!isDone()) {
      if (this.#isOver && this.client.frames.pending.length === 0) throw new Error('The connection is over.');
      const frame = await this.client.frames.next();
      if (frame.type === 'space') for (const follower of this.followers) follower.receive(frame);
      else this.others.push(frame);
    }
  }
}
