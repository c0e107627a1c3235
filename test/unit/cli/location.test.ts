import { describe, expect, it } from 'vitest';
import { UsageError } from '../../../src/cli/exit-code.js';
import { checkSubprotocols, parseUrl, webSocketUrl, withoutCredentials } from '../../../src/cli/location.js';

const ADDRESS = '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a';

function messageOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return (error as Error).message;
  }
  throw new Error('nothing was thrown');
}

describe('parseUrl', () => {
  it('knows a peer behind a relay from a server', () => {
    const { url, location } = parseUrl(`https://relay.example/r/${ADDRESS}/chat?x=1`, false);
    expect(url.href).toBe(`wss://relay.example/r/${ADDRESS}/chat?x=1`);
    expect(Buffer.from(location.peerKey ?? []).toString('hex')).toBe(ADDRESS);
    expect(parseUrl('ws://localhost:8080/chat', false).location.peerKey).toBeUndefined();
    expect(parseUrl(`wss://host/${ADDRESS}`, true).location.peerKey).toBeUndefined();
  });

  it.each([
    ['relay.example/x', '"relay.example/x" is not a URL'],
    ['localhost:8080', '"localhost:8080" is not a URL'],
    [ADDRESS, 'is not a URL: it must begin with wss://'],
    ['ftp://host/', "'ftp:' is not allowed"],
    ['wss://', 'is invalid'],
    ['wss://host/#here', 'fragment'],
    [`wss://host/${ADDRESS.slice(0, -1)}`, 'got 63 characters'],
    [`wss://host/${ADDRESS}0`, 'got 65 characters'],
    [`wss://host/${ADDRESS.slice(0, 60)}`, 'got 60 characters'],
    [
      `wss://host/${ADDRESS.replace('9', 'g')}`,
      'The character at position 7 of the address is not a hex digit',
    ],
    [`wss://host/${ADDRESS.toUpperCase()}`, 'uppercase'],
    [`wss://host/${'f'.repeat(64)}`, 'not canonical'],
    [`wss://host/${'0'.repeat(64)}`, 'low order'],
  ])('says what is wrong with %s', (text, problem) => {
    expect(messageOf(() => parseUrl(text, false))).toContain(problem);
  });

  it.each([
    'wss://host/d41d8cd98f00b204e9800998ecf8427e',
    'wss://host/da39a3ee5e6b4b0d3255bfef95601890afd80709',
    `wss://host/${'long-and-readable-'.repeat(4).slice(0, 64)}`,
    `wss://host/${'ab'.repeat(64)}`,
  ])('takes %s for the path that it is', text => {
    expect(parseUrl(text, false).location.peerKey).toBeUndefined();
  });

  it('takes anything for a path when it is told to', () => {
    const text = `wss://host/${ADDRESS.slice(1)}`;
    expect(messageOf(() => parseUrl(text, false))).toContain('--direct');
    expect(parseUrl(text, true).url.href).toBe(text);
  });

  it('does not show credentials', () => {
    const message = messageOf(() => parseUrl(`wss://user:hunter2@host/${ADDRESS.slice(1)}`, false));
    expect(message).toContain('wss://host/');
    expect(message).not.toContain('hunter2');
  });
});

describe('webSocketUrl, withoutCredentials', () => {
  it('shows all but user name and password', () => {
    expect(withoutCredentials(webSocketUrl('wss://user:hunter2@host:444/a?b'))).toBe('wss://host:444/a?b');
  });
});

describe('checkSubprotocols', () => {
  it('refuses what is no token or comes twice', () => {
    checkSubprotocols(['a', 'b']);
    expect(messageOf(() => checkSubprotocols(['a b']))).toContain("'a b' is invalid");
    expect(messageOf(() => checkSubprotocols(['a', 'A']))).toContain('more than once');
  });
});
