import { createHash } from 'node:crypto';
import {
  appendFile,
  link,
  mkdtemp,
  open,
  readFile,
  rename,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AuditLog, verifyAuditLog } from '../../../../src/relay/operations/audit-log.js';
import { MAX_AUDIT_LINE, NO_HEAD } from '../../../../src/relay/operations/audit-record.js';
import type { AuditOptions } from '../../../../src/relay/relay-options.js';
import { linesOf, MemorySink, parse, stream } from '../../../support/audit.js';

const key = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08';
const ip = '203.0.113.77';
const client = { publicKey: key, connectionId: 7, remoteAddress: ip };

let directory: string;
let file: string;
let failures: Error[];
const opened: AuditLog[] = [];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'audit-test-'));
  file = join(directory, 'audit.log');
  failures = [];
});
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
  await rm(directory, { recursive: true });
});

async function openLog(
  options: AuditOptions = { file },
  tuning: Parameters<typeof AuditLog.open>[2] = {},
): Promise<AuditLog> {
  const failed = (error: Error): void => void failures.push(error);
  const log = await AuditLog.open(options, failed, { retryAfter: 1, ...tuning });
  opened.push(log);
  return log;
}

async function events(path = file): Promise<unknown[]> {
  return (await linesOf(path)).map(line => parse(line)['event']);
}

function gate(): { promise: Promise<void>; open: () => void } {
  let openIt!: () => void;
  const promise = new Promise<void>(resolve => {
    openIt = resolve;
  });
  return { promise, open: openIt };
}

/** Waits for what other tasks bring about. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(setImmediate);
}

describe('a log', () => {
  it('holds what happened, one line each', async () => {
    const log = await openLog();
    log.state('listening');
    log.registered(client, 0.12345);
    log.refused({
      remoteAddress: ip,
      publicKey: key,
      code: 'KEY_DENIED',
      message: `The key ${key} is denied.`,
    });
    log.limited({ limit: 'frames', publicKey: key, remoteAddress: ip });
    log.reloaded('allow');
    log.reloaded('deny', new Error('line 3'));
    log.administered('disconnect', { publicKey: key, connections: 2 });
    log.disconnected(client, 1001, 61.5);
    await log.close();
    const lines = (await linesOf(file)).map(parse);
    const fields = lines.map(({ sequence: _s, time: _t, previous: _p, hash: _h, ...rest }) => rest);
    expect(fields).toEqual([
      { event: 'opened', why: 'start' },
      { event: 'state', state: 'listening' },
      { event: 'registered', publicKey: '9f86d081', connectionId: 7, remoteAddress: ip, seconds: 0.123 },
      {
        event: 'refused',
        remoteAddress: ip,
        publicKey: '9f86d081',
        code: 'KEY_DENIED',
        message: 'The key 9f86d081 is denied.',
      },
      { event: 'limited', limit: 'frames', publicKey: '9f86d081', remoteAddress: ip },
      { event: 'reloaded', what: 'allow' },
      { event: 'reloaded', what: 'deny', error: 'line 3' },
      { event: 'administered', action: 'disconnect', detail: { publicKey: '9f86d081', connections: 2 } },
      {
        event: 'disconnected',
        publicKey: '9f86d081',
        connectionId: 7,
        remoteAddress: ip,
        code: 1001,
        seconds: 61.5,
      },
      { event: 'closed' },
    ]);
    expect(lines.map(({ sequence }) => sequence)).toEqual(lines.map((_, i) => i));
    expect(lines[0]!['time']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(await verifyAuditLog([file], log.head)).toEqual({ lines: 10, head: log.head, torn: 0 });
  });

  it('is chained as the documentation says, so that others can verify it', async () => {
    const log = await openLog();
    log.state('listening');
    await log.close();
    let previous = NO_HEAD;
    for (const line of await linesOf(file)) {
      const hash = /,"hash":"([0-9a-f]{64})"\}$/.exec(line)![1]!;
      const body = line.replace(/,"hash":"[0-9a-f]{64}"\}$/, '}');
      expect(createHash('sha256').update(body).digest('hex')).toBe(hash);
      expect(parse(body)['previous']).toBe(previous);
      previous = hash;
    }
    expect(previous).toBe(log.head);
  });

  it('shows keys in full only if it was asked to', async () => {
    const log = await openLog({ file, fullKeys: true });
    log.registered(client, 1);
    log.administered('disconnect', { publicKey: key });
    await log.flush();
    const lines = (await linesOf(file)).map(parse);
    expect(lines[1]).toMatchObject({ publicKey: key });
    expect(lines[2]).toMatchObject({ detail: { publicKey: key } });
  });

  it('is readable by its owner only', async () => {
    await openLog();
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  it('has lines of ASCII and of bounded length, whatever strangers say', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.string({ unit: 'binary', maxLength: 2_000 }), { maxLength: 12 }),
        async texts => {
          const sink = new MemorySink();
          const log = await AuditLog.open({ sink }, () => undefined);
          for (const text of texts) {
            log.refused({ remoteAddress: text, code: text, message: text });
            log.reloaded('allow', new Error(text));
          }
          log.administered(
            'x'.repeat(9_999),
            Object.fromEntries(texts.map((text, i) => [`${text}${i}`, text])),
          );
          await log.close();
          for (const line of sink.lines) {
            expect(line).toMatch(/^[\x20-\x7e]*$/);
            expect(line.length).toBeLessThanOrEqual(MAX_AUDIT_LINE);
          }
          const verified = await verifyAuditLog(stream(sink.lines), log.head);
          expect(verified.lines).toBe(2 * texts.length + 3);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('does not let strangers fill the disk: of a flood it writes some, and how many there were', async () => {
    let now = 1_000_000;
    const log = await openLog({ file }, { now: () => now });
    for (let i = 0; i < 500; i++) log.limited({ limit: 'unregistered', remoteAddress: ip });
    // Who has proven a key is written down in any case.
    log.refused({ remoteAddress: ip, publicKey: key, code: 'KEY_DENIED', message: 'no' });
    now += 1_000;
    for (let i = 0; i < 30; i++) log.refused({ remoteAddress: ip, code: 'LINK_LOST', message: 'gone' });
    await log.close();
    const records = (await linesOf(file)).map(line => parse(line));
    const of = (event: string) => records.filter(record => record['event'] === event);
    expect(of('limited')).toHaveLength(20);
    expect(of('refused')).toHaveLength(21);
    expect(of('suppressed').map(({ count }) => count)).toEqual([480, 10]);
    await verifyAuditLog([file], log.head);
  });

  it('needs a file or a sink, and not both', async () => {
    for (const options of [{}, { file, sink: new MemorySink() }]) {
      await expect(AuditLog.open(options, () => undefined)).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
    }
  });
});

describe('a restart', () => {
  it('goes on with the chain', async () => {
    for (let i = 0; i < 3; i++) {
      const log = await openLog();
      log.state('listening');
      await log.close();
    }
    const { lines, head } = await verifyAuditLog([file]);
    expect(lines).toBe(9);
    expect(head).toBe(opened.at(-1)!.head);
  });

  it('goes on with the chain of a sink', async () => {
    const sink = new MemorySink();
    await (await openLog({ sink })).close();
    const again = Object.assign(new MemorySink(), { last: () => sink.lines.at(-1) });
    const log = await openLog({ sink: again });
    await log.close();
    expect(sink.isClosed && again.isClosed).toBe(true);
    expect((await verifyAuditLog(stream([...sink.lines, ...again.lines]), log.head)).lines).toBe(4);
  });

  it('after a crash, wherever that was, keeps what is torn and names it', async () => {
    const log = await openLog();
    log.registered(client, 1);
    log.state('listening');
    await log.close();
    const whole = await readFile(file);
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: whole.length }),
        fc.integer({ min: 0, max: 400 }),
        async (length, again) => {
          await writeFile(file, whole.subarray(0, length));
          const before = await readFile(file);
          // The process that comes next crashes, too, in its first line.
          await (await AuditLog.open({ file }, () => undefined)).close();
          const after = await stat(file);
          await truncate(file, Math.min(after.size, Math.max(length, length + 1 + again)));
          const last = await AuditLog.open({ file }, () => undefined);
          await last.close();
          const { head, torn } = await verifyAuditLog([file], last.head);
          expect(head).toBe(last.head);
          // Nothing that was there is gone, not even what was torn.
          const now = await readFile(file);
          expect(now.subarray(0, length).equals(before)).toBe(true);
          const lastBreak = before.lastIndexOf('\n') + 1;
          if (lastBreak < length && !before.toString('latin1').endsWith('"}'))
            expect(torn).toBeGreaterThan(0);
        },
      ),
      { numRuns: 150 },
    );
  });

  it('does not write to what is no audit log, or was changed', async () => {
    const refused = async (content: string): Promise<void> => {
      await writeFile(file, content);
      await expect(AuditLog.open({ file }, () => undefined)).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining(file) as string,
      });
      expect(await readFile(file, 'utf8')).toBe(content);
    };
    await refused('root:x:0:0:root:/root:/bin/bash\n');
    await refused('{"level":"info"}\n'.repeat(20_000));
    await refused('{"sequence":'.repeat(20_000));
    await refused('\n');
    await refused('{}');
  });

  it('does not take a whole last line that was changed for one that was torn', async () => {
    await (await openLog()).close();
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.replace('"closed"', '"opened"'));
    await expect(AuditLog.open({ file }, () => undefined)).rejects.toThrow('was changed');
  });

  it('is refused where there can be no file', async () => {
    for (const path of ['', directory, join(directory, 'missing', 'audit.log')]) {
      await expect(AuditLog.open({ file: path }, () => undefined)).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
    }
    const sink = Object.assign(new MemorySink(), { last: () => 'rubbish' });
    await expect(AuditLog.open({ sink }, () => undefined)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    expect(sink.isClosed).toBe(true);
  });
});

describe('rotation', () => {
  it('goes on in a new file, and both are one log', async () => {
    const log = await openLog();
    log.state('listening');
    await rename(file, `${file}.1`);
    log.registered(client, 1);
    const reopened = log.reopen();
    log.limited({ limit: 'bytes' });
    await reopened;
    await log.close();
    expect(await events(`${file}.1`)).toEqual(['opened', 'state', 'registered']);
    expect(await events()).toEqual(['opened', 'limited', 'closed']);
    expect(parse((await linesOf(file))[0]!)).toMatchObject({
      why: 'rotated',
      sequence: 3,
      previous: parse((await linesOf(`${file}.1`)).at(-1)!)['hash'],
    });
    expect((await verifyAuditLog([`${file}.1`, file], log.head)).lines).toBe(6);
    await expect(verifyAuditLog([file, `${file}.1`])).rejects.toThrow(`${file}, line 1, is record number 3`);
    await expect(verifyAuditLog([file])).rejects.toThrow('the log does not begin here');
    const from = parse((await linesOf(file))[0]!)['previous'] as string;
    expect((await verifyAuditLog([file], log.head, from)).lines).toBe(3);
    await expect(verifyAuditLog([file], undefined, 'f'.repeat(64))).rejects.toThrow('does not follow');
  });

  it('does nothing when the file is the same', async () => {
    const log = await openLog();
    await log.reopen();
    log.state('listening');
    await log.close();
    await log.reopen();
    expect(await events()).toEqual(['opened', 'state', 'closed']);
  });

  it('stays where it is when the new file cannot be used', async () => {
    const log = await openLog();
    await rename(file, `${file}.1`);
    await writeFile(file, 'something else\n');
    await expect(log.reopen()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    log.state('listening');
    await log.close();
    expect(await events(`${file}.1`)).toEqual(['opened', 'state', 'closed']);
    expect(await readFile(file, 'utf8')).toBe('something else\n');
  });
});

describe('a sink that fails', () => {
  it('at the start is no start', async () => {
    const sink = new MemorySink();
    sink.fails = new Error('full');
    await expect(AuditLog.open({ sink }, () => undefined)).rejects.toThrow('full');
    expect(sink.isClosed).toBe(true);
  });

  it('is told once, tried again, and nothing is lost', async () => {
    const sink = new MemorySink();
    const log = await openLog({ sink });
    sink.fails = new Error('full');
    log.state('listening');
    log.registered(client, 1);
    await until(() => sink.tries > 4);
    expect(failures).toEqual([new Error('full')]);
    sink.fails = undefined;
    await log.flush();
    expect(sink.lines.map(line => parse(line)['event'])).toEqual(['opened', 'state', 'registered']);
    sink.fails = new Error('again');
    log.state('draining');
    await until(() => failures.length === 2);
    sink.fails = undefined;
    await log.close();
    expect((await verifyAuditLog(stream(sink.lines), log.head)).lines).toBe(5);
  });

  it('leaves a record of how many found no room, in their place', async () => {
    const sink = new MemorySink();
    const log = await openLog({ sink }, { maxWaiting: 3 });
    const { promise, open: go } = gate();
    sink.gate = promise;
    for (let i = 0; i < 10; i++) log.limited({ limit: 'frames' });
    go();
    await log.flush();
    log.state('draining');
    await log.close();
    const lines = sink.lines.map(parse);
    expect(lines.map(({ event }) => event)).toEqual([
      'opened',
      'limited',
      'limited',
      'limited',
      'lost',
      'state',
      'closed',
    ]);
    expect(lines[4]).toMatchObject({ count: 7 });
    expect((await verifyAuditLog(stream(sink.lines), log.head)).lines).toBe(7);
  });

  it('and still fails when the log is closed is given up, and that is told', async () => {
    const sink = new MemorySink();
    const log = await openLog({ sink }, { retryAfter: 3_600_000 });
    sink.fails = new Error('full');
    log.state('listening');
    await until(() => failures.length === 1);
    await log.close();
    expect(failures.map(({ message }) => message)).toEqual([
      'full',
      'The last records of the audit log, 2, could not be written.',
    ]);
    expect(sink.isClosed).toBe(true);
    log.state('closed');
    expect(sink.lines).toHaveLength(1);
  });

  it('and works again when the log is closed gets it all', async () => {
    const sink = new MemorySink();
    const log = await openLog({ sink }, { retryAfter: 3_600_000 });
    sink.fails = new Error('full');
    log.state('listening');
    await until(() => failures.length === 1);
    sink.fails = undefined;
    await log.close();
    expect(sink.lines.map(line => parse(line)['event'])).toEqual(['opened', 'state', 'closed']);
  });

  it('does not hold up the end for ever', async () => {
    const sink = new MemorySink();
    const log = await openLog({ sink }, { closeTime: 1 });
    sink.gate = new Promise(() => undefined);
    log.state('listening');
    await log.close();
    expect(failures.map(({ message }) => message)).toEqual([
      'The last records of the audit log, 2, could not be written.',
    ]);
  });

  it('because of a disk that is full, in the middle of a line, leaves a log that can be verified', async () => {
    const log = await openLog();
    log.state('listening');
    await log.flush();
    // What such a disk leaves behind: the next line begins behind a part of one.
    const broken = await breakWrites();
    log.registered(client, 1);
    await until(() => failures.length === 1);
    broken.mend();
    log.state('draining');
    await log.close();
    expect(await verifyAuditLog([file], log.head)).toMatchObject({ lines: 6, torn: 1 });
    const whole = (await linesOf(file)).filter(line => line.endsWith('"}')).map(line => parse(line)['event']);
    expect(whole).toEqual(['opened', 'state', 'opened', 'registered', 'state', 'closed']);
  });

  it('although the line was written does not write it twice', async () => {
    const log = await openLog();
    const broken = await breakWrites(Infinity);
    log.registered(client, 1);
    await until(() => failures.length === 1);
    broken.mend();
    await log.close();
    expect(await events()).toEqual(['opened', 'registered', 'closed']);
    expect((await verifyAuditLog([file], log.head)).lines).toBe(3);
  });

  it('when somebody else writes to the file says so', async () => {
    const log = await openLog();
    // Under another name, where the lock does not see it.
    await link(file, `${file}.2`);
    const other = await openLog({ file: `${file}.2` });
    await other.close();
    const broken = await breakWrites(0);
    log.registered(client, 1);
    await until(() => failures.length === 1);
    broken.mend();
    await log.close();
    expect((await linesOf(file)).map(line => parse(line)['event'])).toEqual(['opened', 'opened', 'closed']);
    expect(failures.at(-1)!.message).toContain('could not be written');
  });
});

/** Lets writes to files fail once `bytes` of them are written. */
async function breakWrites(bytes = 20): Promise<{ mend: () => void }> {
  const handle = await open(file, 'r');
  const prototype = Object.getPrototypeOf(handle) as { appendFile: (data: string) => Promise<void> };
  await handle.close();
  const original = prototype.appendFile;
  prototype.appendFile = async data => {
    await appendFile(file, data.slice(0, bytes));
    throw new Error('ENOSPC');
  };
  return {
    mend: () => {
      prototype.appendFile = original;
    },
  };
}
