#!/usr/bin/env node
import type { Socket } from 'node:net';
import { isatty } from 'node:tty';
import type { Io, Signal } from './io.js';
import { ExitCode } from './exit-code.js';
import { run } from './run.js';
import { socketsGone } from './sockets-gone.js';

/** How long the last that was sent may take to leave, milliseconds. */
const PATIENCE = 500;

let onSignal: ((signal: Signal) => void) | undefined;

function signalled(signal: Signal): void {
  const handler = onSignal;
  onSignal = undefined;
  if (handler) handler(signal);
  else process.exit(ExitCode[signal]);
}

const io: Io = {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  onSignal: handler => {
    onSignal = handler;
  },
  onHangup: handler => {
    const isOnTerminal = process.stdin.isTTY;
    process.on('SIGHUP', () => {
      if (!isOnTerminal || isatty(0)) {
        handler();
        return;
      }
      // The terminal was closed, and is none any more: nobody could press Ctrl-C. The system's way out, as Node's own
      // fails at setting such a terminal back.
      process.removeAllListeners('SIGHUP');
      process.kill(process.pid, 'SIGHUP');
    });
  },
  interrupt: () => {
    signalled('SIGINT');
  },
};

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, signalled);

const code = await run(process.argv.slice(2), io);
// From here on a signal ends it at once.
onSignal = undefined;
// Started by others, these may be sockets, too, which they close.
for (const stream of [process.stdin, process.stdout, process.stderr] as readonly Partial<Socket>[])
  stream.unref?.();
await socketsGone(() => process.getActiveResourcesInfo(), PATIENCE);
// Input that nobody reads any more would keep the process.
process.exit(code);
