#!/usr/bin/env node
import type { Io, Signal } from './io.js';
import { ExitCode } from './exit-code.js';
import { run } from './run.js';

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
  interrupt: () => {
    signalled('SIGINT');
  },
};

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, signalled);

// Input that nobody reads any more would keep the process.
process.exit(await run(process.argv.slice(2), io));
