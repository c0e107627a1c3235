import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Exchange, PATIENCE } from '../../../src/cli/exchange.js';
import type { Signal } from '../../../src/cli/io.js';
import type { PeerEnd } from '../../../src/cli/peer.js';
import { Terminal } from '../../../src/cli/terminal.js';
import { fakeIo, type FakeIo } from '../../support/cli-io.js';
import { ScriptedPeer } from '../../support/scripted-peer.js';

const MEBIBYTE = 1_048_576;
const alice = () => new ScriptedPeer('a'.repeat(64));
const bob = () => new ScriptedPeer('b'.repeat(64));
const never = new Promise<Signal>(() => undefined);

let io: FakeIo;
beforeEach(() => {
  io = fakeIo();
});
afterEach(() => {
  vi.useRealTimers();
});

function exchangeOf({ binary = false, closeAtEnd = false, interrupted = never } = {}): Exchange {
  return new Exchange(new Terminal(io), { binary, closeAtEnd }, interrupted);
}

function join(exchange: Exchange, ...peers: ScriptedPeer[]): PeerEnd[] {
  const ends: PeerEnd[] = [];
  for (const peer of peers) exchange.add(peer, end => ends.push(end));
  return ends;
}

/** Streams and promises have done what they can. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await nextTurn();
}

describe('input', () => {
  it('goes to everybody, line by line, as text', async () => {
    const [a, b] = [alice(), bob()];
    join(exchangeOf(), a, b);
    io.stdin.write('one\ntwo\n\nthr');
    await settle();
    expect(a.sent).toEqual(['text one', 'text two', 'text ']);
    expect(b.sent).toEqual(a.sent);
    io.stdin.end('ee');
    await settle();
    expect(a.sent.at(-1)).toBe('text three');
  });

  it('goes out as it comes when it is binary', async () => {
    const a = alice();
    join(exchangeOf({ binary: true }), a);
    io.stdin.write('one\ntw');
    await settle();
    io.stdin.write('o');
    await settle();
    expect(a.sent).toEqual(['binary one\ntw', 'binary o']);
  });

  it('is not read before somebody is there, and waits for the next when all have left', async () => {
    const [a, b] = [alice(), bob()];
    const exchange = exchangeOf();
    io.stdin.write('one\n');
    await settle();
    expect(io.stdin.readableLength).toBe(4);
    join(exchange, a);
    await settle();
    expect(a.sent).toEqual(['text one']);
    a.gone();
    io.stdin.write('two\n');
    await settle();
    expect(a.sent).toHaveLength(1);
    expect(await exchange.hasUnsentInput()).toBe(true);
    join(exchange, b);
    await settle();
    expect(b.sent).toEqual(['text two']);
    expect(await exchange.hasUnsentInput()).toBe(false);
  });

  it('that nobody has got is noticed, whether it was read or not', async () => {
    const exchange = exchangeOf();
    expect(await exchange.hasUnsentInput()).toBe(false);
    io.stdin.write('one\n');
    expect(await exchange.hasUnsentInput()).toBe(true);
    join(exchange, alice());
    await settle();
    expect(await exchange.hasUnsentInput()).toBe(false);
    io.stdin.end();
    await exchange.inputEnd;
    expect(await exchange.hasUnsentInput()).toBe(false);
  });

  it('is lost, and that is said, when it is typed and nobody is there', async () => {
    io = fakeIo({ typed: true });
    const exchange = exchangeOf();
    io.stdin.write('one\n');
    await settle();
    expect(io.stderr.text).toContain('Nobody is connected');
    const a = alice();
    join(exchange, a);
    io.stdin.write('two\n');
    await settle();
    expect(a.sent).toEqual(['text two']);
  });

  it('does not go to those who are closing', async () => {
    const [a, b] = [alice(), bob()];
    join(exchangeOf(), a, b);
    b.isOpen = false;
    io.stdin.write('one\n');
    await settle();
    expect([a.sent, b.sent]).toEqual([['text one'], []]);
  });

  it('that cannot be read is a reason to stop', async () => {
    const exchange = exchangeOf();
    join(exchange, alice());
    io.stdin.destroy(new Error('EIO'));
    expect(await exchange.localEnd).toMatchObject({
      by: 'input',
      error: { message: 'The input cannot be read (EIO).' },
    });
  });
});

describe('a slow peer', () => {
  const chunk = Buffer.alloc(MEBIBYTE + 1, 'x');

  it('is waited for', async () => {
    const [a, b] = [alice(), bob()];
    b.isSlow = true;
    join(exchangeOf({ binary: true }), a, b);
    io.stdin.write(chunk);
    io.stdin.write('next');
    await settle();
    const before = b.sent.length;
    const read = b.bufferedAmount;
    expect(read).toBeGreaterThan(MEBIBYTE);
    await settle();
    expect(b.sent).toHaveLength(before);
    expect(a.sent).toEqual(b.sent);
    b.drain();
    await settle();
    expect(b.sent.at(-1)).toContain('next');
  });

  it('is not waited for any more when it is gone', async () => {
    const [a, b] = [alice(), bob()];
    b.isSlow = true;
    join(exchangeOf({ binary: true }), a, b);
    io.stdin.write(chunk);
    await settle();
    b.gone();
    io.stdin.write('next');
    await settle();
    expect(a.sent.at(-1)).toContain('next');
  });

  it('is dropped after a while, when others wait for it', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const [a, b] = [alice(), bob()];
    b.isSlow = true;
    join(exchangeOf({ binary: true }), a, b);
    io.stdin.write(chunk);
    await settle();
    vi.advanceTimersByTime(PATIENCE - 1);
    expect(b.calls).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(b.calls).toEqual(['terminate']);
    expect(a.calls).toEqual([]);
    expect(io.stderr.text).toContain('Dropped bbbbbbbb');
    io.stdin.write('next');
    await settle();
    expect(a.sent.at(-1)).toContain('next');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('may take its time when nobody waits for it', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const [a, b] = [alice(), bob()];
    a.isSlow = b.isSlow = true;
    join(exchangeOf({ binary: true }), a, b);
    io.stdin.write(chunk);
    await settle();
    vi.advanceTimersByTime(10 * PATIENCE);
    expect([a.calls, b.calls]).toEqual([[], []]);
  });
});

describe('a peer that is out of reach', () => {
  const lost = new Error('lost');

  it('keeps what is sent, and those are told who want to know', async () => {
    const [a, b] = [alice(), bob()];
    const told: unknown[] = [];
    const exchange = exchangeOf();
    exchange.add(a, () => undefined, {
      suspended: error => told.push(error),
      resumed: isNew => told.push(isNew),
    });
    join(exchange, b);
    a.listener.suspended(lost);
    io.stdin.write('one\n');
    await settle();
    expect([a.sent, b.sent]).toEqual([['text one'], ['text one']]);
    a.listener.resumed(false);
    expect(told).toEqual([lost, false]);
    expect([a.calls, b.calls]).toEqual([[], []]);
  });

  it('is waited for when it keeps too much, of bytes or of messages', async () => {
    const a = alice();
    join(exchangeOf(), a);
    a.listener.suspended(lost);
    io.stdin.write('\n'.repeat(10_000));
    await settle();
    expect(a.sent).toHaveLength(4_097);
    a.listener.resumed(false);
    await settle();
    expect(a.sent).toHaveLength(10_000);
    a.isSlow = true;
    a.listener.suspended(lost);
    io.stdin.write(`${'x'.repeat(MEBIBYTE + 1)}\nnext\n`);
    await settle();
    expect(a.sent).toHaveLength(10_001);
    a.listener.resumed(false);
    await settle();
    expect(a.sent).toHaveLength(10_001);
    a.drain();
    await settle();
    expect(a.sent.at(-1)).toBe('text next');
  });

  it('is not closed before it is back, at the end of the input', async () => {
    const a = alice();
    join(exchangeOf({ closeAtEnd: true }), a);
    a.listener.suspended(lost);
    io.stdin.end('one');
    await settle();
    expect(a.sent).toEqual(['text one']);
    expect(a.calls).toEqual([]);
    a.listener.resumed(false);
    await settle();
    expect(a.calls).toEqual(['close 1000']);
  });

  it('is not closed before it is back, when both inputs have ended', async () => {
    const a = alice();
    join(exchangeOf(), a);
    a.listener.inputEnded();
    a.listener.suspended(lost);
    io.stdin.end('one');
    await settle();
    expect(a.calls).toEqual(['endInput']);
    a.listener.resumed(false);
    expect(a.calls).toEqual(['endInput', 'close 1000']);
  });

  it('may have its say again when another took its place', async () => {
    const a = alice();
    join(exchangeOf(), a);
    a.listener.inputEnded();
    a.listener.suspended(lost);
    io.stdin.end('one');
    await settle();
    a.listener.resumed(true);
    expect(a.calls).toEqual(['endInput']);
    a.listener.inputEnded();
    expect(a.calls).toEqual(['endInput', 'close 1000']);
  });

  it('is not taken leave of', async () => {
    const [a, b] = [alice(), bob()];
    const exchange = exchangeOf();
    join(exchange, a, b);
    a.listener.suspended(lost);
    const dismissed = exchange.dismiss(1001, 'bye');
    expect([a.calls, b.calls]).toEqual([['terminate'], ['close 1001 bye', 'resume']]);
    b.gone();
    await dismissed;
    expect(exchange.size).toBe(0);
  });
});

describe('the end of the input', () => {
  it('closes when everything has left', async () => {
    const a = alice();
    a.isSlow = true;
    join(exchangeOf({ closeAtEnd: true }), a);
    io.stdin.end('one');
    await settle();
    expect(a.sent).toEqual(['text one']);
    expect(a.calls).toEqual([]);
    a.drain();
    await settle();
    expect(a.calls).toEqual(['close 1000']);
  });

  it('is told, and when the peer has told its own, the connection is closed', async () => {
    const a = alice();
    join(exchangeOf(), a);
    io.stdin.end('one');
    await settle();
    expect(a.calls).toEqual(['endInput']);
    a.listener.inputEnded();
    expect(a.calls).toEqual(['endInput', 'close 1000']);
  });

  it('closes when the peer has ended before', async () => {
    const a = alice();
    join(exchangeOf(), a);
    await settle();
    a.listener.inputEnded();
    a.says('not the last word of everybody');
    expect(a.calls).toEqual([]);
    io.stdin.end('one');
    await settle();
    expect(a.calls).toEqual(['endInput', 'close 1000']);
  });

  it('does not close over what still waits to leave', async () => {
    const a = alice();
    a.isSlow = true;
    join(exchangeOf(), a);
    io.stdin.end('one');
    await settle();
    a.listener.inputEnded();
    expect(a.calls).toEqual(['endInput']);
    a.drain();
    expect(a.calls).toEqual(['endInput', 'close 1000']);
  });

  it('does not close over what still waits to be shown', async () => {
    const a = alice();
    join(exchangeOf(), a);
    io.stdin.end('one');
    await settle();
    io.stdout.isStuck = true;
    a.says('x'.repeat(2_000));
    a.listener.inputEnded();
    expect(a.calls).toEqual(['endInput', 'pause']);
    io.stdout.release();
    await settle();
    expect(a.calls).toEqual(['endInput', 'pause', 'resume', 'close 1000']);
  });

  it('is told to those who come later', async () => {
    const [a, b] = [alice(), bob()];
    const exchange = exchangeOf();
    join(exchange, a);
    io.stdin.end('one');
    await exchange.inputEnd;
    join(exchange, b);
    expect(b.calls).toEqual(['endInput']);
    b.listener.inputEnded();
    expect(b.calls).toEqual(['endInput', 'close 1000']);
    expect(a.calls).toEqual(['endInput']);
  });
});

describe('messages', () => {
  it('are lines in a pipe, whatever they are', () => {
    const [a, b] = [alice(), bob()];
    join(exchangeOf(), a, b);
    a.says('one');
    b.listener.message(Buffer.from([0xff, 0x1b]), false);
    a.says('');
    expect(io.stdout.text).toBe('one\n\xff\u001b\n\n');
  });

  it('are bytes when it is binary', () => {
    const a = alice();
    join(exchangeOf({ binary: true }), a);
    a.listener.message(Buffer.from([0xff, 0x00]), false);
    a.listener.message(Buffer.alloc(0), false);
    a.says('text');
    expect(io.stdout.text).toBe('\xff\u0000text');
  });

  it('are harmless on a terminal, and say whose they are when there are several peers', () => {
    io = fakeIo({ tty: true });
    const [a, b] = [alice(), bob()];
    const exchange = exchangeOf();
    join(exchange, a);
    a.says('alone \u001b[2J');
    join(exchange, b);
    a.says('one\nbbbbbbbb: two');
    b.listener.message(Buffer.from('größer'), false);
    b.listener.message(Buffer.from([0xff, 0xfe]), false);
    expect(io.stdout.utf8).toBe(
      String.raw`alone \x1b[2J` + '\naaaaaaaa: one\n  bbbbbbbb: two\nbbbbbbbb: größer\n',
    );
    expect(io.stderr.text).toBe('bbbbbbbb: a binary message of 2 bytes, which --binary would show\n');
  });

  it('stop coming while the output is full', async () => {
    const [a, b] = [alice(), bob()];
    const exchange = exchangeOf();
    join(exchange, a);
    io.stdout.isStuck = true;
    a.says('x'.repeat(2_000));
    expect(a.calls).toEqual(['pause']);
    join(exchange, b);
    expect(b.calls).toEqual(['pause']);
    io.stdout.release();
    await settle();
    expect([a.calls, b.calls]).toEqual([
      ['pause', 'resume'],
      ['pause', 'resume'],
    ]);
  });

  it.each([
    ['EPIPE', undefined],
    ['ENOSPC', { code: 'ENOSPC' }],
  ])('cannot be shown any more: %s', async (code, error) => {
    const exchange = exchangeOf();
    const a = alice();
    join(exchange, a);
    io.stdout.emit('error', Object.assign(new Error(code), { code }));
    const end = await exchange.localEnd;
    expect(end.by).toBe('output');
    if (error === undefined) expect(end).toMatchObject({ error: undefined });
    else expect(end).toMatchObject({ error });
    a.says('nobody gets this');
    expect(io.stdout.text).toBe('');
  });
});

describe('leaving', () => {
  it('is asked for by a signal', async () => {
    const exchange = exchangeOf({ interrupted: Promise.resolve('SIGTERM') });
    expect(await exchange.localEnd).toEqual({ by: 'signal', signal: 'SIGTERM' });
  });

  it('waits until everybody is gone', async () => {
    const [a, b] = [alice(), bob()];
    const exchange = exchangeOf();
    const ends = join(exchange, a, b);
    let done = false;
    const dismissed = exchange.dismiss(1001, 'bye').then(() => (done = true));
    expect([a.calls, b.calls]).toEqual([
      ['close 1001 bye', 'resume'],
      ['close 1001 bye', 'resume'],
    ]);
    a.gone({ code: 1001 });
    await settle();
    expect(done).toBe(false);
    b.gone();
    await dismissed;
    expect(ends.map(({ code }) => code)).toEqual([1001, 1000]);
    expect(exchange.size).toBe(0);
  });

  it('does not wait for an output that takes nothing', async () => {
    const a = alice();
    const exchange = exchangeOf();
    join(exchange, a);
    a.says('shown');
    io.stdout.isStuck = true;
    a.says('x'.repeat(2_000));
    const dismissed = exchange.dismiss(1001, 'bye');
    expect(a.calls).toEqual(['pause', 'close 1001 bye', 'resume']);
    a.says('too late');
    expect(a.calls).toHaveLength(3);
    a.gone();
    await dismissed;
    io.stdout.release();
    await settle();
    expect(io.stdout.text).toMatch(/^shown\nx+\n$/);
  });

  it('shows what comes meanwhile', async () => {
    const a = alice();
    const exchange = exchangeOf();
    join(exchange, a);
    const dismissed = exchange.dismiss(1000, '');
    a.says('goodbye');
    a.gone();
    await dismissed;
    expect(io.stdout.text).toBe('goodbye\n');
  });

  it('waits for nobody too long', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const [a, b] = [alice(), bob()];
    const exchange = exchangeOf();
    join(exchange, a, b);
    const dismissed = exchange.dismiss(1001, 'bye');
    a.gone();
    vi.advanceTimersByTime(60_000);
    await dismissed;
    expect(a.calls).not.toContain('terminate');
    expect(b.calls).toEqual(['close 1001 bye', 'resume', 'terminate']);
    expect(vi.getTimerCount()).toBe(0);
  });
});
