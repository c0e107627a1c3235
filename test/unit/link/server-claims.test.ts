import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { verifyDeviceInformation } from '../../../src/core/device-information.js';
import { Identity } from '../../../src/core/identity.js';
import { claimsOf } from '../../../src/link/server-claims.js';

const NOW = 1_750_000_000_000;
const MINUTE = 60_000;

function requestAt(localAddress: string, localPort = 8080, encrypted = false): IncomingMessage {
  const socket = { localAddress, localPort, ...(encrypted && { encrypted }) };
  return { socket } as unknown as IncomingMessage;
}

describe('what a server says of itself', () => {
  it('is signed once for all that come the same way within a minute', async () => {
    const server = { identity: await Identity.generate() };
    const first = claimsOf(server, requestAt('127.0.0.1'), NOW);
    expect(claimsOf({ ...server }, requestAt('127.0.0.1'), NOW + MINUTE - 1)).toBe(first);
    expect(first.addresses).toContain('ws://localhost:8080');

    const later = claimsOf(server, requestAt('127.0.0.1'), NOW + MINUTE);
    expect(later).not.toBe(first);
    const { crypto, publicKey } = server.identity;
    expect(verifyDeviceInformation(crypto, later.device, publicKey, NOW, NOW)).toMatchObject({
      issued: NOW + MINUTE,
      addresses: first.addresses,
    });
  });

  it('is signed again when the clock was set back', async () => {
    const server = { identity: await Identity.generate() };
    const first = claimsOf(server, requestAt('127.0.0.1'), NOW);
    expect(claimsOf(server, requestAt('127.0.0.1'), NOW - 1)).not.toBe(first);
  });

  it('is that of the address, the port, the names and the identity, and of no other', async () => {
    const identity = await Identity.generate();
    const addresses = ['wss://a.example', 'wss://b.example'];
    const others = [
      claimsOf({ identity }, requestAt('127.0.0.1'), NOW),
      claimsOf({ identity }, requestAt('127.0.0.1', 8081), NOW),
      claimsOf({ identity }, requestAt('192.0.2.1'), NOW),
      claimsOf({ identity }, requestAt('127.0.0.1', 8080, true), NOW),
      claimsOf({ identity }, undefined, NOW),
      claimsOf({ identity, addresses }, requestAt('127.0.0.1'), NOW),
      claimsOf({ identity, addresses: ['wss://a.example'] }, requestAt('127.0.0.1'), NOW),
      claimsOf({ identity, addresses, userId: 'u' }, requestAt('127.0.0.1'), NOW),
      claimsOf({ identity, addresses, deviceId: 'u' }, requestAt('127.0.0.1'), NOW),
      claimsOf({ identity: await Identity.generate(), addresses }, undefined, NOW),
    ];
    expect(new Set(others.map(each => each.device.signature)).size).toBe(others.length);
    expect(others[5]?.addresses).toEqual(addresses);
    // With addresses that were told, the way does not matter.
    expect(claimsOf({ identity, addresses }, requestAt('192.0.2.9', 1), NOW)).toBe(others[5]);
  });

  it('follows a list of addresses that is changed', async () => {
    const server = { identity: await Identity.generate(), addresses: ['wss://a.example'] };
    claimsOf(server, undefined, NOW);
    server.addresses.push('wss://b.example');
    expect(claimsOf(server, undefined, NOW).addresses).toEqual(['wss://a.example', 'wss://b.example']);
  });

  it('is forgotten when clients come in too many ways', async () => {
    const server = { identity: await Identity.generate() };
    const first = claimsOf(server, requestAt('127.0.0.1', 1), NOW);
    for (let port = 2; port <= 64; port++) claimsOf(server, requestAt('127.0.0.1', port), NOW);
    expect(claimsOf(server, requestAt('127.0.0.1', 1), NOW)).toBe(first);
    claimsOf(server, requestAt('127.0.0.1', 65), NOW);
    expect(claimsOf(server, requestAt('127.0.0.1', 1), NOW)).not.toBe(first);
  });
});
