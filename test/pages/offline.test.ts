// A page whose network goes away and comes back, in the middle of an exchange: nothing is lost, repeated or reordered.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type * as Library from '../../src/index.js';
import { Identity, SecureWebSocketServer } from '../../src/server.js';
import { startBundleServer } from '../support/bundle-server.js';
import { FaultPlan } from '../support/fault-plan.js';
import { FaultyProxy } from '../support/faulty-proxy.js';
import { launchBrowser, testEngines, type TestBrowser } from '../support/pages.js';

const MESSAGES = 20_000;
const FAULTS = 30;
/** What is sent between two faults. */
const BLOCK = Math.ceil(MESSAGES / (FAULTS + 1));

const up = (index: number): string => `up ${index} `.padEnd(600, 'x');
const down = (index: number): string => `down ${index} `.padEnd(600, 'y');

declare global {
  var library: typeof Library;
  /** What the functions below leave in a page. */
  var exchange: {
    socket: InstanceType<typeof Library.ClientSecureWebSocket>;
    received: number;
    wrong: string[];
    sent: boolean;
    reconnected: number;
    reconnecting: number;
    end: { code: number; wasClean: boolean; unacknowledged: number } | undefined;
    /** Settles with the next message. */
    changed: Promise<void>;
  };
}

let bundle: Awaited<ReturnType<typeof startBundleServer>>;
beforeAll(async () => {
  bundle = await startBundleServer();
});
afterAll(() => bundle.close());

describe.each(testEngines)('in %s', engine => {
  let browser: TestBrowser;
  let proxy: FaultyProxy;
  let server: SecureWebSocketServer;
  let url: string;
  beforeAll(async () => {
    browser = await launchBrowser(engine);
    proxy = await FaultyProxy.start(1);
    url = `ws://127.0.0.1:${proxy.port}`;
    server = new SecureWebSocketServer({
      port: 0,
      host: '127.0.0.1',
      identity: await Identity.generate(),
      addresses: [url],
    });
    await server.ready;
    proxy.retarget((server.address() as { port: number }).port);
  });
  afterAll(async () => {
    server.removeAllListeners('connection');
    server.close();
    await proxy.close();
    await browser.close();
  });

  it('loses nothing of 20,000 messages each way in 30 faults', { timeout: 120_000 }, async () => {
    let received = 0;
    let connections = 0;
    const wrong: string[] = [];
    const plan = new FaultPlan([proxy], FAULTS, 100);
    let sending: Promise<void> | undefined;
    server.on('connection', socket => {
      connections++;
      socket.on('message', (data: Buffer) => {
        const text = data.toString();
        if (text !== up(received)) wrong.push(`${received}: ${text.slice(0, 20)}`);
        received++;
        plan.arrived();
      });
      socket.on('resumed', () => {
        plan.resumed();
      });
      sending = (async () => {
        for (let index = 0; index < MESSAGES; index++) {
          if (index % BLOCK === 0) await plan.reached(index / BLOCK);
          socket.send(down(index));
          if (index % 100 === 99) await socket.drained;
        }
      })();
    });
    const page = await browser.newPage();
    await page.goto(bundle.origin);
    await page.waitFor(() => 'library' in globalThis);
    await page.evaluate(start, url, MESSAGES, BLOCK, 10);
    await page.waitFor(count => globalThis.exchange.sent && globalThis.exchange.received === count, MESSAGES);
    await sending;
    await page.waitFor(() => {
      globalThis.exchange.socket.close(1000);
      return globalThis.exchange.end;
    });
    const { wrongThere, end, reconnected } = await page.evaluate(() => {
      const { wrong, end, reconnected } = globalThis.exchange;
      return { wrongThere: wrong, end, reconnected };
    });
    expect(wrong).toEqual([]);
    expect(wrongThere).toEqual([]);
    expect(end).toEqual({ code: 1000, wasClean: true, unacknowledged: 0 });
    expect({ received, connections }).toEqual({ received: MESSAGES, connections: 1 });
    expect(plan.count).toBe(FAULTS);
    expect(reconnected).toBeGreaterThanOrEqual(FAULTS);
    server.removeAllListeners('connection');
  });

  it('comes back at once when the network does', { timeout: 120_000 }, async () => {
    const got: string[] = [];
    server.on('connection', socket => {
      socket.on('message', (data: Buffer) => {
        got.push(data.toString());
        socket.send('heard');
      });
    });
    const page = await browser.newPage();
    await page.goto(bundle.origin);
    await page.waitFor(() => 'library' in globalThis);
    await page.evaluate(start, url, 1, 1, 10_000);
    await page.waitFor(() => globalThis.exchange.received === 1);
    proxy.refusing = true;
    const context = page.playwright?.context();
    await context?.setOffline(true);
    proxy.cut();
    await page.waitFor(() => globalThis.exchange.reconnecting > 0);
    expect(await page.evaluate(() => globalThis.exchange.socket.readyState)).toBe(1);
    await page.evaluate(() => {
      globalThis.exchange.socket.send('written without a network');
    });
    proxy.refusing = false;
    if (context) await context.setOffline(false);
    // The system's WebKit cannot be told that it is offline: the page gets the event alone.
    else await page.evaluate(() => globalThis.dispatchEvent(new Event('online')));
    await page.waitFor(() => globalThis.exchange.received === 2);
    expect(got).toEqual([up(0), 'written without a network']);
    expect(await page.evaluate(() => globalThis.exchange.reconnected)).toBe(1);
    server.removeAllListeners('connection');
  });
});

/** Runs in the page: opens a connection that outlives its links, and sends. */
function start(url: string, messages: number, block: number, minDelay: number): void {
  const { ClientSecureWebSocket, Identity } = globalThis.library;
  const socket = new ClientSecureWebSocket(url, [], {
    identity: Identity.generate(),
    reconnect: { minDelay, maxDelay: Math.max(200, minDelay) },
  });
  const exchange: (typeof globalThis)['exchange'] = {
    socket,
    received: 0,
    wrong: [],
    sent: false,
    reconnected: 0,
    reconnecting: 0,
    end: undefined,
    changed: Promise.resolve(),
  };
  let changed = (): void => undefined;
  exchange.changed = new Promise<void>(resolve => {
    changed = resolve;
  });
  globalThis.exchange = exchange;
  socket.addEventListener('message', event => {
    const expected = `down ${exchange.received} `.padEnd(600, 'y');
    if (event.data !== expected) exchange.wrong.push(String(event.data).slice(0, 20));
    exchange.received++;
    const change = changed;
    exchange.changed = new Promise(resolve => {
      changed = resolve;
    });
    change();
  });
  socket.addEventListener('reconnecting', () => {
    exchange.reconnecting++;
  });
  socket.addEventListener('reconnected', () => {
    exchange.reconnected++;
  });
  socket.addEventListener('close', ({ code, wasClean, unacknowledged }) => {
    exchange.end = { code, wasClean, unacknowledged: unacknowledged.length };
  });
  socket.addEventListener('open', () => {
    void (async () => {
      for (let index = 0; index < messages; index++) {
        // No block before that of the other end has come: there is to be something left for each fault.
        while (index % block === 0 && exchange.received < index) await exchange.changed;
        socket.send(`up ${index} `.padEnd(600, 'x'));
        if (index % 100 === 99) await socket.drained;
      }
      exchange.sent = true;
    })();
  });
}
