import { closeSync, constants, openSync, readSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createLogger, LogObserver } from '../../../../src/relay/operations/log.js';
import { LogDestination } from '../../../../src/relay/operations/log-destination.js';
import type { RelayLogger } from '../../../../src/relay/relay-options.js';

const key = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08';
const ip = '203.0.113.77';
const client = { publicKey: key, connectionId: 7, remoteAddress: ip };

let directory: string;
let file: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'log-test-'));
  file = join(directory, 'relay.log');
});
afterEach(() => rm(directory, { recursive: true }));

type Line = Record<string, unknown>;

async function linesOf(path = file): Promise<Line[]> {
  const text = await readFile(path, 'utf8');
  return text === ''
    ? []
    : text
        .trimEnd()
        .split('\n')
        .map(line => JSON.parse(line) as Line);
}

/** A logger that keeps what it is given. */
function recorder(): RelayLogger & { lines: Line[] } {
  const lines: Line[] = [];
  const at = (level: string) => (fields: object, msg: string) => {
    lines.push({ level, ...fields, msg });
  };
  return { lines, error: at('error'), warn: at('warn'), info: at('info'), debug: at('debug') };
}

describe('a logger', () => {
  it('writes JSON lines with words for levels and ISO times, at once', async () => {
    const logger = await createLogger({ file });
    logger.info({ event: 'state', state: 'listening' }, 'hello');
    logger.warn({ event: 'x' }, 'careful');
    logger.error({ event: 'y' }, 'oh');
    const lines = await linesOf();
    expect(lines).toEqual([
      { level: 'info', time: expect.any(String) as string, event: 'state', state: 'listening', msg: 'hello' },
      { level: 'warn', time: expect.any(String) as string, event: 'x', msg: 'careful' },
      { level: 'error', time: expect.any(String) as string, event: 'y', msg: 'oh' },
    ]);
    expect(lines[0]!['time']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    logger.close();
  });

  it('leaves out what is below its level', async () => {
    const quiet = await createLogger({ file, level: 'warn' });
    quiet.info({}, 'no');
    quiet.debug({}, 'no');
    quiet.warn({}, 'yes');
    quiet.close();
    const loud = await createLogger({ file, level: 'debug' });
    loud.debug({}, 'yes, too');
    loud.close();
    const silent = await createLogger({ file, level: 'silent' });
    silent.error({}, 'no');
    silent.close();
    expect((await linesOf()).map(({ msg }) => msg)).toEqual(['yes', 'yes, too']);
  });

  it('is the one that was given', async () => {
    const given = recorder();
    expect(await createLogger(given)).toBe(given);
  });

  it('is refused for a level that there is not, and a file that cannot be written', async () => {
    await expect(createLogger({ level: 'loud' as 'info' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: '"log.level" is one of fatal, error, warn, info, debug, trace, silent, not "loud".',
    });
    const path = join(directory, 'missing', 'relay.log');
    await expect(createLogger({ file: path })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining(path) as string,
    });
  });

  it('goes on in a new file after the old one was moved away', async () => {
    const logger = await createLogger({ file });
    logger.info({}, 'one');
    await rename(file, `${file}.1`);
    logger.info({}, 'two');
    logger.reopen();
    logger.info({}, 'three');
    expect((await linesOf(`${file}.1`)).map(({ msg }) => msg)).toEqual(['one', 'two']);
    expect((await linesOf()).map(({ msg }) => msg)).toEqual(['three']);
    logger.close();
  });

  it.runIf(process.platform === 'linux')(
    'does not wait for a reader: it counts what it could not write',
    () => {
      const pipe = join(directory, 'pipe');
      execFileSync('mkfifo', [pipe]);
      const reader = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
      // As standard error of a process whose other end somebody made so.
      const destination = new LogDestination(pipe, constants.O_NONBLOCK);
      const line = (i: number): string => `${JSON.stringify({ i, text: 'x'.repeat(5_000) })}\n`;
      let written = 0;
      while (destination.lost === 0) destination.write(line(written++));
      destination.write(line(written++));
      expect(destination.lost).toBeGreaterThanOrEqual(1);
      const received: Buffer[] = [];
      const drain = (): void => {
        const buffer = Buffer.alloc(1_048_576);
        try {
          for (;;) {
            const length = readSync(reader, buffer);
            if (length === 0) break;
            received.push(Buffer.from(buffer.subarray(0, length)));
          }
        } catch {
          // Nothing more is there.
        }
      };
      drain();
      const lost = destination.lost;
      destination.write(line(written++));
      expect(destination.lost).toBe(0);
      drain();
      const lines = Buffer.concat(received)
        .toString()
        .trimEnd()
        .split('\n')
        .map(text => JSON.parse(text) as Line);
      expect(lines.at(-2)).toMatchObject({ event: 'lost', count: lost });
      expect(lines.at(-1)).toMatchObject({ i: written - 1 });
      // All that were not lost are there, each whole.
      expect(lines).toHaveLength(written - lost + 1);
      destination.close();
      closeSync(reader);
    },
  );
});

describe('what happens in a relay', () => {
  it('is logged at a level that fits', () => {
    const logger = recorder();
    const observer = new LogObserver(logger);
    observer.state('listening');
    observer.registered(client, 0.1234567);
    observer.disconnected(client, 1000, 60);
    observer.refused({ remoteAddress: ip, publicKey: key, code: 'KEY_DENIED', message: 'no' });
    observer.refused({ remoteAddress: ip, code: 'LINK_LOST', message: 'gone' });
    observer.limited({ limit: 'frames', publicKey: key, remoteAddress: ip });
    observer.asked('reach', 0.1, 'yes');
    observer.asked('admission', 3, 'unavailable');
    observer.reloaded('allow');
    observer.reloaded('deny', new Error('line 3 is no key'));
    observer.administered('disconnect', { publicKey: key, connections: 2 });
    observer.state('closed');
    expect(logger.lines.map(({ level, event }) => `${String(level)} ${String(event)}`)).toEqual([
      'info state',
      'debug registered',
      'debug disconnected',
      'info refused',
      'debug refused',
      'info limited',
      'debug asked',
      'warn unavailable',
      'info reloaded',
      'warn reload_failed',
      'info administered',
      'info state',
    ]);
    expect(logger.lines[1]).toMatchObject({ publicKey: '9f86d081', connectionId: 7, seconds: 0.123 });
    expect(logger.lines[3]).toMatchObject({
      remoteAddress: ip,
      publicKey: '9f86d081',
      code: 'KEY_DENIED',
      msg: 'no',
    });
    expect(logger.lines[5]).toMatchObject({ remoteAddress: ip, limit: 'frames' });
    expect(logger.lines[9]).toMatchObject({ what: 'deny', error: 'line 3 is no key' });
    expect(logger.lines[10]).toMatchObject({
      action: 'disconnect',
      detail: { publicKey: '9f86d081', connections: 2 },
    });
  });

  it('never shows a whole key, wherever it stands', () => {
    const logger = recorder();
    const observer = new LogObserver(logger);
    observer.refused({ remoteAddress: ip, code: 'KEY_DENIED', message: `The key ${key} is denied.` });
    observer.administered('disconnect', { who: `${key.toUpperCase()}@${ip}` });
    observer.reloaded('allow', new Error(`${key} is there twice`));
    expect(JSON.stringify(logger.lines).toLowerCase()).not.toContain(key.slice(0, 9));
    expect(logger.lines).toHaveLength(3);
  });

  it('is counted only where strangers cause too much of it', () => {
    let now = 1_000_000;
    const logger = recorder();
    const observer = new LogObserver(logger, undefined, () => now);
    const refuse = (): void => observer.refused({ remoteAddress: ip, code: 'KEY_DENIED', message: 'no' });
    for (let i = 0; i < 1_000; i++) refuse();
    expect(logger.lines).toHaveLength(50);
    // What operators do is no stranger's doing.
    observer.administered('reload', {});
    expect(logger.lines).toHaveLength(51);
    now += 1_000;
    refuse();
    expect(logger.lines.slice(51)).toMatchObject([
      { level: 'warn', event: 'suppressed', count: 950 },
      { event: 'refused' },
    ]);
    for (let i = 0; i < 50; i++) refuse();
    observer.close();
    expect(logger.lines.at(-1)).toMatchObject({ event: 'suppressed', count: 1 });
  });
});

describe('the certificate', () => {
  const DAY = 86_400;

  it('is warned of when it expires soon: at the start, twice a day, and when it was read again', () => {
    vi.useFakeTimers({ now: 0 });
    try {
      let expiresAt = 20 * DAY;
      const logger = recorder();
      const observer = new LogObserver(logger, () => expiresAt);
      const told = (): unknown[] => logger.lines.splice(0).filter(({ event }) => event === 'certificate');
      observer.state('listening');
      vi.advanceTimersByTime(5 * DAY * 1_000);
      expect(told()).toEqual([]);
      vi.advanceTimersByTime(2 * DAY * 1_000);
      expect(told()).toMatchObject(Array(3).fill({ level: 'warn', expiresAt: '1970-01-21T00:00:00.000Z' }));
      expiresAt = 50 * DAY;
      observer.reloaded('certificate');
      vi.advanceTimersByTime(2 * DAY * 1_000);
      expect(told()).toEqual([]);
      expiresAt = 9 * DAY;
      observer.reloaded('certificate', new Error('broken'));
      expect(told()).toMatchObject([{ level: 'error' }]);
      observer.state('closed');
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });
});
