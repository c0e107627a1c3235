import { PassThrough, Writable } from 'node:stream';
import type { Io, Signal } from '../../src/cli/io.js';
import { run } from '../../src/cli/run.js';

/** What a command has written to one of its streams. */
class Written extends Writable {
  text = '';
  #waiting: (() => void)[] = [];

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    for (const look of this.#waiting.splice(0)) look();
    done();
  }

  async match(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.text);
      if (match) return match;
      await new Promise<void>(look => {
        this.#waiting.push(look);
      });
    }
  }
}

/** One command of the command line, run in the process of the test. */
export class RunningCommand {
  /** The exit code. */
  readonly exit: Promise<number>;
  readonly #stdout = new Written();
  readonly #stderr = new Written();
  #onSignal: ((signal: Signal) => void) | undefined;

  constructor(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const io: Io = {
      stdin: new PassThrough(),
      stdout: this.#stdout,
      stderr: this.#stderr,
      env: { TERM: 'dumb', ...env },
      onSignal: handler => {
        this.#onSignal = handler;
      },
      onHangup: () => undefined,
      interrupt: () => undefined,
    };
    this.exit = run(args, io);
  }

  get stdout(): string {
    return this.#stdout.text;
  }

  get stderr(): string {
    return this.#stderr.text;
  }

  /** Waits for something on stdout. */
  says(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#expect(this.#stdout, pattern);
  }

  /** Waits for something on stderr. */
  tells(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#expect(this.#stderr, pattern);
  }

  /** A signal; nothing where nobody waits for one. */
  signal(signal: Signal = 'SIGINT'): void {
    const handler = this.#onSignal;
    this.#onSignal = undefined;
    handler?.(signal);
  }

  #expect(stream: Written, pattern: RegExp): Promise<RegExpExecArray> {
    const ended = this.exit.then(code => {
      throw new Error(`Ended with ${code} without ${String(pattern)}: ${this.stdout}${this.stderr}`);
    });
    ended.catch(() => undefined);
    return Promise.race([stream.match(pattern), ended]);
  }
}
