import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { whereNamed } from '../../../src/cli/named-setting.js';
import type { Configuration } from '../../../src/cli/relay-configuration.js';

const configuration: Configuration = new Map(
  Object.entries({
    'allow-keys': '/etc/relay/list',
    'deny-keys': '/etc/relay/list.deny',
    'reach-rules': './rules',
    'jwt-keys': 'keys',
    'tls-cert': '/tls/both.pem',
    'tls-key': '/tls/both.pem',
    'audit-log': '/var/log/audit.jsonl',
    'admission-url': 'https://admit.example/?secret=1',
    'user-id': '/etc/relay',
    port: 8080,
  }).map(([name, value], index) => [
    name,
    { value, source: 'file', where: `relay.yaml:${index + 1}: ${name}` },
  ]),
);

describe('the setting that a message is about', () => {
  it.each([
    ['Cannot read the file /etc/relay/list: ENOENT.', '1: allow-keys'],
    ['Cannot read the file /etc/relay/list.deny: ENOENT.', '2: deny-keys'],
    ['There is no key in /etc/relay/list.', '1: allow-keys'],
    ['./rules, line 3: no rule.', '3: reach-rules'],
    [`"${resolve('rules')}" is larger than that.`, '3: reach-rules'],
    ['There is no certificate in /tls/both.pem', '5: tls-cert, relay.yaml:6: tls-key'],
    ['/var/log/audit.jsonl.lock is there: another relay writes.', '7: audit-log'],
    ['https://admit.example/?secret=1 does not answer', '8: admission-url'],
    ['https://admit.example/?… does not answer', '8: admission-url'],
    ['/tls/both.pem is not that of /etc/relay/list', '5: tls-cert, relay.yaml:6: tls-key'],
  ])('%s', (message, where) => {
    expect(whereNamed(configuration, message)).toBe(`relay.yaml:${where}`);
  });

  it.each([
    // Another file below, above and beside.
    'Cannot read the file /etc/relay/list/other: ENOENT.',
    'Cannot read the file /srv/etc/relay/list: ENOENT.',
    'Cannot read the file /etc/relay/lists: ENOENT.',
    // A word like any other, no path, and no text.
    'There are no keys.',
    'The user is /etc/relay',
    'Port 8080 is taken.',
    '',
  ])('none: %s', message => {
    expect(whereNamed(configuration, message)).toBeUndefined();
  });
});
