import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { interruption } from '../../../src/cli/interruption.js';
import { Terminal } from '../../../src/cli/terminal.js';
import { fakeIo } from '../../support/cli-io.js';

const XTERM = { TERM: 'xterm' };

afterEach(() => {
  vi.useRealTimers();
});

describe('what is said', () => {
  it('is one line each, whatever others have put into it', () => {
    const io = fakeIo();
    const terminal = new Terminal(io);
    terminal.status('a\nb\u001b[2J');
    terminal.error('c\u0007', 'd\r');
    terminal.highlight('e');
    expect(io.stderr.text).toBe(
      String.raw`a\nb\x1b[2J` + '\n' + String.raw`error: c\x07` + '\n' + String.raw`  d\r` + '\ne\n',
    );
    expect(io.stdout.text).toBe('');
  });

  it('has colours on a terminal only, and not when they are unwanted', () => {
    const said = (options: Parameters<typeof fakeIo>[0]): string => {
      const io = fakeIo(options);
      new Terminal(io).error('x');
      return io.stderr.text;
    };
    expect(said({ tty: true, env: XTERM })).toBe('\u001b[31merror:\u001b[0m x\n');
    expect(said({ tty: true, env: { ...XTERM, NO_COLOR: '' } })).toContain('\u001b[31m');
    for (const plain of [
      { tty: false, env: XTERM },
      { tty: true, env: { ...XTERM, NO_COLOR: '1' } },
      { tty: true, env: { TERM: 'dumb' } },
    ]) {
      expect(said(plain)).toBe('error: x\n');
    }
  });
});

describe('typed input', () => {
  it('is edited at a prompt, above which everything else appears', async () => {
    const io = fakeIo({ tty: true, env: XTERM });
    const terminal = new Terminal(io);
    const input = terminal.input(false)[Symbol.asyncIterator]();
    const first = input.next();
    await nextTurn();
    expect(io.stdout.text).toContain('> ');
    io.stdin.write('hallo\b\bxo\r');
    expect(Buffer.from((await first).value as Uint8Array).toString()).toBe('halxo');
    const second = input.next();
    io.stdin.write('half');
    await nextTurn();
    io.stdout.text = '';
    terminal.print('a message');
    // The line is cleared, the message written, and what was typed shown again.
    expect(io.stdout.text).toMatch(/^\u001b\[1G\u001b\[2Ka message\n.*> half/);
    io.stdin.write('\u0015\u0004');
    expect((await second).done).toBe(true);
    await terminal.flush();
  });

  it('interrupts with Ctrl-C, for which a terminal in raw mode sends no signal', async () => {
    const io = fakeIo({ tty: true, env: XTERM });
    const terminal = new Terminal(io);
    const interrupted = interruption(io, terminal);
    const input = terminal.input(false)[Symbol.asyncIterator]();
    void input.next();
    io.stdin.write('\u0003');
    expect(await interrupted).toBe('SIGINT');
    io.stdout.text = '';
    await terminal.flush();
    expect(io.stdout.text).toContain('\u001b[2K');
  });

  it('is read without a prompt where lines cannot be edited', async () => {
    const io = fakeIo({ tty: true, env: { TERM: 'dumb' } });
    const lines = new Terminal(io).input(false)[Symbol.asyncIterator]();
    io.stdin.write('one\n');
    expect(Buffer.from((await lines.next()).value as Uint8Array).toString()).toBe('one');
    expect(io.stdout.text).toBe('');
  });
});

describe('piped input', () => {
  it('says once that it was not UTF-8', async () => {
    const io = fakeIo();
    io.stdin.end(Buffer.from([0xff, 0x0a, 0xff, 0x0a]));
    const lines: string[] = [];
    for await (const line of new Terminal(io).input(false)) lines.push(Buffer.from(line).toString());
    expect(lines).toEqual(['\ufffd', '\ufffd']);
    expect(io.stderr.text.match(/not UTF-8/g)).toHaveLength(1);
  });
});

describe('flush', () => {
  it('waits until everything was taken', async () => {
    const io = fakeIo();
    const terminal = new Terminal(io);
    io.stdout.isStuck = true;
    terminal.write('x');
    let done = false;
    const flushed = terminal.flush().then(() => (done = true));
    await nextTurn();
    expect(done).toBe(false);
    io.stdout.release();
    await flushed;
  });

  it('does not wait for long after a signal', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const io = fakeIo();
    const terminal = new Terminal(io);
    const interrupted = interruption(io, terminal);
    io.stdout.isStuck = true;
    terminal.write('x');
    io.signal('SIGTERM');
    expect(await interrupted).toBe('SIGTERM');
    const flushed = terminal.flush();
    vi.advanceTimersByTime(10_000);
    await flushed;
  });

  it('does not wait for whom is gone', async () => {
    const io = fakeIo();
    const terminal = new Terminal(io);
    io.stdout.isStuck = true;
    terminal.write('x');
    io.stdout.emit('error', Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
    await terminal.flush();
  });
});
