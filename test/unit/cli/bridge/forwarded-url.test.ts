import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { forwardedUrl } from '../../../../src/cli/bridge/forwarded-url.js';
import { runs } from '../../../support/fuzz.js';

const forwarded = (base: string, request: string): string | undefined =>
  forwardedUrl(new URL(base), request)?.href;

describe('a request', () => {
  it.each([
    ['ws://h', '/', 'ws://h/'],
    ['ws://h', '/chat?x=1', 'ws://h/chat?x=1'],
    ['ws://h/', '//chat', 'ws://h//chat'],
    ['ws://h/app', '/', 'ws://h/app'],
    ['ws://h/app/', '/', 'ws://h/app/'],
    ['ws://h/app', '/chat', 'ws://h/app/chat'],
    ['ws://h/app/', '/chat', 'ws://h/app/chat'],
    ['ws://h/app?key=1', '/chat?x=2', 'ws://h/app/chat?key=1&x=2'],
    ['ws://h/app?key=1', '/', 'ws://h/app?key=1'],
    ['ws://h/app', '/?x=2#f', 'ws://h/app?x=2'],
    ['ws://h/app', '/chat#?x', 'ws://h/app/chat'],
    ['ws://h/app', '/a/../b', 'ws://h/app/b'],
    ['ws://h/app', '/%C3%A9?%20', 'ws://h/app/%C3%A9?%20'],
    ['ws://u:p@h:81/app', '/x', 'ws://u:p@h:81/app/x'],
  ])('for %s: %s', (base, request, expected) => {
    expect(forwarded(base, request)).toBe(expected);
  });

  it.each([
    '/..',
    '/../other',
    '/%2e%2E/other',
    '/..\\other',
    '/x/../../other',
    '/../apple',
    '',
    'chat',
    '?x',
    '*',
  ])('does not leave the path of the base: %s', request => {
    expect(forwarded('ws://h/app', request)).toBeUndefined();
  });

  it('whatever it is, stays below the base', () => {
    const part = fc.oneof(
      fc.constantFrom(
        '/',
        '..',
        '.',
        '%2e',
        '%2E%2e',
        '\\',
        '?',
        '#',
        '@',
        ':',
        '//',
        'h',
        '%2f',
        '\t',
        '\n',
      ),
      fc.string({ maxLength: 5, unit: 'binary' }),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 12 }), parts => {
        const url = forwardedUrl(new URL('ws://h:81/app?key=1'), `/${parts.join('')}`);
        if (url === undefined) return;
        expect(url.origin).toBe('ws://h:81');
        expect(url.pathname === '/app' || url.pathname.startsWith('/app/')).toBe(true);
        expect(url.search.startsWith('?key=1')).toBe(true);
        expect(url.hash).toBe('');
        // It stays the same when somebody parses it again.
        expect(new URL(url.href).pathname).toBe(url.pathname);
      }),
      runs(2_000),
    );
  });
});
