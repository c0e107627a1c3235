import { PassThrough, Writable } from 'node:stream';
import type { Io, Signal } from '../../src/cli/io.js';

/** A stream that remembers what was written; while `isStuck`, it takes nothing more. */
export class Recorder extends Writable {
  readonly isTTY: boolean;
  text = '';
  isStuck = false;
  #stuck: (() => void)[] = [];

  constructor(isTTY: boolean) {
    super({ highWaterMark: 1_024, decodeStrings: true });
    this.isTTY = isTTY;
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString('latin1');
    if (this.isStuck) this.#stuck.push(done);
    else done();
  }

  release(): void {
    this.isStuck = false;
    for (const done of this.#stuck.splice(0)) done();
  }

  /** What was written, as UTF-8. */
  get utf8(): string {
    return Buffer.from(this.text, 'latin1').toString();
  }
}

export interface FakeIo extends Io {
  readonly stdin: PassThrough & { isTTY?: boolean };
  readonly stdout: Recorder;
  readonly stderr: Recorder;
  signal(signal: Signal): void;
  /** SIGHUP. */
  hangUp(): void;
}

/** What a command sees of its process, for tests. */
export function fakeIo(
  options: { tty?: boolean; typed?: boolean; env?: Record<string, string> } = {},
): FakeIo {
  const { tty = false, typed = tty, env = {} } = options;
  let handler: ((signal: Signal) => void) | undefined;
  let onHangup: (() => void) | undefined;
  const signal = (name: Signal): void => {
    handler?.(name);
  };
  return {
    stdin: Object.assign(new PassThrough(), { isTTY: typed }),
    stdout: new Recorder(tty),
    stderr: new Recorder(tty),
    env: { TERM: 'dumb', ...env },
    onSignal: given => {
      handler = given;
    },
    onHangup: given => {
      onHangup = given;
    },
    hangUp: () => {
      onHangup?.();
    },
    interrupt: () => {
      signal('SIGINT');
    },
    signal,
  };
}
