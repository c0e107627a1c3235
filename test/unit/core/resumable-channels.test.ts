import { describe, expect, it } from 'vitest';
import type { Channel } from '../../../src/core/channel.js';
import { RESUME_WINDOW } from '../../../src/core/constants.js';
import type { SecureWebSocketError } from '../../../src/core/errors.js';
import { ResumableChannels } from '../../../src/core/resumable-channels.js';
import { Resumption } from '../../support/resumption.js';

const NOW = 1_000_000;

/** As much of a channel as is looked at here. */
class FakeChannel {
  readonly lineage: { readonly id: string; wiped: boolean; wipe: () => void };
  bytesKept = 0;
  peerKey: Uint8Array | undefined;
  failure: SecureWebSocketError | undefined;

  constructor(id: string) {
    const lineage = {
      id,
      wiped: false,
      wipe: () => {
        lineage.wiped = true;
      },
    };
    this.lineage = lineage;
  }

  fail(error: SecureWebSocketError): void {
    this.failure = error;
  }

  get channel(): Channel {
    return this as unknown as Channel;
  }
}

class FakeCarrier {
  readonly released: Channel[] = [];

  release(channel: Channel): void {
    this.released.push(channel);
  }
}

/** So many channels, carried by one carrier. */
function carried(registry: ResumableChannels, count: number) {
  const carrier = new FakeCarrier();
  const channels = Array.from({ length: count }, (_, i) => new FakeChannel(`${i}`));
  for (const { channel } of channels) registry.carry(channel, carrier);
  return { carrier, channels };
}

const failed = (channels: readonly FakeChannel[]) => channels.map(({ failure }) => failure !== undefined);

describe('channels that are carried', () => {
  it('are found by their lineage, and cost nothing', () => {
    const registry = new ResumableChannels();
    const { channels } = carried(registry, 2);
    expect(registry.find('1')).toBe(channels[1]);
    expect(registry.find('2')).toBeUndefined();
    expect([registry.suspended, registry.wakeAt]).toEqual([0, Infinity]);
    registry.timeout(NOW + 10 * RESUME_WINDOW);
    registry.grew(channels[0]!.channel);
    expect(failed(channels)).toEqual([false, false]);
  });

  it('are let go of by whoever carried them before', () => {
    const registry = new ResumableChannels();
    const { carrier, channels } = carried(registry, 1);
    const next = new FakeCarrier();
    registry.carry(channels[0]!.channel, next);
    expect([carrier.released, next.released]).toEqual([[channels[0]], []]);
    // Who has lost it lets go of nothing.
    registry.suspend(channels[0]!.channel, NOW);
    registry.carry(channels[0]!.channel, carrier);
    expect(next.released).toEqual([]);
  });
});

describe('channels whose peers are out of reach', () => {
  it('are kept for the window, counted from when it was lost', () => {
    const registry = new ResumableChannels({ window: 5_000 });
    const { channels } = carried(registry, 2);
    registry.suspend(channels[0]!.channel, NOW);
    registry.suspend(channels[1]!.channel, NOW + 1_000);
    // Once more changes nothing.
    registry.suspend(channels[0]!.channel, NOW + 4_000);
    expect([registry.suspended, registry.wakeAt]).toEqual([2, NOW + 5_000]);
    registry.timeout(NOW + 4_999);
    expect(failed(channels)).toEqual([false, false]);
    registry.timeout(NOW + 5_000);
    expect(failed(channels)).toEqual([true, false]);
    expect(channels[0]!.failure).toMatchObject({ code: 'LINK_LOST' });
    expect(channels[0]!.failure!.message).toContain('5 s');
    expect([registry.find('0'), channels[0]!.lineage.wiped]).toEqual([undefined, true]);
    expect([registry.find('1'), channels[1]!.lineage.wiped]).toEqual([channels[1], false]);
    registry.timeout(NOW + 6_000);
    expect([failed(channels), registry.suspended, registry.wakeAt]).toEqual([[true, true], 0, Infinity]);
  });

  it('are kept no longer when they come back', () => {
    const registry = new ResumableChannels();
    const { carrier, channels } = carried(registry, 1);
    registry.suspend(channels[0]!.channel, NOW);
    registry.carry(channels[0]!.channel, carrier);
    expect(registry.suspended).toBe(0);
    registry.timeout(NOW + RESUME_WINDOW);
    expect([failed(channels), registry.wakeAt]).toEqual([[false], Infinity]);
  });

  it('are bounded in number: the one that has waited longest is given up', () => {
    const registry = new ResumableChannels({ maxChannels: 3 });
    const { carrier, channels } = carried(registry, 6);
    for (const i of [2, 0, 1]) registry.suspend(channels[i]!.channel, NOW);
    registry.carry(channels[0]!.channel, carrier);
    registry.suspend(channels[3]!.channel, NOW);
    expect(failed(channels)).toEqual(Array(6).fill(false));
    registry.suspend(channels[4]!.channel, NOW);
    expect(failed(channels)).toEqual([false, false, true, false, false, false]);
    registry.suspend(channels[0]!.channel, NOW);
    expect(failed(channels)).toEqual([false, true, true, false, false, false]);
    expect(registry.suspended).toBe(3);
    expect(channels[1]!.failure!.message).toContain('Too many');
  });

  it('are bounded in bytes, those that they get while they wait among them', () => {
    const registry = new ResumableChannels({ maxBytes: 1_000 });
    const { carrier, channels } = carried(registry, 4);
    channels[0]!.bytesKept = 600;
    channels[1]!.bytesKept = 400;
    channels[2]!.bytesKept = 1;
    for (const i of [0, 1]) registry.suspend(channels[i]!.channel, NOW);
    expect(failed(channels)).toEqual([false, false, false, false]);
    // Whoever takes most makes room, and nobody else: one cannot take it away from all others.
    registry.suspend(channels[2]!.channel, NOW);
    expect(failed(channels)).toEqual([true, false, false, false]);
    expect(channels[0]!.failure).toMatchObject({ code: 'LINK_LOST' });
    // What comes back makes room, too.
    registry.carry(channels[1]!.channel, carrier);
    channels[3]!.bytesKept = 999;
    registry.suspend(channels[3]!.channel, NOW);
    expect(failed(channels)).toEqual([true, false, false, false]);
    channels[2]!.bytesKept = 2;
    registry.grew(channels[2]!.channel);
    expect(failed(channels)).toEqual([true, false, false, true]);
    channels[2]!.bytesKept = 1_000;
    registry.grew(channels[2]!.channel);
    expect(failed(channels)).toEqual([true, false, false, true]);
    channels[2]!.bytesKept = 1_001;
    registry.grew(channels[2]!.channel);
    expect(failed(channels)).toEqual([true, false, true, true]);
  });

  it('are bounded in number by those of the peer that has most of them', () => {
    const registry = new ResumableChannels({ maxChannels: 3 });
    const { channels } = carried(registry, 5);
    const [honest, many] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
    channels.forEach(
      (channel, i) => (channel.peerKey = i < 2 ? (i === 0 ? honest : new Uint8Array(32)) : many),
    );
    for (const { channel } of channels) registry.suspend(channel, NOW);
    // The two that were there first stay, be they the oldest.
    expect(failed(channels)).toEqual([false, false, true, true, false]);
  });

  it('are all given up when the service is closed, as are those that lose their peers then', () => {
    const registry = new ResumableChannels();
    const { channels } = carried(registry, 3);
    registry.suspend(channels[0]!.channel, NOW);
    registry.ended(channels[1]!.channel, true, NOW);
    registry.close();
    expect(failed(channels)).toEqual([true, false, false]);
    expect([registry.find('0'), registry.find('1'), registry.suspended]).toEqual([undefined, undefined, 0]);
    registry.suspend(channels[2]!.channel, NOW);
    expect([failed(channels), registry.suspended]).toEqual([[true, false, true], 0]);
  });
});

describe('channels that have ended', () => {
  it('are remembered for the window when they ended well', () => {
    const registry = new ResumableChannels();
    const { channels } = carried(registry, 1);
    registry.suspend(channels[0]!.channel, NOW);
    registry.ended(channels[0]!.channel, true, NOW);
    expect([registry.suspended, registry.find('0')]).toEqual([0, channels[0]]);
    registry.timeout(NOW + RESUME_WINDOW - 1);
    expect(registry.find('0')).toBe(channels[0]);
    registry.timeout(NOW + RESUME_WINDOW);
    expect([registry.find('0'), channels[0]!.lineage.wiped]).toEqual([undefined, true]);
    registry.timeout(NOW + 10 * RESUME_WINDOW);
    expect([failed(channels), registry.wakeAt]).toEqual([[false], Infinity]);
  });

  it('are forgotten at once when they did not', () => {
    const registry = new ResumableChannels();
    const { channels } = carried(registry, 1);
    registry.ended(channels[0]!.channel, false, NOW);
    expect([registry.find('0'), channels[0]!.lineage.wiped]).toEqual([undefined, true]);
  });

  it('are bounded in number: the first to end is forgotten', () => {
    const registry = new ResumableChannels();
    const { channels } = carried(registry, 1_025);
    for (const { channel } of channels) registry.ended(channel, true, NOW);
    expect([registry.find('0'), registry.find('1'), registry.find('1024')]).toEqual([
      undefined,
      channels[1],
      channels[1_024],
    ]);
  });

  it('do not make others forgotten that are not known here', () => {
    const registry = new ResumableChannels();
    const { channels } = carried(registry, 1);
    const stranger = new FakeChannel('0');
    registry.ended(stranger.channel, false, NOW);
    registry.grew(stranger.channel);
    expect([registry.find('0'), channels[0]!.lineage.wiped]).toEqual([channels[0], false]);
  });
});

describe('what a channel is counted for', () => {
  it('is all that it keeps: what waits, what was not acknowledged, and what was not read', () => {
    const scene = new Resumption();
    const { network, service, theirs } = scene;
    network.advance(1_000);
    expect(theirs.bytesKept).toBe(0);
    network.fault = packet => (packet.from === service ? [] : [packet]);
    service.send(theirs, new Uint8Array(100_000));
    network.run();
    expect(theirs.bytesKept).toBeGreaterThan(100_000);
    const sent = theirs.bytesKept;
    scene.cutClient();
    service.send(theirs, new Uint8Array(50_000));
    expect(theirs.bytesKept).toBe(sent + 50_000);
    const reader = new Resumption();
    reader.theirs.pause();
    reader.client.send(reader.ours, new Uint8Array(200_000));
    reader.network.run();
    expect(reader.theirs.bytesKept).toBeGreaterThanOrEqual(200_000);
  });

  it('is also what has come of a message that is not complete', () => {
    const scene = new Resumption();
    const { network, theirs } = scene;
    scene.client.send(scene.ours, new Uint8Array(2_000_000));
    network.collect();
    for (let i = 0; i < 4; i++) network.deliver();
    expect(scene.messages(theirs)).toEqual([]);
    scene.cutClient();
    expect(theirs.bytesKept).toBeGreaterThan(500_000);
  });

  it('is also all of a message of which the end was not acknowledged', () => {
    const scene = new Resumption();
    const { network, theirs } = scene;
    let records = 0;
    network.fault = packet => (packet.from === scene.service && records++ >= 5 ? [] : [packet]);
    scene.service.send(theirs, new Uint8Array(1_500_000));
    network.run();
    // Five of six records are acknowledged.
    network.advance(300);
    scene.cutClient();
    // It would be handed back as a whole.
    expect(theirs.bytesKept).toBeGreaterThanOrEqual(1_500_000);
  });

  it('bounds what a service keeps for peers that do not come back', () => {
    const scene = new Resumption({ registry: { maxBytes: 100_000 } });
    scene.cutClient();
    scene.service.send(scene.theirs, new Uint8Array(100_001));
    scene.registry.grew(scene.theirs);
    expect(scene.closed(scene.theirs)).toMatchObject({ error: { code: 'LINK_LOST' } });
    expect(scene.closed(scene.theirs)!.unacknowledged).toHaveLength(1);
    expect(scene.registry.suspended).toBe(0);
  });
});
