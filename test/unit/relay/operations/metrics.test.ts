import { afterEach, describe, expect, it, vi } from 'vitest';
import { Metrics } from '../../../../src/relay/operations/metrics.js';
import { DROP_REASONS, LIMITS, type RelaySnapshot } from '../../../../src/relay/relay-observer.js';
import { snapshotOf } from '../../../support/relay-snapshot.js';

const P = 'secure_websocket_';
const key = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08';
const ip = '203.0.113.77';
const client = { publicKey: key, connectionId: 7, remoteAddress: ip };

const made: Metrics[] = [];
afterEach(() => {
  for (const each of made.splice(0)) each.close();
});

async function metricsOf(snapshot: () => RelaySnapshot = snapshotOf): Promise<Metrics> {
  const metrics = await Metrics.create(snapshot, '1.2.3');
  made.push(metrics);
  return metrics;
}

/** The samples of an answer by their name and labels. */
async function scrape(metrics: Metrics): Promise<Record<string, number>> {
  const samples: Record<string, number> = {};
  for (const line of (await metrics.render()).split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const space = line.lastIndexOf(' ');
    expect(samples, `${line} is there once`).not.toHaveProperty([line.slice(0, space)]);
    samples[line.slice(0, space)] = Number(line.slice(space + 1));
  }
  return samples;
}

describe('what the snapshot knows', () => {
  it('is said as it is when somebody asks', async () => {
    let snapshot = snapshotOf();
    const metrics = await metricsOf(() => snapshot);
    snapshot = snapshotOf({
      connections: 12,
      unregistered: 3,
      maxConnections: 99,
      listeningKeys: 5,
      throttled: 2,
      queuedBytes: 4_096,
      maxTotalQueueBytes: 8_192,
      startedAt: 1_700_000_123,
      envelopes: 1_000,
      bytes: 2 ** 45 + 1,
    });
    const samples = await scrape(metrics);
    expect(samples).toMatchObject({
      [`${P}connections`]: 12,
      [`${P}unregistered_connections`]: 3,
      [`${P}max_connections`]: 99,
      [`${P}listening_keys`]: 5,
      [`${P}throttled_connections`]: 2,
      [`${P}queued_bytes`]: 4_096,
      [`${P}max_queued_bytes`]: 8_192,
      [`${P}start_time_seconds`]: 1_700_000_123,
      [`${P}envelopes_forwarded_total`]: 1_000,
      [`${P}bytes_forwarded_total`]: 2 ** 45 + 1,
      [`${P}build_info{version="1.2.3",node="${process.version}"}`]: 1,
    });
    snapshot = { ...snapshot, connections: 1, envelopes: 1_001, drops: { ...snapshot.drops, queue_full: 4 } };
    expect(await scrape(metrics)).toMatchObject({
      [`${P}connections`]: 1,
      [`${P}envelopes_forwarded_total`]: 1_001,
      [`${P}envelopes_dropped_total{reason="queue_full"}`]: 4,
    });
    expect((await scrape(metrics))[`${P}envelopes_dropped_total{reason="queue_full"}`]).toBe(4);
  });

  it('has every reason, limit, question and reload from the start', async () => {
    const samples = await scrape(await metricsOf());
    for (const reason of DROP_REASONS)
      expect(samples[`${P}envelopes_dropped_total{reason="${reason}"}`]).toBe(0);
    for (const limit of LIMITS) expect(samples[`${P}limits_hit_total{limit="${limit}"}`]).toBe(0);
    expect(samples[`${P}reloads_total{what="certificate",outcome="failure"}`]).toBe(0);
    expect(samples[`${P}question_duration_seconds_count{about="reach",outcome="unavailable"}`]).toBe(0);
  });

  it('says which state the relay is in', async () => {
    let snapshot = snapshotOf();
    const metrics = await metricsOf(() => snapshot);
    expect(await scrape(metrics)).toMatchObject({
      [`${P}state{state="listening"}`]: 1,
      [`${P}state{state="draining"}`]: 0,
      [`${P}ready`]: 1,
    });
    snapshot = snapshotOf({ state: 'draining' });
    expect(await scrape(metrics)).toMatchObject({
      [`${P}state{state="listening"}`]: 0,
      [`${P}state{state="draining"}`]: 1,
      [`${P}ready`]: 0,
    });
  });

  it('says when the certificate expires, and nothing where there is none', async () => {
    let snapshot = snapshotOf();
    const metrics = await metricsOf(() => snapshot);
    const name = `${P}certificate_expiry_timestamp_seconds`;
    expect(await scrape(metrics)).not.toHaveProperty(name);
    snapshot = snapshotOf({ certificateExpiresAt: 1_800_000_000 });
    expect((await scrape(metrics))[name]).toBe(1_800_000_000);
  });
});

describe('what happened', () => {
  it('is counted', async () => {
    const metrics = await metricsOf();
    metrics.registered(client, 0.03);
    metrics.registered(client, 0.3);
    metrics.disconnected(client, 1001, 30);
    metrics.refused({ remoteAddress: ip, publicKey: key, code: 'TOKEN_EXPIRED', message: 'late' });
    metrics.limited({ limit: 'frames', publicKey: key, remoteAddress: ip });
    metrics.asked('admission', 0.2, 'no');
    metrics.reloaded('certificate');
    metrics.reloaded('allow', new Error('broken'));
    expect(await scrape(metrics)).toMatchObject({
      [`${P}registrations_total`]: 2,
      [`${P}registration_duration_seconds_count`]: 2,
      [`${P}registration_duration_seconds_bucket{le="0.05"}`]: 1,
      [`${P}disconnections_total{code="1001"}`]: 1,
      [`${P}connection_lifetime_seconds_sum`]: 30,
      [`${P}refusals_total{code="TOKEN_EXPIRED"}`]: 1,
      [`${P}limits_hit_total{limit="frames"}`]: 1,
      [`${P}question_duration_seconds_sum{about="admission",outcome="no"}`]: 0.2,
      [`${P}reloads_total{what="certificate",outcome="success"}`]: 1,
      [`${P}reloads_total{what="allow",outcome="failure"}`]: 1,
    });
  });

  it('never makes a label of what a client has chosen', async () => {
    const metrics = await metricsOf(() => snapshotOf({ publicKey: key }));
    for (let code = 3_000; code < 5_000; code++) metrics.disconnected(client, code, 1);
    metrics.refused({ remoteAddress: ip, publicKey: key, code: key, message: ip });
    metrics.refused({ remoteAddress: ip, publicKey: key, code: 'ANYTHING', message: ip });
    const text = await metrics.render();
    expect(text).not.toContain(key.slice(0, 8));
    expect(text).not.toContain(ip);
    const samples = await scrape(metrics);
    expect(samples[`${P}refusals_total{code="other"}`]).toBe(2);
    expect(samples[`${P}disconnections_total{code="other"}`]).toBe(1_991);
    expect(Object.keys(samples).filter(name => name.startsWith(`${P}disconnections_total`))).toHaveLength(10);
  });
});

describe('the registry', () => {
  it('is one of its own: several relays in a process do not see each other', async () => {
    const [one, two] = [await metricsOf(), await metricsOf()];
    one.registered(client, 1);
    expect((await scrape(one))[`${P}registrations_total`]).toBe(1);
    expect((await scrape(two))[`${P}registrations_total`]).toBe(0);
    const { register } = await import('prom-client');
    expect(await register.getMetricsAsJSON()).toEqual([]);
  });

  it('has how Node is doing', async () => {
    const metrics = await metricsOf();
    const samples = await scrape(metrics);
    expect(metrics.contentType).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(samples['nodejs_heap_size_used_bytes']).toBeGreaterThan(1e6);
    expect(samples['process_resident_memory_bytes']).toBeGreaterThan(1e6);
    expect(samples['process_cpu_seconds_total']).toBeGreaterThan(0);
    expect(samples).toHaveProperty('nodejs_eventloop_lag_seconds_count');
    if (process.platform === 'linux') {
      expect(samples['process_open_fds']).toBeGreaterThan(3);
      expect(samples['process_max_fds']).toBeGreaterThan(samples['process_open_fds']!);
    }
  });

  it('sees the event loop held up', async () => {
    const metrics = await metricsOf();
    const name = 'nodejs_eventloop_lag_seconds';
    const until = performance.now() + 150;
    while (performance.now() < until);
    let samples = await scrape(metrics);
    // The timer fires when the loop turns again.
    while (!samples[`${name}_count`]) {
      await new Promise(setImmediate);
      samples = await scrape(metrics);
    }
    expect(samples[`${name}_sum`]).toBeGreaterThan(0.08);
  });

  it('ends its timers when it is closed', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    try {
      const metrics = await metricsOf();
      const name = 'nodejs_eventloop_lag_seconds_count';
      vi.advanceTimersByTime(1_000);
      expect((await scrape(metrics))[name]).toBe(20);
      metrics.close();
      vi.advanceTimersByTime(1_000);
      expect((await scrape(metrics))[name]).toBe(20);
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });
});
