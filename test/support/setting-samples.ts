import type { SettingName } from '../../src/cli/relay-settings.js';

/** One setting as it is written, and what becomes of it. Lists are arrays. */
export interface SettingSample {
  /** On the command line; in the environment with commas. Undefined: a boolean that is given. */
  readonly text: string | readonly string[] | undefined;
  /** In a file. */
  readonly data: string | number | boolean | readonly string[];
  /** The option of the relay. Undefined: it becomes none. */
  readonly value: unknown;
  /** Another value, for whoever counts less. */
  readonly other: string | undefined;
}

const text = (given: string, other: string): SettingSample => ({
  text: given,
  data: given,
  value: given,
  other,
});
const file = (name: string): SettingSample => text(`/etc/relay/${name}`, '/etc/other');
const list = (...values: readonly [string, string]): SettingSample => ({
  text: values,
  data: values,
  value: values,
  other: values[1],
});
const integer = (value: number): SettingSample => ({
  text: String(value),
  data: value,
  value,
  other: String(value + 1),
});
const written = (given: string, value: number, other: string): SettingSample => ({
  text: given,
  data: given,
  value,
  other,
});
const on: SettingSample = { text: undefined, data: true, value: true, other: 'false' };

/** A value for every setting. `secretFile`: one that exists, and holds `secret`. */
export function settingSamples(
  secretFile: string,
  secret: string,
): Readonly<Record<SettingName, SettingSample>> {
  const fromFile: SettingSample = { ...text(secretFile, secretFile), value: secret };
  return {
    port: integer(8443),
    host: text('127.0.0.1', '::1'),
    path: text('/relay', '/other'),
    'public-url': {
      text: ['wss://a.example', 'wss://b.example:8443/relay'],
      data: ['wss://a.example', 'wss://b.example:8443/relay'],
      value: ['wss://a.example/', 'wss://b.example:8443/relay'],
      other: 'wss://c.example',
    },
    'trusted-proxy': list('loopback', '10.0.0.0/8'),
    'proxy-protocol': on,
    'tls-cert': file('chain.pem'),
    'tls-key': file('key.pem'),
    identity: { ...file('relay.key'), value: undefined },
    ephemeral: { ...on, value: undefined },
    'user-id': text('operator', 'somebody'),
    'device-id': text('machine 1', 'machine 2'),
    'allow-keys': file('allow'),
    'deny-keys': file('deny'),
    'jwt-keys': file('jwks.json'),
    'jwt-jwks-url': text('https://issuer.example/jwks.json', 'https://other.example/'),
    'jwt-issuer': list('https://issuer.example', 'https://other.example'),
    'jwt-audience': list('relay', 'relays'),
    'jwt-algorithms': list('EdDSA', 'ES256'),
    'jwt-key-claim': text('key', 'pub'),
    'jwt-user-claim': text('email', 'name'),
    'jwt-peers-claim': text('peers', 'others'),
    'jwt-clock-tolerance': written('1m', 60_000, '2m'),
    'user-ids': text('claimed', 'admitted'),
    'admission-url': text('https://hook.example/admit', 'https://other.example/'),
    'admission-timeout': written('500ms', 500, '1s'),
    'admission-fail-open': on,
    'admission-secret-file': fromFile,
    'reach-rules': file('rules'),
    'reach-url': text('http://127.0.0.1:9000/reach', 'https://other.example/'),
    'reach-timeout': written('2s', 2_000, '1s'),
    'reach-fail-open': on,
    'reach-secret-file': fromFile,
    'reach-cache-time': written('2h', 7_200_000, '1d'),
    'reach-cache-size': integer(5),
    presence: on,
    spaces: on,
    'space-url': text('https://hook.example/enter', 'https://other.example/'),
    'space-timeout': written('3s', 3_000, '1s'),
    'space-fail-open': on,
    'space-secret-file': fromFile,
    'max-spaces': integer(12),
    'max-spaces-per-client': integer(13),
    'max-space-members': integer(14),
    'max-total-space-members': integer(15),
    'space-enter-rate': integer(16),
    'space-message-rate': integer(17),
    'space-away-time': written('1m', 60_000, '2s'),
    'space-history-items': integer(18),
    'space-history-bytes': written('1MiB', 1_048_576, '1'),
    'space-history-time': written('5m', 300_000, '1s'),
    'max-total-space-history-bytes': written('8MiB', 8_388_608, '1'),
    'max-connections': integer(1),
    'max-connections-per-ip': integer(2),
    'max-connections-per-key': integer(3),
    'accept-rate': integer(4),
    'max-unregistered': integer(5),
    'max-unregistered-per-ip': integer(6),
    'registration-timeout': written('1s', 1_000, '2s'),
    'keepalive-interval': written('5m', 300_000, '2s'),
    'frames-per-second': integer(7),
    'bytes-per-second': written('64KB', 64_000, '1'),
    'key-frames-per-second': integer(8),
    'key-bytes-per-second': written('1MiB', 1_048_576, '1'),
    'handshake-rate': integer(9),
    'handshake-burst': integer(10),
    'max-peers': integer(11),
    'max-frame': written('1MiB', 1_048_576, '32KiB'),
    'max-queue-bytes': written('2MiB', 2_097_152, '64KiB'),
    'max-total-queue-bytes': written('1GiB', 2 ** 30, '1'),
    'queue-policy': text('close-slow', 'notify'),
    exclusive: on,
    'internal-port': integer(9090),
    'internal-host': text('10.0.0.1', '::1'),
    'log-level': text('debug', 'warn'),
    'log-file': file('relay.log'),
    'audit-log': file('audit.jsonl'),
    'audit-full-keys': on,
    'drain-delay': { ...written('0', 0, '1s'), data: 0 },
    'drain-time': written('1m', 60_000, '1s'),
    'drain-try-for': written('30s', 30_000, '1s'),
  };
}
