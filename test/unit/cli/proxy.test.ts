import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ExitCode } from '../../../src/cli/exit-code.js';
import { run } from '../../../src/cli/run.js';
import { fakeIo } from '../../support/cli-io.js';
import { keyOf } from '../../support/public-keys.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const KEY = keyOf('somebody');
const TO = ['--to', `ws://127.0.0.1:1/${KEY}`];
const EXPOSE = ['--relay', 'ws://127.0.0.1:1', '--to', 'ws://127.0.0.1:2'];

/** What is said of a command line that is wrong. */
async function told(args: readonly string[], env: Record<string, string> = {}): Promise<string> {
  const io = fakeIo({ env });
  expect(await run(args, io)).toBe(ExitCode.USAGE);
  return io.stderr.utf8;
}

describe('proxy', () => {
  it.each([
    ['where to', [], /Give either --to, .* or --relay/],
    ['one of the two', [...TO, '--relay', 'ws://127.0.0.1:1'], /Give either --to, .* or --relay/],
    ['a URL', ['--to', 'relay.example'], /"relay\.example" is not a URL/],
    [
      'a key',
      ['--to', `ws://127.0.0.1:1/${KEY.slice(1)}`],
      /If this is no address but the path of a server, give --direct/,
    ],
    ['a relay', ['--relay', `ws://127.0.0.1:1/${KEY}`], /--relay must not hold a public key/],
    ['without a query', ['--relay', 'ws://127.0.0.1:1?x'], /--relay must not have a query/],
    ['not directly', ['--relay', 'ws://127.0.0.1:1', '--direct'], /--direct is about --to/],
    ['an address', [...TO, '--listen', 'here'], /--listen must be an IP address and a port/],
    ['an origin', [...TO, '--allow-origin', '*'], /--allow-origin must be the origin of a page/],
    ['a host', [...TO, '--allow-host', 'a:80'], /--allow-host must be a host name without a port/],
    ['a file', [...TO, '--client-token-file', '/nowhere'], /--client-token-file cannot be read/],
    ['a number', [...TO, '--max-connections', '0'], /--max-connections must be a whole number from 1/],
    ['a number', [...TO, '--max-pending', 'x'], /--max-pending must be a whole number from 1/],
    ['bytes', [...TO, '--max-payload', '1 GB'], /--max-payload must be bytes such as/],
    ['bytes', [...TO, '--max-payload', '2GiB'], /--max-payload must be from 1 to 1GiB, not 2GiB/],
    ['bytes', [...TO, '--max-buffered', '0'], /--max-buffered must be from 1 to 1GiB, not 0/],
    ['a time', [...TO, '--open-timeout', '10'], /--open-timeout needs a unit: 10s/],
    ['a time', [...TO, '--open-timeout', '1m'], /--open-timeout must be from 1ms to 25s, not 1m/],
    ['a key of the relay', [...TO, '--server-key', 'x'], /--server-key: /],
    ['nothing else', [...TO, 'more'], /Unexpected argument "more"/],
  ])('wants %s', async (_, args, message) => {
    const text = await told(['proxy', '--ephemeral', ...args]);
    expect(text).toMatch(message);
    expect(text).toContain('See secure-websocket proxy --help');
  });

  it.each(['0.0.0.0:0', '[::]:0', '192.0.2.1:9000'])(
    'has to be told twice to listen at %s',
    async address => {
      const args = ['proxy', '--ephemeral', ...TO, '--listen', address];
      expect(await told(args)).toMatch(/Other machines could reach .* give --allow-network, too/);
      // Once more is not enough without a token, or a word that none is wanted.
      expect(await told([...args, '--allow-network'])).toMatch(
        /--allow-network needs a token.*--no-client-token/,
      );
      expect(await told([...args, '--no-client-token'])).toMatch(/give --allow-network, too/);
      expect(await told(args, { SECURE_WEBSOCKET_CLIENT_TOKEN: 'a-token-that-is-long' })).toMatch(
        /--allow-network/,
      );
    },
  );

  it('does not tell a token that it does not like', async () => {
    const folder = await temporaryFolder();
    const file = join(folder, 'token');
    await writeFile(file, 'too-short');
    const text = await told(['proxy', '--ephemeral', ...TO, '--client-token-file', file]);
    expect(text).toContain(`The token of clients in ${file} must be one line of 16 to 1024 ASCII characters`);
    expect(text).not.toContain('too-short');
    const variable = await told(['proxy', '--ephemeral', ...TO], {
      SECURE_WEBSOCKET_CLIENT_TOKEN: 'too-short',
    });
    expect(variable).toContain('The token of clients in SECURE_WEBSOCKET_CLIENT_TOKEN must be');
    expect(variable).not.toContain('too-short');
    expect(await told(['proxy', ...TO, '--client-token-file', file, '--no-client-token'])).toContain(
      'not both',
    );
  });
});

describe('expose', () => {
  it.each([
    ['a relay', ['--to', 'ws://127.0.0.1:2'], /--relay is missing/],
    ['a server', ['--relay', 'ws://127.0.0.1:1'], /--to is missing/],
    ['a URL', ['--relay', 'ws://127.0.0.1:1', '--to', '127.0.0.1:2'], /"127\.0\.0\.1:2" is not a URL/],
    ['keys', [...EXPOSE, '--allow', 'x'], /--allow: /],
    ['bytes', [...EXPOSE, '--max-payload', 'x'], /--max-payload must be bytes/],
    ['nothing else', [...EXPOSE, 'more'], /Unexpected argument "more"/],
  ])('wants %s', async (_, args, message) => {
    const text = await told(['expose', '--ephemeral', ...args]);
    expect(text).toMatch(message);
    expect(text).toContain('See secure-websocket expose --help');
  });
});
