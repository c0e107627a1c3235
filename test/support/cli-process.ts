import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { build } from 'tsup';

/** The command line, built from the source as it is now: what is in dist may be older. */
export interface BuiltCli {
  readonly main: string;
  remove(): Promise<void>;
}

export async function buildCli(): Promise<BuiltCli> {
  // Inside the project, so that its dependencies are found.
  const cache = resolve('node_modules/.cache');
  await mkdir(cache, { recursive: true });
  const directory = await mkdtemp(join(cache, 'cli-test-'));
  await build({
    config: false,
    entry: { main: 'src/cli/main.ts' },
    outDir: directory,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    outExtension: () => ({ js: '.mjs' }),
    silent: true,
  });
  return {
    main: join(directory, 'main.mjs'),
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}

/** One stream of a process: everything that came, and the wish for more. */
class Transcript {
  readonly #chunks: Buffer[] = [];
  #ended = false;
  #waiting: (() => void)[] = [];

  constructor(stream: Readable) {
    stream.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#changed();
    });
    stream.on('close', () => {
      this.#ended = true;
      this.#changed();
    });
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  get text(): string {
    return this.bytes.toString();
  }

  get sha256(): string {
    return sha256(...this.#chunks);
  }

  /** The first match, as soon as there is one. Undefined when the stream ends without. */
  async match(pattern: RegExp): Promise<RegExpExecArray | undefined> {
    for (;;) {
      const match = pattern.exec(this.text);
      if (match) return match;
      if (this.#ended) return undefined;
      await new Promise<void>(done => {
        this.#waiting.push(done);
      });
    }
  }

  #changed(): void {
    for (const done of this.#waiting.splice(0)) done();
  }
}

/** One process of the command line. */
export class CliProcess {
  readonly stdout: Transcript;
  readonly stderr: Transcript;
  /** The exit code, or the signal that it died of. Both streams have ended then. */
  readonly exit: Promise<number | string>;
  readonly #child: ChildProcess;
  readonly #command: string;

  constructor(
    main: string,
    args: readonly string[],
    options: { env: Record<string, string | undefined>; stdin: 'pipe' | 'ignore' },
  ) {
    this.#command = args.join(' ');
    this.#child = spawn(process.execPath, [main, ...args], {
      env: options.env,
      stdio: [options.stdin, 'pipe', 'pipe'],
    });
    this.stdout = new Transcript(this.output);
    this.stderr = new Transcript(this.#child.stderr as Readable);
    this.exit = once(this.#child, 'close').then(([code, signal]) => (code ?? signal) as number | string);
    // Whoever has gone takes no more input.
    this.#child.stdin?.on('error', () => undefined);
  }

  get stdin(): Writable {
    return this.#child.stdin as Writable;
  }

  get output(): Readable {
    return this.#child.stdout as Readable;
  }

  /** Waits for something on stdout. */
  async says(pattern: RegExp | string): Promise<RegExpExecArray> {
    return this.#expect(this.stdout, pattern);
  }

  /** Waits for something on stderr. */
  async tells(pattern: RegExp | string): Promise<RegExpExecArray> {
    return this.#expect(this.stderr, pattern);
  }

  kill(signal: NodeJS.Signals = 'SIGKILL'): void {
    this.#child.kill(signal);
  }

  async #expect(transcript: Transcript, pattern: RegExp | string): Promise<RegExpExecArray> {
    const expression =
      typeof pattern === 'string'
        ? new RegExp(pattern.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`))
        : pattern;
    const match = await transcript.match(expression);
    if (match) return match;
    const code = await this.exit;
    throw new Error(
      `"${this.#command}" ended with ${code} without ${String(expression)}\n` +
        `stdout: ${this.stdout.text.slice(0, 2_000)}\nstderr: ${this.stderr.text.slice(0, 2_000)}`,
    );
  }
}

export function sha256(...chunks: readonly Uint8Array[]): string {
  const hash = createHash('sha256');
  for (const chunk of chunks) hash.update(chunk);
  return hash.digest('hex');
}
