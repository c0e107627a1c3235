import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { findNginx, isNginxRequired, missingNginxMessage } from '../../scripts/nginx.mjs';
import { makeCertificate } from './make-certificate.js';
import { temporaryFolder } from './temporary-folder.js';

/** The nginx to test with. Undefined: there is none, and none is needed. Only Linux has 127.0.0.2 by itself. */
export function nginxToTest(): ReturnType<typeof findNginx> {
  const found = process.platform === 'linux' ? findNginx() : undefined;
  if (found === undefined && isNginxRequired()) throw new Error(missingNginxMessage());
  return found;
}

/** A file of this repository, with some of what stands in it replaced. Each must be there. */
export function adapted(file: string, replacements: Readonly<Record<string, string>>): string {
  let text = readFileSync(file, 'utf8');
  for (const [found, replacement] of Object.entries(replacements)) {
    if (!text.includes(found)) throw new Error(`There is no ${JSON.stringify(found)} in ${file}.`);
    text = text.replaceAll(found, replacement);
  }
  return text;
}

/** An nginx of its own: a process of the test, with all its files in a folder that is gone with the test. */
export class Nginx {
  /** For localhost and 127.0.0.1. PEM. */
  readonly certificate: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly #executable: string;
  readonly #stream: string | undefined;
  readonly #folder: string;
  #child: ChildProcess | undefined;
  #log = '';
  readonly #waiting = new Set<() => void>();

  static async prepare(): Promise<Nginx> {
    const location = nginxToTest();
    if (!location) throw new Error(missingNginxMessage());
    const nginx = new Nginx(location, await temporaryFolder());
    const { cert, key } = nginx.#made;
    await writeFile(nginx.certFile, cert);
    await writeFile(nginx.keyFile, key, { mode: 0o600 });
    return nginx;
  }

  readonly #made = makeCertificate();

  private constructor(location: NonNullable<ReturnType<typeof findNginx>>, folder: string) {
    this.#executable = location.executable;
    this.#stream = location.stream;
    this.#folder = folder;
    this.certificate = this.#made.cert;
    this.certFile = path.join(folder, 'cert.pem');
    this.keyFile = path.join(folder, 'key.pem');
  }

  /** What nginx has said. */
  get log(): string {
    return this.#log;
  }

  /** Starts it, with what stands at the top level of its configuration. Resolves when it takes connections. */
  async start(configuration: string): Promise<void> {
    await this.#configure(configuration);
    const child = spawn(this.#executable, this.#arguments, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child = child;
    child.stderr.on('data', (chunk: Buffer) => {
      this.#log += chunk.toString();
      for (const wake of this.#waiting) wake();
    });
    child.on('close', () => {
      this.#child = undefined;
      for (const wake of this.#waiting) wake();
    });
    await this.#says(/start worker process \d+/, 0);
  }

  /** `nginx -s reload`. Resolves when another worker process serves, and the one before takes nobody any more. */
  async reload(configuration: string): Promise<void> {
    await this.#configure(configuration);
    const since = this.#log.length;
    await this.#signal('reload');
    await this.#says(/start worker process \d+/, since);
    await this.#says(/gracefully shutting down/, since);
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (!child) return;
    const closed = once(child, 'close');
    child.kill('SIGTERM');
    await closed;
  }

  get #arguments(): string[] {
    return ['-p', this.#folder, '-c', path.join(this.#folder, 'nginx.conf'), '-e', 'stderr'];
  }

  async #signal(signal: string): Promise<void> {
    const child = spawn(this.#executable, [...this.#arguments, '-s', signal], { stdio: 'ignore' });
    const [code] = (await once(child, 'close')) as [number];
    if (code !== 0) throw new Error(`nginx -s ${signal} ended with ${String(code)}.`);
  }

  async #configure(configuration: string): Promise<void> {
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      name => `${name}_temp_path ${path.join(this.#folder, name)};`,
    );
    const text = [
      ...(this.#stream === undefined ? [] : [`load_module ${this.#stream};`]),
      'daemon off;',
      // As somebody else it could not read what is in the folder.
      ...(process.getuid?.() === 0 ? ['user root;'] : []),
      `pid ${path.join(this.#folder, 'nginx.pid')};`,
      'error_log stderr notice;',
      'events {}',
      configuration.replace(/\bhttp \{/, `http {\n${['access_log off;', ...temporary].join('\n')}`),
    ].join('\n');
    await writeFile(path.join(this.#folder, 'nginx.conf'), text);
  }

  async #says(pattern: RegExp, since: number): Promise<void> {
    while (!pattern.test(this.#log.slice(since))) {
      if (!this.#child) throw new Error(`nginx ended: ${this.#log}`);
      await new Promise<void>(resolve => {
        const wake = (): void => {
          this.#waiting.delete(wake);
          resolve();
        };
        this.#waiting.add(wake);
      });
    }
  }
}
