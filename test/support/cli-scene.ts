import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { type BuiltCli, buildCli, CliProcess } from './cli-process.js';

/** The command line, built once for a file of tests; each of them has a folder for its identities. */
export class CliScene {
  /** Every process of the test. They are ended with it, and waited for. */
  readonly processes = new Set<CliProcess>();
  readonly #cleanUp: (() => unknown)[] = [];
  #cli: BuiltCli | undefined;
  #home: string | undefined;

  constructor() {
    beforeAll(async () => {
      this.#cli = await buildCli();
    });
    afterAll(() => this.#cli?.remove());
    beforeEach(async () => {
      this.#home = await mkdtemp(join(tmpdir(), 'cli-'));
    });
    afterEach(async () => {
      for (const child of this.processes) child.kill();
      await Promise.all([...this.processes].map(child => child.exit));
      this.processes.clear();
      for (const clean of this.#cleanUp.splice(0)) await clean();
      await rm(this.home, { recursive: true, force: true });
    });
  }

  /** The file that Node runs. */
  get main(): string {
    if (this.#cli === undefined) throw new Error('The command line is not built yet.');
    return this.#cli.main;
  }

  /** The folder of this test. */
  get home(): string {
    if (this.#home === undefined) throw new Error('There is no test.');
    return this.#home;
  }

  /** Something else that has to be undone, once the processes have ended. */
  after(step: () => unknown): void {
    this.#cleanUp.push(step);
  }

  start(
    args: readonly string[],
    {
      variables = {},
      stdin = 'pipe',
    }: { variables?: Record<string, string>; stdin?: 'pipe' | 'ignore' } = {},
  ): CliProcess {
    const env = { ...process.env, SECURE_WEBSOCKET_HOME: this.home, ...variables };
    const child = new CliProcess(this.main, args, { env, stdin });
    this.processes.add(child);
    return child;
  }
}
