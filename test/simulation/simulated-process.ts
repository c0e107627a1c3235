import type { Channel, ChannelEvent } from '../../src/core/channel.js';
import type { Crypto, KeyPair } from '../../src/core/crypto.js';
import { Endpoint } from '../../src/core/endpoint.js';
import { peerAddress } from '../../src/core/frame.js';
import type { OpenParameters } from '../../src/core/open-parameters.js';
import { ResumableChannels } from '../../src/core/resumable-channels.js';
import { Party } from './conversation.js';
import type { Dialled } from './dialled.js';
import { NodeLink } from './node-link.js';
import { Random } from './random.js';
import type { RelaySite } from './relay-site.js';
import type { World } from './world.js';

const parties = new WeakMap<Channel, { readonly party: Party; readonly dialled: Dialled | undefined }>();
const links = new WeakMap<Channel, NodeLink>();

/** One process of one owner: it listens at its key behind a relay, keeps channels for peers, and dials others. */
export class SimulatedProcess {
  readonly world: World;
  readonly name: string;
  readonly keyPair: KeyPair;
  readonly crypto: Crypto;
  readonly random: Random;
  readonly home: RelaySite;
  readonly resumables: ResumableChannels;
  isAlive = true;
  /** A machine that sleeps does nothing until then. */
  awakeAt = 0;
  readonly #links = new Map<RelaySite, { link: NodeLink | undefined; connectionId: number | undefined }>();
  readonly #waiting = new Map<RelaySite, ((link: NodeLink | undefined) => void)[]>();
  /** Every link, those of direct use too. */
  readonly allLinks = new Set<NodeLink>();
  readonly parties: Party[] = [];
  #timerAt = Infinity;

  constructor(world: World, name: string, secretKey: Uint8Array, home: RelaySite) {
    this.world = world;
    this.name = name;
    this.home = home;
    this.random = new Random(world.seed, world.nextStream());
    this.crypto = world.crypto(this.random);
    this.keyPair = { secretKey, publicKey: this.crypto.x25519PublicKey(secretKey) };
    this.resumables = new ResumableChannels({ maxChannels: 1_000, maxBytes: 33_554_432 });
  }

  /** Listens at its relay, and does so again whenever it was lost. */
  listen(): void {
    this.#withLink(this.home, link => {
      if (link) link.endpoint.listen(true, this.world.now);
      link?.pump();
      if (!link && this.isAlive)
        this.#later(this.random.between(100, 3_000), () => {
          this.listen();
        });
    });
  }

  /** The link to a relay: the one that there is, or a new one; undefined when the relay cannot be reached. */
  withLink(site: RelaySite, go: (link: NodeLink | undefined) => void): void {
    this.#withLink(site, go);
  }

  #withLink(site: RelaySite, go: (link: NodeLink | undefined) => void): void {
    const known = this.#links.get(site);
    if (known?.link && !known.link.isLost) {
      go(known.link);
      return;
    }
    const waiting = this.#waiting.get(site);
    if (waiting) {
      waiting.push(go);
      return;
    }
    this.#waiting.set(site, [go]);
    // Connecting and registering take two round trips.
    this.#later(4 * this.world.plan.latency + 1, () => {
      const link = this.#connect(site, known?.connectionId);
      const all = this.#waiting.get(site) ?? [];
      this.#waiting.delete(site);
      for (const each of all) each(link);
    });
  }

  #connect(site: RelaySite, wanted: number | undefined): NodeLink | undefined {
    const held: { link?: NodeLink } = {};
    const self = {
      receive: (frame: Uint8Array) => {
        held.link?.receive(frame);
      },
      drained: () => {
        held.link?.drained();
      },
      lost: () => {
        held.link?.lost();
      },
      get awakeAt() {
        return held.link?.awakeAt ?? 0;
      },
    };
    const connected = site.connect(this.keyPair.publicKey, wanted, self);
    if (!connected) return undefined;
    const { wire, connectionId } = connected;
    const link = new NodeLink(
      this,
      this.endpoint(connectionId),
      0,
      () => undefined,
      lost => {
        this.allLinks.delete(lost);
        if (site === this.home && this.isAlive)
          this.#later(this.random.between(10, 1_000), () => {
            this.listen();
          });
      },
    );
    held.link = link;
    this.allLinks.add(link);
    this.#links.set(site, { link, connectionId });
    link.start(wire);
    return link;
  }

  endpoint(connectionId: number): Endpoint {
    return new Endpoint({
      crypto: this.crypto,
      keyPair: this.keyPair,
      connectionId,
      maxFrame: this.world.plan.maxFrame,
      resumables: this.resumables,
      wallClock: () => this.world.wallClock(),
    });
  }

  /** A peer opens a channel: the application may take a while. */
  incoming(link: NodeLink, channel: Channel, open: OpenParameters): void {
    const opener = this.world.openers.get(open.target);
    if (!opener) {
      this.world.wrong(`${this.name} was asked for ${open.target}, which nobody asked for`);
      return;
    }
    const accept = (): void => {
      if (!this.isAlive || channel.state !== 'incoming') return;
      const party = this.add(channel, `${open.target} at ${this.name}`, link);
      party.other = opener;
      opener.other = party;
      link.endpoint.accept(channel, '');
      link.changed(channel);
      this.world.accepted(party);
    };
    if (this.random.chance(0.7)) accept();
    else this.#later(this.random.between(1, 2_000), accept);
  }

  /** Gives a channel an owner. */
  add(channel: Channel, name: string, link: NodeLink, dialled?: Dialled): Party {
    const party = new Party(this.world, name, channel, () => {
      const carrier = links.get(channel);
      if (carrier && (channel.session !== undefined || channel.state === 'closed')) carrier.changed(channel);
      else this.resumables.grew(channel);
    });
    party.closeChannel = () => {
      const carrier = links.get(channel);
      if (carrier && !carrier.isLost && channel.session)
        carrier.endpoint.close(channel, this.world.now, 1000, 'done');
      else channel.close(1000, 'done');
    };
    parties.set(channel, { party, dialled });
    links.set(channel, link);
    this.parties.push(party);
    return party;
  }

  carriedBy(channel: Channel, link: NodeLink): void {
    links.set(channel, link);
  }

  happened(link: NodeLink, event: ChannelEvent): void {
    const owner = parties.get(event.channel);
    if (!owner) return;
    const { party, dialled } = owner;
    switch (event.type) {
      case 'message':
        party.message(event.data, event.isText);
        return;
      case 'closed':
        party.closed(event);
        dialled?.closed(event);
        return;
      case 'opened':
        dialled?.opened();
        return;
      case 'suspended':
        this.world.trace(`${party.name} suspended: ${event.error.code}`);
        event.channel.emit = later => {
          this.happened(link, later);
        };
        this.watch();
        dialled?.suspended(event.error);
        return;
      case 'resumed':
        party.resumed++;
        this.world.trace(`${party.name} resumed`);
        links.set(event.channel, link);
        dialled?.resumed();
        return;
      default:
    }
  }

  /** Time of the channels that nothing carries. */
  watch(): void {
    const { timeline } = this.world;
    const { wakeAt } = this.resumables;
    if (wakeAt >= this.#timerAt) return;
    this.#timerAt = wakeAt;
    timeline.at(Math.max(wakeAt, this.awakeAt), () => {
      this.#timerAt = Infinity;
      if (!this.isAlive) return;
      this.resumables.timeout(timeline.now);
      this.watch();
    });
  }

  /** Dies without a word. */
  crash(silently: boolean): void {
    this.isAlive = false;
    for (const party of this.parties) party.abandoned = true;
    for (const link of this.allLinks) {
      link.abandon();
      if (silently) link.wire?.stall();
      else link.wire?.cut();
    }
  }

  later(delay: number, go: () => void): void {
    this.#later(delay, go);
  }

  #later(delay: number, go: () => void): void {
    const { timeline } = this.world;
    timeline.after(delay, () => {
      if (!this.isAlive) return;
      if (this.awakeAt > timeline.now) this.#later(this.awakeAt - timeline.now, go);
      else go();
    });
  }

  get anyAddress(): Uint8Array {
    return peerAddress(this.keyPair.publicKey, 0);
  }
}
