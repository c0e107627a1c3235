import { createServer } from 'node:http';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_MAX_FRAME, MIN_MAX_FRAME } from '../../../src/core/constants.js';
import { Relay } from '../../../src/relay/relay.js';
import { checkOptions } from '../../../src/relay/relay-options.js';
import { expectCode } from '../../support/errors.js';
import { runs } from '../../support/fuzz.js';

const MAX_DELAY = 2 ** 31 - 1;
const check = (options: Record<string, unknown> = {}) => checkOptions({ port: 0, ...options });
/** The message with which these options are refused. */
const refusal = (options: Record<string, unknown>): string =>
  expectCode(() => checkOptions(options), 'INVALID_ARGUMENT').message;

/** Every option that is a number: least, greatest, default. */
const NUMBERS: readonly [name: string, min: number, max: number, fallback: number | undefined][] = [
  ['maxFrame', MIN_MAX_FRAME, MAX_MAX_FRAME, 262_144],
  ['maxQueueBytes', 262_144, Number.MAX_SAFE_INTEGER, 16_777_216],
  ['maxTotalQueueBytes', 1, Number.MAX_SAFE_INTEGER, 268_435_456],
  ['maxConnections', 1, Number.MAX_SAFE_INTEGER, 10_000],
  ['maxConnectionsPerIp', 1, Number.MAX_SAFE_INTEGER, 1_000],
  ['maxConnectionsPerKey', 1, Number.MAX_SAFE_INTEGER, 256],
  ['acceptRate', 1, Number.MAX_SAFE_INTEGER, 1_000],
  ['maxUnregistered', 1, Number.MAX_SAFE_INTEGER, 1_000],
  ['maxUnregisteredPerIp', 1, Number.MAX_SAFE_INTEGER, 64],
  ['registrationTimeout', 1, MAX_DELAY, 10_000],
  ['keepaliveInterval', 1, MAX_DELAY, 30_000],
  ['framesPerSecond', 1, Number.MAX_SAFE_INTEGER, undefined],
  ['bytesPerSecond', 1, Number.MAX_SAFE_INTEGER, undefined],
  ['keyFramesPerSecond', 1, Number.MAX_SAFE_INTEGER, undefined],
  ['keyBytesPerSecond', 1, Number.MAX_SAFE_INTEGER, undefined],
  ['handshakeRate', 1, Number.MAX_SAFE_INTEGER, 20],
  ['handshakeBurst', 1, Number.MAX_SAFE_INTEGER, 128],
  ['maxPeers', 1, Number.MAX_SAFE_INTEGER, 65_536],
];

describe('an option that is a number', () => {
  it.each(NUMBERS)('%s', (name, min, max, fallback) => {
    const valueOf = (value: unknown): unknown => (check({ [name]: value }) as Record<string, unknown>)[name];
    expect(valueOf(undefined)).toBe(fallback);
    expect((check() as Record<string, unknown>)[name]).toBe(fallback);
    for (const value of [min, max]) expect(valueOf(value)).toBe(value);
    for (const value of [min - 1, max + 1, -1, 0, 1.5, NaN, Infinity, String(min), null, true, [min]]) {
      const message = refusal({ port: 0, [name]: value });
      expect(message).toContain(`"${name}"`);
      expect(message).toContain(String(min));
      if (max !== Number.MAX_SAFE_INTEGER) expect(message).toContain(String(max));
    }
  });

  it.each([
    ['delay', MAX_DELAY, 5_000],
    ['time', MAX_DELAY - 10_000, 10_000],
    ['tryFor', MAX_DELAY, 30_000],
  ] as const)('drain.%s', (name, max, fallback) => {
    expect(check().drain[name]).toBe(fallback);
    expect(check({ drain: {} }).drain[name]).toBe(fallback);
    for (const value of [0, max]) expect(check({ drain: { [name]: value } }).drain[name]).toBe(value);
    for (const value of [-1, max + 1, 0.5, NaN, '5', null]) {
      const message = refusal({ port: 0, drain: { [name]: value } });
      expect(message).toContain(`"drain.${name}"`);
    }
  });

  it('is itself, or is refused, whatever it is', () => {
    fc.assert(
      fc.property(fc.constantFrom(...NUMBERS), fc.anything(), ([name, min, max], value) => {
        let checked: Record<string, unknown>;
        try {
          checked = check({ [name]: value });
        } catch (error) {
          expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' });
          return;
        }
        const result = checked[name];
        if (value === undefined) return;
        expect(result).toBe(value);
        expect(result).toBeGreaterThanOrEqual(min);
        expect(result).toBeLessThanOrEqual(max);
      }),
      runs(300),
    );
  });

  it('has room for a frame: the queue of a connection holds one at least', () => {
    const maxFrame = MAX_MAX_FRAME;
    expect(check({ maxFrame }).maxQueueBytes).toBe(maxFrame);
    expect(check({ maxFrame, maxQueueBytes: maxFrame }).maxQueueBytes).toBe(maxFrame);
    expect(refusal({ port: 0, maxFrame, maxQueueBytes: maxFrame - 1 })).toContain('maxQueueBytes');
  });
});

describe('options that go together, or do not', () => {
  const server = createServer();

  it.each<[string, Record<string, unknown>, RegExp]>([
    ['no port and no server', {}, /exactly one of "port" and "server"/],
    ['a port and a server', { port: 0, server }, /exactly one of "port" and "server"/],
    ['a host with a server', { server, host: '127.0.0.1' }, /"host" goes with "port"/],
    ['TLS with a server', { server, tls: { certFile: 'a', keyFile: 'b' } }, /"tls" goes with "port"/],
    [
      'the PROXY protocol with a server',
      { server, proxyProtocol: true, trustedProxies: ['loopback'] },
      /"proxyProtocol" goes with "port"/,
    ],
    ['the PROXY protocol of nobody', { port: 0, proxyProtocol: true }, /needs "trustedProxies"/],
    [
      'the PROXY protocol of no proxies',
      { port: 0, proxyProtocol: true, trustedProxies: [] },
      /needs "trustedProxies"/,
    ],
    ['a path that is none', { port: 0, path: 'relay' }, /"path" starts with "\/": "relay"/],
    ['a policy that is none', { port: 0, queuePolicy: 'wait' }, /"notify" or "close-slow", not "wait"/],
    ['an audit log that goes nowhere', { port: 0, audit: {} }, /exactly one of "file" and "sink"/],
    [
      'an audit log that goes to two places',
      { port: 0, audit: { file: 'a', sink: { write: () => undefined } } },
      /exactly one of "file" and "sink"/,
    ],
    ['a proxy that is none', { port: 0, trustedProxies: ['nginx'] }, /nginx/],
    ['an address that is none', { port: 0, addresses: ['relay.example'] }, /relay\.example/],
  ])('%s', (_, options, message) => {
    expect(refusal(options)).toMatch(message);
    // As whoever makes a relay is told.
    expectCode(() => new Relay(options), 'INVALID_ARGUMENT');
  });

  it('are taken as they are meant', () => {
    expect(check()).toMatchObject({
      exclusive: false,
      closeSlow: false,
      proxyProtocol: false,
      path: undefined,
      addresses: undefined,
    });
    expect(check({ queuePolicy: 'notify' }).closeSlow).toBe(false);
    expect(check({ queuePolicy: 'close-slow' }).closeSlow).toBe(true);
    expect(check({ exclusive: true }).exclusive).toBe(true);
    expect(check({ proxyProtocol: true, trustedProxies: ['10.0.0.0/8'] })).toMatchObject({
      proxyProtocol: true,
    });
    expect(check({ audit: { file: 'a' } }).audit).toEqual({ file: 'a' });
    expect(checkOptions({ server }).server).toBe(server);
  });

  it('are normalized: a path, and addresses', () => {
    expect(check({ path: '/relay/' }).path).toBe('/relay');
    expect(check({ path: '/' }).path).toBe('/');
    expect(check({ addresses: ['WSS://Relay.Example:443/'] }).addresses).toEqual(['wss://relay.example']);
    // What a proxy calls it.
    const { publicUrl, addresses } = check({
      addresses: ['wss://Relay.Example/relay/', 'wss://b.example/x'],
    });
    expect([publicUrl, addresses]).toEqual([
      'wss://relay.example/relay',
      ['wss://relay.example', 'wss://b.example'],
    ]);
    expect(check({ addresses: ['wss://relay.example/'] }).publicUrl).toBe(undefined);
  });

  it('say which proxies are believed', () => {
    const { proxies } = check({ trustedProxies: ['10.0.0.0/8', 'loopback'] });
    expect(['10.1.2.3', '127.0.0.1', '192.0.2.1'].map(ip => proxies.trusts(ip))).toEqual([true, true, false]);
    expect(check().proxies.trusts('127.0.0.1')).toBe(false);
  });

  it('are copied: what is changed afterwards changes nothing', () => {
    const addresses = ['wss://relay.example'];
    const drain = { delay: 1 };
    const checked = check({ addresses, drain });
    addresses.push('wss://other.example');
    drain.delay = 2;
    expect(checked.addresses).toEqual(['wss://relay.example']);
    expect(checked.drain.delay).toBe(1);
  });
});
