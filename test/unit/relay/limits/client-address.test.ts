import fc from 'fast-check';
import { isIP } from 'node:net';
import { describe, expect, it } from 'vitest';
import { TrustedProxies } from '../../../../src/relay/limits/client-address.js';
import { plainIp } from '../../../../src/relay/limits/plain-ip.js';
import { expectCode } from '../../../support/errors.js';
import { parsesOrRefuses, runs } from '../../../support/fuzz.js';

describe('plainIp', () => {
  it('writes every address in one way', () => {
    expect(plainIp('192.0.2.1')).toBe('192.0.2.1');
    expect(plainIp('::ffff:192.0.2.1')).toBe('192.0.2.1');
    expect(plainIp('::FFFF:c000:0201')).toBe('192.0.2.1');
    expect(plainIp('0:0:0:0:0:ffff:192.0.2.1')).toBe('192.0.2.1');
    expect(plainIp('2001:DB8:0:0:0:0:0:1')).toBe('2001:db8::1');
    expect(plainIp('fe80::1%eth0')).toBe('fe80::1');
    expect(plainIp('::')).toBe('::');
  });

  it('knows what is no address', () => {
    for (const text of [
      '',
      'localhost',
      '1.2.3',
      '1.2.3.4.5',
      '01.2.3.4',
      '1.2.3.256',
      ':::',
      '1.2.3.4%eth0',
      '[::1]',
    ]) {
      expect(plainIp(text), text).toBeUndefined();
    }
  });

  it('never throws, and leaves what it has written as it is', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string()), text => {
        const plain = plainIp(text);
        if (isIP(text) === 0) expect(plain === undefined || text.includes('%')).toBe(true);
        else expect(plainIp(plain!)).toBe(plain);
      }),
      runs(500),
    );
  });
});

describe('TrustedProxies', () => {
  it('trusts nobody by default', () => {
    const nobody = new TrustedProxies([]);
    for (const ip of ['127.0.0.1', '::1', '10.0.0.1', undefined, '', 'localhost'])
      expect(nobody.trusts(ip)).toBe(false);
  });

  it('knows addresses, networks and names', () => {
    const proxies = new TrustedProxies(['192.0.2.1', '198.51.100.0/24', '2001:db8::/32', '2001:DC8:0::1']);
    for (const ip of ['192.0.2.1', '::ffff:192.0.2.1', '198.51.100.255', '2001:db8:1::1', '2001:dc8::1']) {
      expect(proxies.trusts(ip), ip).toBe(true);
    }
    for (const ip of ['192.0.2.2', '198.51.101.0', '2001:db9::', '2001:dc8::2', '127.0.0.1']) {
      expect(proxies.trusts(ip), ip).toBe(false);
    }
    const loopback = new TrustedProxies(['loopback']);
    for (const ip of ['127.0.0.1', '127.255.0.1', '::1', '::ffff:127.0.0.1'])
      expect(loopback.trusts(ip), ip).toBe(true);
    for (const ip of ['128.0.0.1', '::2', '10.0.0.1', '::']) expect(loopback.trusts(ip), ip).toBe(false);
    const own = new TrustedProxies(['private']);
    for (const ip of ['10.1.2.3', '172.31.0.1', '192.168.1.1', 'fd00::1'])
      expect(own.trusts(ip), ip).toBe(true);
    for (const ip of ['11.0.0.1', '172.32.0.1', '192.169.0.1', 'fe80::1', '127.0.0.1']) {
      expect(own.trusts(ip), ip).toBe(false);
    }
  });

  it('takes an IPv4 network in IPv6 clothes for what it is, and all of IPv6 for IPv6 only', () => {
    const proxies = new TrustedProxies(['::ffff:10.0.0.0/104']);
    expect(proxies.trusts('10.255.0.1')).toBe(true);
    expect(proxies.trusts('11.0.0.1')).toBe(false);
    const all = new TrustedProxies(['::/0']);
    expect(all.trusts('2001:db8::1')).toBe(true);
    expect(all.trusts('192.0.2.1')).toBe(false);
  });

  it('names the entry that is none', () => {
    const bad = [
      ...[
        '',
        ' ',
        'localhost',
        '10.0.0.0/33',
        '::/129',
        '10.0.0.0/',
        '10.0.0.0/8/8',
        '10.0.0.0/-1',
        '10.0.0.0/8 ',
      ],
      ...[
        '::ffff:10.0.0.0/64',
        'fe80::1%eth0',
        '1.2.3.4:80',
        '[::1]',
        'toString',
        '__proto__',
        '10.0.0.0/0x8',
      ],
    ];
    for (const entry of bad) {
      const error = expectCode(() => new TrustedProxies(['127.0.0.1', entry]), 'INVALID_ARGUMENT');
      expect(error.message).toContain(JSON.stringify(entry));
    }
  });

  it('takes any text for an entry or refuses it', () => {
    const entry = fc.oneof(
      fc.string(),
      fc
        .tuple(fc.oneof(fc.ipV4(), fc.ipV6()), fc.integer({ min: -1, max: 130 }))
        .map(([ip, bits]) => `${ip}/${bits}`),
    );
    fc.assert(
      fc.property(entry, text => {
        const proxies = parsesOrRefuses(() => new TrustedProxies([text]), 'INVALID_ARGUMENT');
        const ip = text.split('/')[0]!;
        if (proxies !== undefined && isIP(ip) !== 0) expect(proxies.trusts(ip)).toBe(true);
      }),
      runs(500),
    );
  });
});

describe('the address of a client', () => {
  const proxies = new TrustedProxies(['loopback', '10.0.0.0/8']);

  it('is that of the connection when nothing else is said', () => {
    expect(proxies.clientOf('192.0.2.1', undefined)).toBe('192.0.2.1');
    expect(proxies.clientOf('::ffff:127.0.0.1', undefined)).toBe('127.0.0.1');
    expect(proxies.clientOf(undefined, '192.0.2.1')).toBeUndefined();
    expect(proxies.clientOf('127.0.0.1', '')).toBe('127.0.0.1');
  });

  it('is that of the connection, whatever it says, when that comes from nobody who is trusted', () => {
    expect(proxies.clientOf('192.0.2.1', '203.0.113.7')).toBe('192.0.2.1');
    expect(new TrustedProxies([]).clientOf('127.0.0.1', '203.0.113.7')).toBe('127.0.0.1');
  });

  it('is the first from the right that is no proxy', () => {
    expect(proxies.clientOf('127.0.0.1', '203.0.113.7')).toBe('203.0.113.7');
    expect(proxies.clientOf('127.0.0.1', '1.1.1.1, 203.0.113.7,10.1.2.3 ,\t10.4.5.6')).toBe('203.0.113.7');
    expect(proxies.clientOf('127.0.0.1', ['1.1.1.1', '203.0.113.7, 10.1.2.3'])).toBe('203.0.113.7');
    expect(proxies.clientOf('127.0.0.1', '10.1.1.1, 10.2.2.2')).toBe('10.1.1.1');
  });

  it('is read with ports, in brackets, and in IPv6 clothes', () => {
    const read = (entry: string) => proxies.clientOf('127.0.0.1', entry);
    expect(read('203.0.113.7:4711')).toBe('203.0.113.7');
    expect(read('[2001:db8::1]:4711')).toBe('2001:db8::1');
    expect(read('[2001:DB8::1]')).toBe('2001:db8::1');
    expect(read('2001:db8::1')).toBe('2001:db8::1');
    expect(read('::ffff:203.0.113.7')).toBe('203.0.113.7');
  });

  it('is the last good one when what follows is none', () => {
    for (const none of [
      'unknown',
      '_hidden',
      '',
      '1.2.3.4:',
      '1.2.3.4:123456',
      '[1.2.3.4]',
      '[::1',
      '::1]:5',
      'x'.repeat(300),
      `fe80::1%${'x'.repeat(300)}`,
    ]) {
      expect(proxies.clientOf('127.0.0.1', `8.8.8.8, ${none}, 10.1.2.3`), none).toBe('10.1.2.3');
      expect(proxies.clientOf('127.0.0.1', `8.8.8.8, ${none}`), none).toBe('127.0.0.1');
    }
  });

  it('looks at 64 entries and no more', () => {
    const chain = (length: number) => Array.from({ length }, (_, at) => `10.0.0.${at}`).join(',');
    expect(proxies.clientOf('127.0.0.1', `8.8.8.8,${chain(63)}`)).toBe('8.8.8.8');
    expect(proxies.clientOf('127.0.0.1', `8.8.8.8,${chain(64)}`)).toBe('10.0.0.0');
  });

  it('cannot be forged: whatever a client claims, the address that the proxy adds counts', () => {
    const anything = fc.oneof(
      fc.string(),
      fc.ipV4(),
      fc.ipV6(),
      fc.constantFrom(',', '127.0.0.1', '10.0.0.1,'),
    );
    const chain = fc.array(fc.integer({ min: 1, max: 250 }), { maxLength: 10 });
    fc.assert(
      fc.property(fc.array(anything), chain, (claims, hops) => {
        const header = [...claims, '203.0.113.7', ...hops.map(hop => `10.0.0.${hop}`)].join(', ');
        expect(proxies.clientOf('127.0.0.1', header)).toBe('203.0.113.7');
      }),
      runs(500),
    );
  });

  it('is always an IP address, and never throws', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.array(fc.string())), header => {
        expect(isIP(proxies.clientOf('127.0.0.1', header)!)).not.toBe(0);
      }),
      runs(500),
    );
  });
});
