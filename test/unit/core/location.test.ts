import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHex } from '../../../src/core/bytes.js';
import { normalizeLocation, parseLocation } from '../../../src/core/location.js';
import { expectCode } from '../../support/errors.js';
import { parsesOrRefuses, runs, SLOW } from '../../support/fuzz.js';

const HEX = '8f40c5adb68f25624ae5b214ea767a6ec94d829d3d7b5e1ad1ba6f3e2138285f';
const OTHER = HEX.replace('8f', '01');
const locate = (url: string, direct?: boolean) => parseLocation(new URL(url), direct);

describe('parseLocation', SLOW, () => {
  it.each([
    // What is dialled ends before the key; what follows it is for the peer alone.
    ['wss://relay.example', `/${HEX}`, 'wss://relay.example/', '/'],
    ['wss://relay.example', `/${HEX}/`, 'wss://relay.example/', '/'],
    ['wss://relay.example', `/${HEX}?x=1`, 'wss://relay.example/', '/?x=1'],
    ['wss://relay.example', `/${HEX}/chat?x=1&y=2`, 'wss://relay.example/', '/chat?x=1&y=2'],
    ['wss://relay.example', `/${HEX}/a//b/`, 'wss://relay.example/', '/a//b/'],
    ['wss://relay.example', `/${HEX}/a%2Fb%20c?d=%F0`, 'wss://relay.example/', '/a%2Fb%20c?d=%F0'],
    ['ws://127.0.0.1:8080', `/some/path/${HEX}/chat`, 'ws://127.0.0.1:8080/some/path', '/chat'],
    ['ws://[::1]:8080', `/p/${HEX}`, 'ws://[::1]:8080/p', '/'],
    // The first key counts: another one behind it is part of the peer's own path.
    ['wss://relay.example', `/${HEX}/${OTHER}`, 'wss://relay.example/', `/${OTHER}`],
  ])('%s%s is relayed', (origin, path, dialled, target) => {
    expect(locate(origin + path)).toEqual({ origin, peerKey: fromHex(HEX), dialled, target });
  });

  it.each([
    '/',
    '/chat',
    '/chat?x=1&y=2',
    `/chat?key=${HEX}`,
    `/x${HEX}`,
    `/${HEX}x`,
    `/${HEX.slice(1)}`,
    `/${HEX}0`,
    `/${HEX.slice(0, 32)}/${HEX.slice(32)}`,
    `/${HEX.replace('f', '%66')}`,
    `/g${HEX.slice(1)}`,
  ])('the server itself is meant at %s', path => {
    const url = `wss://api.example${path}`;
    expect(locate(url)).toEqual({
      origin: 'wss://api.example',
      peerKey: undefined,
      dialled: url,
      target: path,
    });
  });

  it.each([
    ['wss://relay.example/space/lobby', 'wss://relay.example/', 'lobby'],
    ['wss://relay.example/base/deeper/space/lobby', 'wss://relay.example/base/deeper', 'lobby'],
    ['ws://127.0.0.1:8080/space/a', 'ws://127.0.0.1:8080/', 'a'],
    ['wss://relay.example/space/gr%C3%BC%C3%9Fe', 'wss://relay.example/', 'grüße'],
    ['wss://relay.example/space/a%20b%3Fc%23d%25', 'wss://relay.example/', 'a b?c#d%'],
    ['wss://relay.example/space/space', 'wss://relay.example/', 'space'],
    ['wss://relay.example/space/space/x', 'wss://relay.example/space', 'x'],
    ['wss://relay.example/space/x?', 'wss://relay.example/', 'x'],
  ])('%s is a space', (url, dialled, space) => {
    const { origin } = locate(url);
    expect(locate(url)).toStrictEqual({ origin, peerKey: undefined, dialled, target: '/', space });
    const { host, protocol } = new URL(url);
    expect(origin).toBe(`${protocol}//${host}`);
  });

  it.each([
    '/space',
    '/space/',
    '/space/lobby/',
    '/space/lobby/x',
    '/Space/lobby',
    '/spaces/lobby',
    '/%73pace/lobby',
    '//lobby',
  ])('%s is no space, but a path of the server', path => {
    const url = `wss://api.example${path}`;
    expect(locate(url)).toStrictEqual({
      origin: 'wss://api.example',
      peerKey: undefined,
      dialled: url,
      target: path,
    });
  });

  it('means the peer wherever there is a key, whatever else looks like a space', () => {
    expect(locate(`wss://relay.example/${HEX}/space/lobby`)).toStrictEqual({
      origin: 'wss://relay.example',
      peerKey: fromHex(HEX),
      dialled: 'wss://relay.example/',
      target: '/space/lobby',
    });
    expect(locate(`wss://relay.example/space/${HEX}`)).toStrictEqual({
      origin: 'wss://relay.example',
      peerKey: fromHex(HEX),
      dialled: 'wss://relay.example/space',
      target: '/',
    });
    expect(locate('wss://api.example/space/lobby?x=1', true)).toStrictEqual({
      origin: 'wss://api.example',
      peerKey: undefined,
      dialled: 'wss://api.example/space/lobby?x=1',
      target: '/space/lobby?x=1',
    });
    expect(locate('wss://api.example/space/%00', true).target).toBe('/space/%00');
  });

  it.each([
    ['a query', 'lobby?x=1'],
    ['what is no UTF-8', '%ff'],
    ['half of a percent-encoding', '%4'],
    ['a slash', 'a%2Fb'],
    ['a control character', 'a%00'],
    ['a decomposed letter', 'gru%CC%88%C3%9Fe'],
    ['129 bytes', 'x'.repeat(129)],
  ])('refuses a space with %s', (_, name) => {
    expectCode(() => locate(`wss://relay.example/space/${name}`), 'INVALID_ARGUMENT');
  });

  it('takes a path with a key for a path when it is told to', () => {
    for (const segment of [HEX, HEX.toUpperCase(), 'f'.repeat(64), '0'.repeat(64)]) {
      const url = `wss://api.example/${segment}/chat?x=1`;
      expect(locate(url, true)).toEqual({
        origin: 'wss://api.example',
        peerKey: undefined,
        dialled: url,
        target: `/${segment}/chat?x=1`,
      });
    }
  });

  it.each([
    [HEX.toUpperCase(), 'INVALID_ADDRESS_CHARACTER'],
    [HEX.replace('f', 'F'), 'INVALID_ADDRESS_CHARACTER'],
    ['f'.repeat(64), 'NON_CANONICAL_ADDRESS'],
    [`ed${'f'.repeat(60)}7f`, 'NON_CANONICAL_ADDRESS'],
    [`${HEX.slice(0, 62)}8f`, 'NON_CANONICAL_ADDRESS'],
    ['0'.repeat(64), 'LOW_ORDER_ADDRESS'],
    [`01${'0'.repeat(62)}`, 'LOW_ORDER_ADDRESS'],
    [`ec${'f'.repeat(60)}7f`, 'LOW_ORDER_ADDRESS'],
  ] as const)('refuses %s: %s', (segment, code) => {
    expectCode(() => locate(`wss://relay.example/${segment}/chat`), code);
  });

  it('has the default port dropped and the host in lower case', () => {
    expect(locate('WSS://Relay.Example:443/x').origin).toBe('wss://relay.example');
    expect(locate('ws://Relay.Example:80/x').origin).toBe('ws://relay.example');
    expect(locate('ws://relay.example:443/x').origin).toBe('ws://relay.example:443');
    expect(locate('wss://bücher.example/x').origin).toBe('wss://xn--bcher-kva.example');
  });

  it('shows the relay nothing of what is meant for the peer', () => {
    const secrets = fc.stringMatching(/^[a-zA-Z0-9]{12,40}$/);
    fc.assert(
      fc.property(secrets, secrets, (path, query) => {
        fc.pre(!/^[0-9a-fA-F]{64}$/.test(path));
        const { dialled, target } = locate(`wss://relay.example/a/b/${HEX}/${path}?${query}`);
        expect(dialled).toBe('wss://relay.example/a/b');
        expect(target).toBe(`/${path}?${query}`);
      }),
      runs(50),
    );
  });

  it('takes any URL apart, or refuses it for its address', () => {
    const segments = fc.oneof(
      fc.webSegment(),
      fc.stringMatching(/^[0-9a-fA-F]{64}$/),
      fc.constantFrom(HEX, 'space', 'lobby'),
    );
    fc.assert(
      fc.property(
        fc.webAuthority(),
        fc.array(segments, { maxLength: 4 }),
        fc.webQueryParameters(),
        (host, path, query) => {
          const url = new URL(`wss://${host}/${path.join('/')}?${query}`);
          const location = parsesOrRefuses(
            () => parseLocation(url),
            'INVALID_ARGUMENT',
            'INVALID_ADDRESS_CHARACTER',
            'NON_CANONICAL_ADDRESS',
            'LOW_ORDER_ADDRESS',
          );
          if (!location) return;
          expect(location.origin).toBe(`wss://${url.host}`);
          expect(location.target.startsWith('/')).toBe(true);
          expect(() => new URL(location.dialled)).not.toThrow();
        },
      ),
      runs(60),
    );
  });
});

describe('normalizeLocation', SLOW, () => {
  it.each([
    ['wss://relay.example', 'wss://relay.example'],
    ['wss://relay.example/', 'wss://relay.example'],
    ['wss://relay.example/path?query#fragment', 'wss://relay.example'],
    ['WSS://Relay.EXAMPLE:443', 'wss://relay.example'],
    ['https://relay.example:443/x', 'wss://relay.example'],
    ['http://relay.example:80', 'ws://relay.example'],
    ['ws://relay.example:80', 'ws://relay.example'],
    ['ws://relay.example:443', 'ws://relay.example:443'],
    ['http://relay.example:8080', 'ws://relay.example:8080'],
    ['ws://[0:0::1]:8080', 'ws://[::1]:8080'],
    ['ws://127.1:8080', 'ws://127.0.0.1:8080'],
    ['wss://user:secret@relay.example', 'wss://relay.example'],
  ])('%s is %s', (text, normal) => {
    expect(normalizeLocation(text)).toBe(normal);
    expect(normalizeLocation(normal)).toBe(normal);
    expect(parseLocation(new URL(text.replace(/^http/, 'ws'))).origin).toBe(normal);
  });

  it.each(['', 'relay.example', 'relay.example:443', '/path', 'ftp://relay.example', 'wss://', 'wss://a b'])(
    'refuses %j',
    text => {
      expectCode(() => normalizeLocation(text), 'INVALID_ARGUMENT');
    },
  );

  it('gives a location that equals itself when normalized again, or refuses', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.webUrl({ validSchemes: ['ws', 'wss', 'http', 'https'], withQueryParameters: true }),
        ),
        text => {
          const normal = parsesOrRefuses(() => normalizeLocation(text), 'INVALID_ARGUMENT');
          if (normal === undefined) return;
          expect(normal).toMatch(/^wss?:\/\/[^/?#]+$/);
          expect(normalizeLocation(normal)).toBe(normal);
        },
      ),
      runs(200),
    );
  });
});
