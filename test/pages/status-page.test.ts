// The status page of a relay's internal port, as an operator sees it.
import { afterAll, beforeAll, beforeEach, afterEach, describe, expect, it } from 'vitest';
import { InternalServer } from '../../src/relay/operations/internal-server.js';
import { Metrics } from '../../src/relay/operations/metrics.js';
import type { RelaySnapshot } from '../../src/relay/relay-observer.js';
import { launchBrowser, testEngines, type TestBrowser, type TestPage } from '../support/pages.js';
import { snapshotOf } from '../support/relay-snapshot.js';

describe.each(testEngines)('in %s', engine => {
  let browser: TestBrowser;
  beforeAll(async () => {
    browser = await launchBrowser(engine);
  });
  afterAll(() => browser.close());

  let snapshot: RelaySnapshot;
  let isReady: boolean;
  let metrics: Metrics;
  let server: InternalServer;
  beforeEach(async () => {
    snapshot = snapshotOf({
      connections: 1_234,
      startedAt: Date.now() / 1_000 - 3_700,
      queuedBytes: 3 * 2 ** 20,
    });
    isReady = true;
    metrics = await Metrics.create(() => snapshot, '1.2.3');
    server = await listen(0);
  });
  afterEach(async () => {
    metrics.close();
    await server.close();
  });

  async function listen(port: number): Promise<InternalServer> {
    const relay = { snapshot: () => snapshot, isReady: () => isReady, version: '1.2.3' };
    const started = new InternalServer({ port }, relay, metrics);
    await started.listen();
    return started;
  }

  function textOf(page: TestPage, id: string): Promise<string> {
    return page.evaluate(id => document.getElementById(id)!.textContent, id);
  }

  const shows = (page: TestPage, id: string, text: string): Promise<true> =>
    page.waitFor((id, text) => document.getElementById(id)!.textContent === text, id, text);

  it('shows what the relay says, as it changes', async () => {
    const page = await browser.newPage();
    await page.goto(server.url);
    await shows(page, 'connections-now', '1,234');
    expect(await textOf(page, 'state')).toBe('listening');
    expect(await textOf(page, 'version')).toBe('version 1.2.3');
    expect(await textOf(page, 'uptime')).toBe('up 1 h 1 min');
    expect(await textOf(page, 'queued')).toBe('3 MiB');
    expect(await page.evaluate(() => document.getElementById('certificate-row')!.hidden)).toBe(true);

    isReady = false;
    snapshot = {
      ...snapshot,
      state: 'draining',
      connections: 7,
      envelopes: 1_000_000,
      drops: { ...snapshot.drops, queue_full: 12 },
      certificateExpiresAt: Date.now() / 1_000 + 3 * 86_400 + 60,
    };
    await shows(page, 'connections-now', '7');
    expect(await textOf(page, 'state')).toBe('draining');
    expect(await textOf(page, 'drop-queue_full')).toBe('12');
    expect(await textOf(page, 'certificate')).toBe('in 3 d 0 h');
    // The policy has let its style through.
    expect(await page.evaluate(() => getComputedStyle(document.querySelector('section')!).borderRadius)).toBe(
      '14px',
    );
  });

  it('draws what was before it was opened', async () => {
    const first = await browser.newPage();
    await first.goto(server.url);
    const hasCurve = (): boolean =>
      /^M.+L/.test(document.getElementById('messages-curve')!.getAttribute('d') ?? '');
    await first.waitFor(hasCurve);
    const second = await browser.newPage();
    await second.goto(server.url);
    await second.waitFor(() => document.title.startsWith('1,234 '));
    expect(await second.evaluate(hasCurve)).toBe(true);
    const label = await second.evaluate(() =>
      document.getElementById('messages-svg')!.getAttribute('aria-label'),
    );
    expect(label).toBe('Messages per second over the last 5 minutes: now 0, at most 0.');
  });

  it('says when the relay does not answer, and goes on when it does again', async () => {
    const page = await browser.newPage();
    await page.goto(server.url);
    await shows(page, 'state', 'listening');
    const { port } = new URL(server.url);
    await server.close();
    await shows(page, 'state', 'no answer');
    const contact = await page.evaluate(() => {
      const { hidden, textContent } = document.getElementById('contact')!;
      return { hidden, textContent };
    });
    expect(contact.hidden).toBe(false);
    expect(contact.textContent).toMatch(
      /^The relay does not answer\. What you see is from \d\d:\d\d:\d\d\.$/,
    );

    // Another process, whose samples have other numbers.
    snapshot = { ...snapshot, startedAt: Date.now() / 1_000, connections: 1 };
    server = await listen(Number(port));
    await shows(page, 'connections-now', '1');
    expect(await page.evaluate(() => document.getElementById('contact')!.hidden)).toBe(true);
  });
});
