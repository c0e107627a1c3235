// The demo as a visitor meets it: two tabs, a link, a chat, and the relay's view of it.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchBrowser, testEngines } from '../support/pages.js';

let home: string;
let server: ChildProcess;
let url: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'secure-websocket-'));
  const script = fileURLToPath(new URL('../../examples/demo/server.js', import.meta.url));
  server = spawn(process.execPath, [script], {
    env: { ...process.env, PORT: '0', SECURE_WEBSOCKET_HOME: home },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (!server.stdout) throw new Error('the demo has no output');
  for await (const line of createInterface(server.stdout)) {
    const found = /http:\/\/localhost:\d+/.exec(line);
    if (!found) continue;
    [url] = found;
    break;
  }
});

afterAll(async () => {
  const exited = once(server, 'exit');
  server.kill('SIGINT');
  expect(await exited).toEqual([0, null]);
  await rm(home, { recursive: true });
});

describe.each(testEngines)('in %s', engine => {
  it('two tabs chat, and the relay sees ciphertext', async () => {
    const browser = await launchBrowser(engine);
    try {
      const first = await browser.newPage();
      await first.goto(url);
      const link = await first.waitFor(() => (document.getElementById('link') as HTMLInputElement).value);
      const second = await browser.newPage();
      await second.goto(link);
      await second.waitFor(() => !(document.getElementById('text') as HTMLInputElement).disabled);

      await second.evaluate(say, 'Can anybody else read this?');
      const read = (): string | undefined => document.querySelector('#messages .theirs')?.textContent;
      expect(await first.waitFor(read)).toBe('Can anybody else read this?');
      await first.evaluate(say, 'No.');
      expect(await second.waitFor(read)).toBe('No.');

      const seen: string[] = await first.waitFor(() => {
        const rows = [...document.querySelectorAll('#envelopes li')].map(row => row.textContent);
        return rows.filter(row => row.includes('message')).length >= 4 ? rows : null;
      });
      // Hex on the page: the words would be there as hex if the relay had them.
      const hex = Array.from('anybody', letter => letter.charCodeAt(0).toString(16)).join(' ');
      expect(seen.join('\n')).not.toContain(hex);
      expect(seen.join('\n')).toMatch(/handshake/);
    } finally {
      await browser.close();
    }
  });
});

function say(text: string): void {
  (document.getElementById('text') as HTMLInputElement).value = text;
  (document.getElementById('composer') as HTMLFormElement).requestSubmit();
}
