import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Writable } from 'node:stream';
import { EventQueue } from './event-queue.js';

/** A program that somebody else wrote, in a process of its own. */
export class Program {
  /** The exit code, or the signal that it died of. All lines have come then. */
  readonly exit: Promise<number | string>;
  /** All of what it wrote to standard error. */
  stderr = '';
  readonly #child: ChildProcess;
  readonly #lines = new EventQueue<string>();

  constructor(executable: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
    const child = spawn(executable, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child = child;
    // Whoever has gone takes no more input.
    child.stdin.on('error', () => undefined);
    createInterface(child.stdout).on('line', line => {
      this.#lines.push(line);
    });
    child.stderr.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
    this.exit = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string);
  }

  get stdin(): Writable {
    return this.#child.stdin as Writable;
  }

  /** The next line of its output. */
  async line(): Promise<string> {
    const ended = this.exit.then(code => {
      throw new Error(`The program ended with ${code}: ${this.stderr}`);
    });
    ended.catch(() => undefined);
    return Promise.race([this.#lines.next(), ended]);
  }

  /** The same, as JSON. */
  async json(): Promise<unknown> {
    return JSON.parse(await this.line());
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}
