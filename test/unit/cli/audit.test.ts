import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../../src/cli/run.js';
import { AuditLog } from '../../../src/relay/operations/audit-log.js';
import { fakeIo } from '../../support/cli-io.js';

let folder: string;
let log: string;
let head: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'audit-command-'));
  log = join(folder, 'audit.jsonl');
  const failed = (error: Error) => {
    throw error;
  };
  const written = await AuditLog.open({ file: log }, failed);
  written.state('listening');
  written.refused({ remoteAddress: '192.0.2.1', code: 'KEY_DENIED', message: 'No.' });
  written.state('closed');
  await written.close();
  head = written.head;
});
afterAll(() => rm(folder, { recursive: true }));

async function cli(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const io = fakeIo();
  const code = await run(['audit', ...args], io);
  return { code, stdout: io.stdout.utf8, stderr: io.stderr.utf8 };
}

async function lines(): Promise<string[]> {
  return (await readFile(log, 'utf8')).trimEnd().split('\n');
}

async function altered(name: string, content: readonly string[]): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, content.map(line => `${line}\n`).join(''));
  return file;
}

describe('audit verify', () => {
  it('says how many records there are, and what the last is', async () => {
    const count = (await lines()).length;
    expect(count).toBeGreaterThanOrEqual(4);
    const whole = { code: 0, stdout: `The log is whole: ${count} records.\nHead  ${head}\n`, stderr: '' };
    expect(await cli('verify', log)).toEqual(whole);
    expect(await cli('verify', log, '--head', head.toUpperCase())).toEqual(whole);
  });

  it('takes several files as one log, and a later one by itself', async () => {
    const [first = '', ...others] = await lines();
    const [before, after] = [await altered('1', [first]), await altered('2', others)];
    expect(await cli('verify', before, after)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(head) as string,
    });
    expect((await cli('verify', after, before)).code).toBe(1);
    const { hash } = JSON.parse(first) as { hash: string };
    expect((await cli('verify', after, '--from', hash)).code).toBe(0);
    expect((await cli('verify', after)).code).toBe(1);
  });

  it('names the first line that is wrong', async () => {
    const [first = '', second = '', ...others] = await lines();
    const changed = await altered('changed', [first, second.replace(/"time":"2/, '"time":"3'), ...others]);
    expect(await cli('verify', changed)).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining(`error: ${changed}, line 2, was changed`) as string,
    });
    const removed = await altered('removed', [first, ...others]);
    expect((await cli('verify', removed)).stderr).toContain(`${removed}, line 2,`);
  });

  it('notices a removed end when the head is known', async () => {
    const cut = await altered('cut', (await lines()).slice(0, -1));
    expect((await cli('verify', cut)).code).toBe(0);
    const { code, stderr } = await cli('verify', cut, '--head', head);
    expect(code).toBe(1);
    expect(stderr).toContain('its end was removed');
  });

  it('says what a crash has left', async () => {
    const torn = await altered('torn', await lines());
    await appendFile(torn, '{"sequence":');
    const again = await AuditLog.open({ file: torn }, () => undefined);
    await again.close();
    const { code, stdout } = await cli('verify', torn);
    expect({ code, stdout }).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('A crash has left one line unfinished') as string,
    });
  });

  it('does not take an empty file for a whole log', async () => {
    const empty = await altered('empty', []);
    const isEmpty = {
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(
        /^error: .*empty is empty\.\n {2}A log begins with a record "opened",/,
      ) as string,
    };
    expect(await cli('verify', empty)).toEqual(isEmpty);
    expect(await cli('verify', empty, '--from', head)).toEqual(isEmpty);
    // What is before it does not miss it.
    expect(await cli('verify', log, empty)).toEqual(isEmpty);
  });

  it.each([
    [[], 'Say what to do: audit verify FILE...'],
    [['verify'], 'The FILE is missing.'],
    [['verfy', 'x'], 'There is no "audit verfy". Did you mean verify?'],
    [['show', 'x'], 'There is no "audit show".'],
    [['verify', 'x', '--head', 'abc'], '--head must be 64 hex digits, not "abc".'],
    [['verify', '/nonexistent'], '/nonexistent cannot be read (ENOENT'],
  ])('refuses %j', async (args, message) => {
    const { code, stdout, stderr } = await cli(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(`error: ${message}`);
    expect(stderr).toContain('See secure-websocket audit --help');
  });
});
