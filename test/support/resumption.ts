import { expect } from 'vitest';
import type { Channel, ChannelEvent } from '../../src/core/channel.js';
import { SecureWebSocketError } from '../../src/core/errors.js';
import { NoticeReason } from '../../src/core/frame.js';
import { ResumableChannels, type ResumableChannelsOptions } from '../../src/core/resumable-channels.js';
import { type EndpointNetwork, EndpointNode, type EndpointNodeOptions } from './endpoint-node.js';
import { VirtualNetwork } from './virtual-network.js';

export const lost = () => new SecureWebSocketError('LINK_LOST', 'gone');

type Closed = Extract<ChannelEvent, { type: 'closed' }>;

/**
 * A client and a service with a channel that outlives their links. Each link of theirs is an `EndpointNode` of its own;
 * the latest of each are `client` and `service`.
 */
export class Resumption {
  readonly network: EndpointNetwork = new VirtualNetwork();
  readonly registry: ResumableChannels;
  readonly clients: EndpointNode[] = [];
  readonly services: EndpointNode[] = [];
  readonly ours: Channel;
  readonly theirs: Channel;
  readonly #options: { client?: Partial<EndpointNodeOptions>; service?: Partial<EndpointNodeOptions> };

  constructor(
    options: {
      client?: Partial<EndpointNodeOptions>;
      service?: Partial<EndpointNodeOptions>;
      registry?: ResumableChannelsOptions;
    } = {},
  ) {
    this.#options = options;
    this.registry = new ResumableChannels(options.registry);
    this.newService();
    this.newClient();
    this.ours = this.client.open(this.service.anyAddress, { resume: true });
    this.network.run();
    const [theirs] = this.service.incoming;
    if (!theirs) throw new Error('no channel came in');
    this.theirs = theirs;
    expect([this.ours.state, theirs.state]).toEqual(['open', 'open']);
  }

  get client(): EndpointNode {
    return this.clients.at(-1)!;
  }

  get service(): EndpointNode {
    return this.services.at(-1)!;
  }

  newClient(options: Partial<EndpointNodeOptions> = {}): EndpointNode {
    const node = new EndpointNode(this.network, {
      identity: 1,
      connectionId: 100 + this.clients.length,
      listening: false,
      firstChannel: 'random',
      ...this.#options.client,
      ...options,
    });
    this.clients.push(node);
    return node;
  }

  newService(options: Partial<EndpointNodeOptions> = {}): EndpointNode {
    const node = new EndpointNode(this.network, {
      identity: 2,
      connectionId: 200 + this.services.length,
      resumables: this.registry,
      firstChannel: 'random',
      ...this.#options.service,
      ...options,
    });
    this.services.push(node);
    this.network.collect();
    return node;
  }

  /** The client loses its link. The service is told, unless it is to notice by itself. */
  cutClient(isTold = true): void {
    const { client, service } = this;
    this.network.remove(client, ...(isTold ? [service] : []));
    client.fail(lost());
    service.drain();
  }

  /** The service loses its link. The client is told, unless it is to notice by itself. */
  cutService(isTold = true): void {
    const { client, service } = this;
    this.network.remove(service, ...(isTold ? [client] : []));
    service.fail(lost());
    client.drain();
  }

  /** The sessions end at both ends, and the links stay. */
  cutSessions(): void {
    this.network.notice(this.client, NoticeReason.PEER_GONE, this.service.address);
    this.network.notice(this.service, NoticeReason.PEER_GONE, this.client.address);
    for (const node of [this.client, this.service]) node.drain();
  }

  /** The client asks to go on, and all that follows happens. */
  goOn(): void {
    this.client.carryOn(this.ours, this.service.anyAddress);
    this.network.run();
  }

  events(channel: Channel): ChannelEvent[] {
    const nodes = channel === this.ours ? this.clients : this.services;
    for (const node of nodes) node.drain();
    return nodes.flatMap(node => node.of(channel));
  }

  types(channel: Channel): string[] {
    return this.events(channel)
      .map(({ type }) => type)
      .filter(type => type !== 'sent');
  }

  messages(channel: Channel): unknown[] {
    const nodes = channel === this.ours ? this.clients : this.services;
    for (const node of nodes) node.drain();
    return nodes.flatMap(node => node.messages(channel));
  }

  closed(channel: Channel): Closed | undefined {
    const all = this.events(channel).filter((event): event is Closed => event.type === 'closed');
    expect(all.length).toBeLessThanOrEqual(1);
    return all[0];
  }

  /** Both ends speak and are heard. */
  expectWorking(): void {
    const text = `at ${this.network.now} over link ${this.clients.length}`;
    this.client.send(this.ours, text);
    this.service.send(this.theirs, text);
    this.network.run();
    expect([this.messages(this.ours).at(-1), this.messages(this.theirs).at(-1)]).toEqual([text, text]);
  }
}
