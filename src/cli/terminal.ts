import { clearLine, createInterface, cursorTo, type Interface } from 'node:readline';
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises';
import { DEFAULT_MAX_PAYLOAD } from '../core/constants.js';
import { describeError } from '../core/describe-error.js';
import { CommandError } from './exit-code.js';
import type { Io } from './io.js';
import { splitLines } from './lines.js';
import { printable } from './printable.js';

/** How long an interrupted command waits for whoever reads its output, milliseconds. */
const HURRY = 1_000;

/** How long piped input may be on its way, milliseconds. */
const MOMENT = 100;

const BOLD = 1;
const RED = 31;

/**
 * What a command reads and writes: data on stdin and stdout, everything said to the user on stderr. On a terminal
 * lines are edited at a prompt, and what is printed meanwhile appears above it.
 */
export class Terminal {
  /** Somebody sits at both ends: lines are typed, and messages are looked at. */
  readonly isInteractive: boolean;
  /** The input is typed, not piped. */
  readonly isTyped: boolean;
  /** Messages are shown on a terminal. */
  readonly showsMessages: boolean;
  readonly #io: Io;
  #editor: Interface | undefined;
  #isFull = false;
  #isHurried = false;
  #outputEnd: { readonly error: Error | undefined } | undefined;
  #onDrain: (() => void) | undefined;
  #onOutputEnd: ((error: Error | undefined) => void) | undefined;

  constructor(io: Io) {
    this.#io = io;
    this.showsMessages = io.stdout.isTTY === true;
    this.isTyped = io.stdin.isTTY === true;
    this.isInteractive = this.showsMessages && this.isTyped && io.env['TERM'] !== 'dumb';
    io.stdout.on('drain', () => {
      this.#isFull = false;
      this.#onDrain?.();
    });
    io.stdout.on('error', (error: NodeJS.ErrnoException) => {
      // Whoever read our output has seen enough, as with `head`: not an error.
      const isPipeClosed = error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED';
      this.#outputEnd ??= { error: isPipeClosed ? undefined : error };
      this.#onOutputEnd?.(this.#outputEnd.error);
    });
    // Nobody is left to be told.
    io.stderr.on('error', () => undefined);
  }

  /** Whether `write` should wait for `onDrain`. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** Whether there is piped input that nobody has asked for yet. What is on its way is given a moment. */
  async hasUnreadInput(): Promise<boolean> {
    const { stdin } = this.#io;
    if (this.isTyped || stdin.readableEnded || stdin.destroyed) return false;
    if (stdin.readableLength > 0) return true;
    // Nothing may have been read so far, and for somebody who waits for it `read(0)` changes nothing.
    stdin.read(0);
    await delay(MOMENT);
    await nextTurn();
    return stdin.readableLength > 0;
  }

  /** Calls back when there is room in the output again, and once when it can take no more at all. */
  watchOutput(handlers: {
    readonly drained: () => void;
    readonly ended: (error: Error | undefined) => void;
  }): void {
    this.#onDrain = handlers.drained;
    this.#onOutputEnd = handlers.ended;
    if (this.#outputEnd) handlers.ended(this.#outputEnd.error);
  }

  /** Data to stdout. */
  write(data: string | Uint8Array): void {
    if (this.#outputEnd) return;
    this.#above(() => {
      if (!this.#io.stdout.write(data)) this.#isFull = true;
    });
  }

  /** One line to stdout. */
  print(text: string): void {
    this.write(`${text}\n`);
  }

  /** One line to stderr. Whatever others have put into it, it stays one line and harmless. */
  status(text: string): void {
    this.#above(() => this.#io.stderr.write(`${printable(text)}\n`));
  }

  /** One line to stderr that stands out on a terminal. */
  highlight(text: string): void {
    this.#above(() => this.#io.stderr.write(`${this.#styled(printable(text), BOLD)}\n`));
  }

  /** Text of our own to stderr, as it is. */
  explain(text: string): void {
    this.#above(() => this.#io.stderr.write(`${text}\n`));
  }

  error(message: string, hint?: string): void {
    const prefix = this.#styled('error:', RED);
    this.#above(() => {
      this.#io.stderr.write(`${prefix} ${printable(message)}\n`);
      if (hint !== undefined) this.#io.stderr.write(`  ${printable(hint)}\n`);
    });
  }

  /** What comes in: lines of UTF-8, or bytes as they come. Nothing is read before it is asked for. */
  input(binary: boolean): AsyncIterable<Uint8Array> {
    if (binary) return this.#chunks();
    if (this.isInteractive) return this.#typedLines();
    let told = false;
    return splitLines(this.#chunks(), DEFAULT_MAX_PAYLOAD, () => {
      if (!told)
        this.status('The input is not UTF-8 everywhere, and was changed there. For such data give --binary.');
      told = true;
    });
  }

  /** Somebody has interrupted the command: `flush` must not take long. */
  hurry(): void {
    this.#isHurried = true;
  }

  /** Gives the terminal back. Resolves when everything has left for stdout, or never will. */
  async flush(): Promise<void> {
    const editor = this.#editor;
    this.#editor = undefined;
    if (editor) {
      editor.close();
      this.#clearLine();
    }
    if (this.#outputEnd) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>(resolve => {
      this.#io.stdout.write('', () => {
        resolve();
      });
      if (this.#isHurried) timer = setTimeout(resolve, HURRY);
    });
    clearTimeout(timer);
  }

  async *#chunks(): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of this.#io.stdin) {
        yield typeof chunk === 'string' ? Buffer.from(chunk) : (chunk as Uint8Array);
      }
    } catch (error) {
      throw new CommandError(`The input cannot be read (${describeError(error)}).`);
    }
  }

  async *#typedLines(): AsyncGenerator<Uint8Array> {
    const { stdin: input, stdout: output } = this.#io;
    const editor = createInterface({ input, output, prompt: '> ' });
    this.#editor = editor;
    // In raw mode the terminal sends no signal.
    editor.on('SIGINT', () => {
      this.#io.interrupt();
    });
    editor.prompt();
    try {
      for await (const line of editor) {
        yield Buffer.from(line);
        editor.prompt();
      }
    } finally {
      this.#editor = undefined;
    }
  }

  /** Writes above the prompt, and puts the prompt and what has been typed under it again. */
  #above(write: () => void): void {
    const editor = this.#editor;
    if (editor === undefined) {
      write();
      return;
    }
    this.#clearLine();
    write();
    editor.prompt(true);
  }

  #clearLine(): void {
    const { stdout } = this.#io;
    cursorTo(stdout, 0);
    clearLine(stdout, 0);
  }

  #styled(text: string, style: number): string {
    const { env, stderr } = this.#io;
    const { NO_COLOR: none, TERM: kind } = env;
    if (stderr.isTTY !== true || (none !== undefined && none !== '') || kind === 'dumb') return text;
    return `\u001b[${style}m${text}\u001b[0m`;
  }
}
