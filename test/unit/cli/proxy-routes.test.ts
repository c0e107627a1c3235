import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Refusal } from '../../../src/cli/bridge/refusal.js';
import { routeByPath, type Router, routeTo } from '../../../src/cli/proxy-routes.js';
import { runs } from '../../support/fuzz.js';
import { keyOf } from '../../support/public-keys.js';

const KEY = keyOf('somebody');
const OTHER = keyOf('somebody else');

/** Where it leads, or the status with which it refuses. */
function lead(router: Router, request: string): unknown {
  try {
    const { url, isSpace, isDirect } = router(request);
    return [url.href, isSpace ? 'space' : isDirect ? 'server' : 'peer'];
  } catch (error) {
    if (error instanceof Refusal) return error.status;
    throw error;
  }
}

describe('--to', () => {
  it('a peer', () => {
    const router = routeTo(new URL(`wss://relay.example/base/${KEY}`), false);
    expect(lead(router, '/')).toEqual([`wss://relay.example/base/${KEY}`, 'peer']);
    expect(lead(router, '/chat?x=1')).toEqual([`wss://relay.example/base/${KEY}/chat?x=1`, 'peer']);
    expect(lead(router, `/${OTHER}`)).toEqual([`wss://relay.example/base/${KEY}/${OTHER}`, 'peer']);
    expect(lead(router, `/../${OTHER}`)).toBe(404);
  });

  it('a space', () => {
    const router = routeTo(new URL('wss://relay.example/space/kitchen'), false);
    expect(lead(router, '/')).toEqual(['wss://relay.example/space/kitchen', 'space']);
    expect(lead(router, '/?x=1')).toEqual(['wss://relay.example/space/kitchen', 'space']);
    expect(lead(router, '/chat')).toBe(404);
  });

  it('a server, whatever clients put behind it', () => {
    const router = routeTo(new URL('wss://api.example/app'), false);
    expect(lead(router, '/')).toEqual(['wss://api.example/app', 'server']);
    expect(lead(router, `/${KEY}`)).toEqual([`wss://api.example/app/${KEY}`, 'server']);
    expect(lead(router, '/space/x')).toEqual(['wss://api.example/app/space/x', 'server']);
    for (const path of [`/${KEY}`, '/space/kitchen']) {
      const direct = routeTo(new URL(`wss://api.example${path}`), true);
      expect(lead(direct, '/x')).toEqual([`wss://api.example${path}/x`, 'server']);
    }
  });
});

describe('--relay', () => {
  const router = routeByPath(new URL('wss://relay.example/base/'));

  it.each([
    [`/${KEY}`, [`wss://relay.example/base/${KEY}`, 'peer']],
    [`/${KEY}/chat?x=1`, [`wss://relay.example/base/${KEY}/chat?x=1`, 'peer']],
    ['/space/kitchen', ['wss://relay.example/base/space/kitchen', 'space']],
    ['/space/k%C3%BCche?x=1', ['wss://relay.example/base/space/k%C3%BCche', 'space']],
    ['/space/k%2Fx', 400],
    ['/space/%ff', 400],
    ['/', 404],
    ['/chat', 404],
    [`/chat/${KEY}`, 404],
    [`/${KEY.slice(1)}`, 404],
    ['/space', 404],
    ['/space/', 404],
    [`/space/x/${KEY}`, 404],
    [`/../${KEY}`, 404],
    [`/${KEY.toUpperCase()}`, 400],
    [`/${'0'.repeat(64)}`, 400],
    [`/${'f'.repeat(64)}`, 400],
    ['*', 404],
    ['http://evil.example/', 404],
  ])('%s', (request, expected) => {
    expect(lead(router, request)).toEqual(expected);
  });

  it('whatever a path is, it leads to this relay', () => {
    const part = fc.oneof(
      fc.constantFrom('/', '..', KEY, 'space', '%2e%2e', '\\', '?', '#', '@', ':', '//'),
      fc.string({ maxLength: 5, unit: 'binary' }),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 8 }), parts => {
        const result = lead(router, `/${parts.join('')}`);
        if (Array.isArray(result))
          expect(result[0]).toMatch(/^wss:\/\/relay\.example\/base\/(?:space\/[^/]+$|[0-9a-f]{64})/);
        else expect([400, 404]).toContain(result);
      }),
      runs(2_000),
    );
  });
});
