import { describe, expect, it } from 'vitest';
import { listenToSignals, type OperatedRelay } from '../../../src/cli/relay-operation.js';
import { JsonReport, TextReport } from '../../../src/cli/relay-report.js';
import { Terminal } from '../../../src/cli/terminal.js';
import { fakeIo } from '../../support/cli-io.js';

/** A relay that writes down what is asked of it, and does it when it is told to. */
class ScriptedRelay implements OperatedRelay {
  readonly connections = 3;
  readonly calls: string[] = [];
  readonly #running: { resolve: () => void; reject: (error: Error) => void }[] = [];

  close = (): Promise<void> => this.#begin('close');
  drain = (): Promise<void> => this.#begin('drain');
  reload = (): Promise<void> => this.#begin('reload');

  /** What was begun first is over. */
  async finish(error?: Error): Promise<void> {
    const call = this.#running.shift()!;
    if (error) call.reject(error);
    else call.resolve();
    await new Promise(setImmediate);
  }

  #begin(call: string): Promise<void> {
    this.calls.push(call);
    return new Promise((resolve, reject) => {
      this.#running.push({ resolve, reject });
    });
  }
}

function scene(isJson = false) {
  const io = fakeIo();
  const terminal = new Terminal(io);
  const relay = new ScriptedRelay();
  const report = isJson ? new JsonReport(terminal) : new TextReport(terminal, false);
  const signals = listenToSignals(io, terminal);
  let isOver = false;
  const begin = () =>
    signals.operate(relay, report).then(() => {
      isOver = true;
    });
  return { io, relay, report, begin, isOver: () => isOver };
}

const turn = () => new Promise(setImmediate);

describe('a relay in operation', () => {
  it('closes at once on SIGINT', async () => {
    const { io, relay, begin, isOver } = scene();
    const end = begin();
    io.signal('SIGINT');
    await turn();
    expect(relay.calls).toEqual(['close']);
    expect(isOver()).toBe(false);
    await relay.finish();
    await end;
    expect(io.stderr.utf8).toBe('SIGINT: closing 3 connections.\n');
  });

  it('drains on SIGTERM', async () => {
    const { io, relay, begin, isOver } = scene();
    const end = begin();
    io.signal('SIGTERM');
    await turn();
    expect(relay.calls).toEqual(['drain']);
    expect(isOver()).toBe(false);
    expect(io.stderr.utf8).toBe(
      'SIGTERM: 3 connections will move elsewhere. Another signal ends all of it at once.\n',
    );
    await relay.finish();
    await end;
    expect(io.stderr.utf8).toMatch(/Nobody is connected any more\.\n$/);
  });

  it('heeds a signal that came before it was there', async () => {
    const { io, relay, begin } = scene();
    io.hangUp();
    io.signal('SIGTERM');
    const end = begin();
    await turn();
    await relay.finish();
    await end;
    expect(relay.calls).toEqual(['drain']);
  });

  it('reloads on SIGHUP, as often as it is asked, and once for all who ask meanwhile', async () => {
    const { io, relay, begin } = scene();
    const end = begin();
    io.hangUp();
    io.hangUp();
    io.hangUp();
    expect(relay.calls).toEqual(['reload']);
    await relay.finish();
    expect(relay.calls).toEqual(['reload', 'reload']);
    await relay.finish();
    expect(relay.calls).toEqual(['reload', 'reload']);
    io.hangUp();
    await relay.finish(new Error('the disk is gone'));
    expect(io.stderr.utf8).toMatch(
      /^(SIGHUP: every file was looked at again\.\n){2}error: SIGHUP: not every file could be looked at again: the disk is gone\n$/,
    );
    io.hangUp();
    await relay.finish();
    expect(relay.calls).toHaveLength(4);
    // It ends in order after all of it, and does not begin anew.
    io.signal('SIGINT');
    await turn();
    io.hangUp();
    await relay.finish();
    await end;
    expect(relay.calls.slice(4)).toEqual(['close']);
  });

  it('tells programs the same', async () => {
    const { io, relay, report, begin } = scene(true);
    report.listening('ab', ['wss://relay.example'], 'http://127.0.0.1:9090/');
    const end = begin();
    io.hangUp();
    await relay.finish(new Error('the disk is gone'));
    report.reloaded('certificate');
    report.reloaded('allow', new Error('line 3'));
    io.signal('SIGTERM');
    await turn();
    await relay.finish();
    await end;
    const events = io.stdout.utf8
      .trim()
      .split('\n')
      .map(line => JSON.parse(line) as unknown);
    expect(events).toMatchObject([
      {
        event: 'listening',
        url: 'wss://relay.example',
        publicKey: 'ab',
        internalUrl: 'http://127.0.0.1:9090/',
      },
      { event: 'reload', error: 'the disk is gone' },
      { event: 'reloaded', what: 'certificate' },
      { event: 'reloaded', what: 'allow', error: 'line 3' },
      { event: 'draining', signal: 'SIGTERM', connections: 3 },
      { event: 'drained' },
    ]);
  });
});

describe('a report for people', () => {
  it('names the status page, and what was read again', () => {
    const { io, report } = scene();
    report.listening('ab', ['wss://relay.example'], 'http://127.0.0.1:9090/');
    expect(io.stdout.utf8).toMatch(/^Status at {3}http:\/\/127\.0\.0\.1:9090\/$/m);
    report.reloaded('certificate');
    report.reloaded('jwt');
    report.reloaded('allow', new Error('Line 3 of \u001b[2J is no key.'));
    expect(io.stderr.utf8).toBe(
      'The certificate was read again.\nThe keys for tokens were read again.\n' +
        'error: The new list of allowed keys cannot be used: Line 3 of \\x1b[2J is no key.\n' +
        '  What was in use before, if anything, stays in use.\n',
    );
  });

  it('names no status page where there is none', () => {
    const { io, report } = scene();
    report.listening('ab', ['wss://relay.example'], undefined);
    expect(io.stdout.utf8).not.toContain('Status');
  });
});
