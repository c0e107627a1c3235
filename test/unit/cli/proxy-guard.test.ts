import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Refusal } from '../../../src/cli/bridge/refusal.js';
import { ClientToken } from '../../../src/cli/client-token.js';
import { UsageError } from '../../../src/cli/exit-code.js';
import { parseListenAddress } from '../../../src/cli/listen-address.js';
import { type GuardOptions, ProxyGuard, toHost, toOrigin } from '../../../src/cli/proxy-guard.js';
import { runs } from '../../support/fuzz.js';

const TOKEN = 'abcdefghijklmnop';

/** 'allowed', or the status of the refusal. */
function verdict(
  { listen = '127.0.0.1:9000', ...options }: Partial<GuardOptions> & { readonly listen?: string },
  headers: Readonly<Record<string, string>>,
  protocols: readonly string[] = [],
): unknown {
  const address = parseListenAddress(listen, '--listen');
  const guard = new ProxyGuard({ address, hosts: [], origins: [], token: undefined, ...options });
  try {
    guard.check({ host: '127.0.0.1:9000', ...headers }, protocols);
    return 'allowed';
  } catch (error) {
    if (error instanceof Refusal) return error.status;
    throw error;
  }
}

describe('Host', () => {
  it.each([
    ['127.0.0.1:9000', '127.0.0.1', 'allowed'],
    ['127.0.0.1:9000', 'localhost:1', 'allowed'],
    ['127.0.0.1:9000', '[::1]:9000', 'allowed'],
    ['127.0.0.1:9000', '127.0.0.2', 403],
    ['127.0.0.2:9000', '127.0.0.2', 'allowed'],
    ['127.0.0.1:9000', '0.0.0.0:9000', 403],
    ['127.0.0.1:9000', 'localhost.evil.example', 403],
    ['127.0.0.1:9000', 'localhost.', 403],
    ['127.0.0.1:9000', 'localhost:x', 403],
    ['127.0.0.1:9000', 'a@localhost', 403],
    ['127.0.0.1:9000', '', 403],
    ['[::1]:9000', '[::1]', 'allowed'],
    ['192.168.0.7:9000', '192.168.0.7:9000', 'allowed'],
    ['192.168.0.7:9000', '192.168.0.8:9000', 403],
    ['192.168.0.7:9000', 'localhost', 403],
    // Whatever address this machine has; but no name, which somebody else could have given it.
    ['0.0.0.0:9000', '192.168.0.7:9000', 'allowed'],
    ['[::]:9000', '[fe80::1]:9000', 'allowed'],
    ['0.0.0.0:9000', 'localhost:9000', 'allowed'],
    ['[::]:9000', 'localhost', 'allowed'],
    ['0.0.0.0:9000', 'evil.example', 403],
    ['0.0.0.0:9000', 'proxy.example', 'allowed'],
  ])('listening at %s: %s', (listen, host, expected) => {
    expect(verdict({ listen, hosts: ['proxy.example'] }, { host })).toBe(expected);
  });

  it('without one: nobody', () => {
    const guard = new ProxyGuard({
      address: parseListenAddress('9000', '--listen'),
      hosts: [],
      origins: [],
      token: undefined,
    });
    expect(() => {
      guard.check({}, []);
    }).toThrow(Refusal);
  });

  it('no name but ours, whatever it is', () => {
    fc.assert(
      fc.property(fc.oneof(fc.domain(), fc.string(), fc.ipV4(), fc.ipV6()), host => {
        const own = ['localhost', '127.0.0.1', '[::1]'];
        const name = host.replace(/:\d{1,5}$/, '').toLowerCase();
        expect(verdict({}, { host })).toBe(own.includes(name) ? 'allowed' : 403);
      }),
      runs(500),
    );
  });
});

describe('Origin', () => {
  it('none but those that are named', () => {
    const origins = ['https://app.example'];
    expect(verdict({ origins }, {})).toBe('allowed');
    expect(verdict({ origins }, { origin: 'https://app.example' })).toBe('allowed');
    fc.assert(
      fc.property(
        fc.oneof(fc.webUrl(), fc.string(), fc.constantFrom('', 'null', 'https://app.example.evil')),
        origin => {
          if (origin.toLowerCase() !== 'https://app.example')
            expect(verdict({ origins }, { origin })).toBe(403);
        },
      ),
      runs(500),
    );
  });

  it('whoever has a token is refused all the same', () => {
    const token = new ClientToken(TOKEN, 'test');
    const headers = { origin: 'https://evil.example', authorization: `Bearer ${TOKEN}` };
    expect(verdict({ token }, headers)).toBe(403);
  });

  it.each([
    ['https://App.example', 'https://app.example'],
    ['https://app.example/', 'https://app.example'],
    ['https://app.example:443', 'https://app.example'],
    ['http://localhost:8000', 'http://localhost:8000'],
    ['null', 'null'],
    ['chrome-extension://abcdef', 'chrome-extension://abcdef'],
  ])('%s is given as %s', (given, origin) => {
    expect(toOrigin(given)).toBe(origin);
  });

  it.each([
    '*',
    'app.example',
    'https://app.example/path',
    'https://app.example?x',
    'file:///x',
    'about:blank',
  ])('%s is none', given => {
    expect(() => toOrigin(given)).toThrow(UsageError);
  });
});

describe('--allow-host', () => {
  it.each([
    ['Proxy.Example', 'proxy.example'],
    ['[::1]', '[::1]'],
    ['my_host', 'my_host'],
  ])('%s', (given, host) => {
    expect(toHost(given)).toBe(host);
  });

  it.each(['proxy.example:80', 'https://proxy.example', '*', 'a b', '.', 'a/b'])('%s is none', given => {
    expect(() => toHost(given)).toThrow(UsageError);
  });
});

describe('the token', () => {
  const token = new ClientToken(TOKEN, 'test');
  const bearer = (text: string): string =>
    `secure-websocket.bearer.${Buffer.from(text).toString('base64url')}`;

  it.each([
    [{ authorization: `Bearer ${TOKEN}` }, [], 'allowed'],
    [{ authorization: `bearer   ${TOKEN} ` }, [], 'allowed'],
    [{}, ['chat', bearer(TOKEN)], 'allowed'],
    [{ authorization: 'Bearer wrong' }, [bearer(TOKEN)], 'allowed'],
    [{}, [], 401],
    [{ authorization: TOKEN }, [], 401],
    [{ authorization: `Basic ${TOKEN}` }, [], 401],
    [{ authorization: `Bearer ${TOKEN.slice(1)}` }, [], 401],
    [{ authorization: `Bearer ${TOKEN}a` }, [], 401],
    [{ authorization: `Bearer ${TOKEN} ${TOKEN}` }, [], 401],
    [{}, [TOKEN, `secure-websocket.bearer.${TOKEN}`, bearer('')], 401],
  ])('%j with %j: %s', (headers, protocols, expected) => {
    expect(verdict({ token }, headers as Record<string, string>, protocols)).toBe(expected);
  });

  it('is none when it could be guessed, or is no line; and is not told', () => {
    for (const text of [
      '',
      'short',
      'abcdefghijklmno',
      'a b c d e f g h i j',
      `${TOKEN}\n${TOKEN}`,
      'x'.repeat(1_025),
      'ü'.repeat(20),
    ]) {
      try {
        new ClientToken(text, 'the file');
        expect.unreachable();
      } catch (error) {
        expect(error).toBeInstanceOf(UsageError);
        expect(String(error)).toContain('the file');
        if (text.length > 5) expect(String(error)).not.toContain(text);
      }
    }
    expect(JSON.stringify(token)).toBe('{}');
  });
});

describe('--listen', () => {
  it.each([
    ['127.0.0.1:9000', '127.0.0.1', 9000, true],
    ['9000', '127.0.0.1', 9000, true],
    ['127.1.2.3:0', '127.1.2.3', 0, true],
    ['localhost:80', 'localhost', 80, true],
    ['[::1]:9000', '::1', 9000, true],
    ['[0:0:0:0:0:0:0:1]:9000', '0:0:0:0:0:0:0:1', 9000, true],
    ['0.0.0.0:9000', '0.0.0.0', 9000, false],
    ['[::]:9000', '::', 9000, false],
    ['192.168.0.7:65535', '192.168.0.7', 65535, false],
    ['[::ffff:127.0.0.1]:9000', '::ffff:127.0.0.1', 9000, false],
    ['[fe80::1%eth0]:9000', 'fe80::1%eth0', 9000, false],
    ['128.0.0.1:9000', '128.0.0.1', 9000, false],
  ])('%s', (text, host, port, isLoopback) => {
    expect(parseListenAddress(text, '--listen')).toEqual({ host, port, isLoopback });
  });

  it.each([
    '',
    ':9000',
    'localhost',
    '127.0.0.1',
    '127.0.0.1:',
    '127.0.0.1:65536',
    '127.0.0.1:x',
    '::1:9000',
    '[127.0.0.1]:80',
    'proxy.example:80',
    '127.1:80',
    'ws://127.0.0.1:80',
    '-1',
  ])('%j is none', text => {
    expect(() => parseListenAddress(text, '--listen')).toThrow(UsageError);
  });
});
