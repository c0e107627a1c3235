import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  chmod,
  chown,
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { build } from 'vite';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FileKeyStore } from '../../../src/link/file-key-store.js';
import { itKeepsOneSeed, seedOf } from '../../support/key-store-contract.js';

const posix = process.platform !== 'win32';
const isRoot = process.geteuid?.() === 0;
const line = (seed: Uint8Array) => `secure-websocket-seed-1:${Buffer.from(seed).toString('base64url')}\n`;

let directory: string;
let path: string;
beforeEach(async () => {
  directory = await realpath(await mkdtemp(join(tmpdir(), 'file-key-store-')));
  path = join(directory, 'identity.key');
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const modeOf = async (name: string) => ((await stat(name)).mode & 0o7777).toString(8);
const keep = (content: string | Uint8Array) => writeFile(path, content, { mode: 0o600 });
const load = () => new FileKeyStore(path).load();
const failure = async (promise: Promise<unknown>) => {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return error as { code: string; message: string; cause: unknown };
};

describe('FileKeyStore', () => {
  itKeepsOneSeed(() => new FileKeyStore(path));

  it('needs a path, and makes it absolute', () => {
    expect(() => new FileKeyStore('')).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    expect(new FileKeyStore('a.key').path).toBe(join(process.cwd(), 'a.key'));
  });

  it('writes one line of text and leaves nothing else behind', async () => {
    await new FileKeyStore(path).create(seedOf(200));
    expect(await readFile(path, 'latin1')).toBe(line(seedOf(200)));
    await new FileKeyStore(path).create(seedOf(201));
    expect(await readdir(directory)).toEqual(['identity.key']);
  });

  it.runIf(posix)('makes a private file, in private directories where they are missing', async () => {
    path = join(directory, 'a', 'b', 'identity.key');
    await new FileKeyStore(path).create(seedOf(1));
    expect(await modeOf(path)).toBe('600');
    expect(await modeOf(join(directory, 'a'))).toBe('700');
    expect(await modeOf(join(directory, 'a', 'b'))).toBe('700');
  });

  it('reads what an editor may have made of the line', async () => {
    for (const end of ['', '\n', '\r\n']) {
      await keep(line(seedOf(8)).trimEnd() + end);
      expect(await load()).toEqual(seedOf(8));
    }
  });

  it('round trips every seed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 32, maxLength: 32 }), async seed => {
        await new FileKeyStore(path).write(seed, { force: true });
        expect(await load()).toEqual(new Uint8Array(seed));
      }),
      { numRuns: 20 },
    );
  });

  describe('write', () => {
    it('refuses to replace a key unless it is told to', async () => {
      const store = new FileKeyStore(path);
      await store.write(seedOf(1));
      const error = await failure(store.write(seedOf(2)));
      expect(error.code).toBe('KEY_STORE_EXISTS');
      expect(error.message).toContain(path);
      expect(await load()).toEqual(seedOf(1));
      await store.write(seedOf(2), { force: true });
      expect(await load()).toEqual(seedOf(2));
      expect(await readdir(directory)).toEqual(['identity.key']);
    });

    it.runIf(posix)('replaces a file with a private one, whatever it was', async () => {
      await writeFile(path, 'no key', { mode: 0o644 });
      await new FileKeyStore(path).write(seedOf(3), { force: true });
      expect(await modeOf(path)).toBe('600');
      expect(await load()).toEqual(seedOf(3));
    });

    it('refuses what is no seed', async () => {
      await expect(new FileKeyStore(path).write(new Uint8Array(31))).rejects.toMatchObject({
        code: 'INVALID_SEED',
      });
      expect(await readdir(directory)).toEqual([]);
    });
  });

  describe.runIf(posix)('refuses a file that others have access to', () => {
    it.each([0o640, 0o620, 0o610, 0o604, 0o602, 0o601, 0o644, 0o666, 0o777])('mode %o', async mode => {
      await keep(line(seedOf(1)));
      await chmod(path, mode);
      const error = await failure(load());
      expect(error.code).toBe('KEY_STORE_UNSAFE');
      expect(error.message).toContain(`0${mode.toString(8)}`);
      expect(error.message).toContain(`chmod 600 ${path}`);
      expect(await failure(new FileKeyStore(path).create(seedOf(2)))).toMatchObject({
        code: 'KEY_STORE_UNSAFE',
      });
    });

    it('and takes it once the command of the message was run', async () => {
      path = join(directory, "it's a key");
      await keep(line(seedOf(1)));
      await chmod(path, 0o644);
      const { message } = await failure(load());
      const command = /Run: (chmod .*) \(and/.exec(message)?.[1];
      const [code] = (await once(spawn('sh', ['-c', String(command)]), 'exit')) as [number];
      expect(code).toBe(0);
      expect(await load()).toEqual(seedOf(1));
    });

    it.each([0o600, 0o400, 0o700])('but not mode %o', async mode => {
      await keep(line(seedOf(1)));
      await chmod(path, mode);
      expect(await load()).toEqual(seedOf(1));
    });

    it.runIf(isRoot)('or that belongs to somebody else', async () => {
      await keep(line(seedOf(1)));
      await chown(path, 12_345, 0);
      const error = await failure(load());
      expect(error.code).toBe('KEY_STORE_UNSAFE');
      expect(error.message).toContain('user 12345');
    });

    it('also behind a symbolic link', async () => {
      const target = join(directory, 'target');
      await writeFile(target, line(seedOf(1)), { mode: 0o600 });
      await symlink(target, path);
      expect(await load()).toEqual(seedOf(1));
      await chmod(target, 0o640);
      expect(await failure(load())).toMatchObject({ code: 'KEY_STORE_UNSAFE' });
    });
  });

  describe('refuses what is no key, and does not quote it', () => {
    const good = line(seedOf(0xfb));
    it.each([
      ['an empty file', ''],
      ['half a line', good.slice(0, 40)],
      ['a shorter seed', good.slice(0, -2)],
      ['another version', good.replace('-1:', '-2:')],
      ['a second line', `${good}x`],
      ['an empty second line', `${good}\n`],
      ['white space before it', ` ${good}`],
      ['padding', `${good.trimEnd()}=`],
      ['standard base64', good.replace(/[-_](?=[^:]*$)/, '+')],
      ['bits beyond the 32 bytes', `${good.slice(0, -2)}B\n`],
      ['something long', good + ' '.repeat(100_000)],
      ['zeros, as after a power failure', '\0'.repeat(good.length)],
      ['a key of another program', '-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n'],
    ])('%s', async (_, content) => {
      expect(content).not.toBe(good);
      await keep(content);
      for (const error of [await failure(load()), await failure(new FileKeyStore(path).create(seedOf(2)))]) {
        expect(error.code).toBe('KEY_STORE_CORRUPT');
        expect(error.message).toContain(path);
        expect(error.message).not.toMatch(/-_v7|hunter2|BEGIN/);
      }
      expect(await readFile(path, 'latin1')).toBe(content);
    });

    it('random bytes', async () => {
      await fc.assert(
        fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async content => {
          await keep(content);
          expect(await failure(load())).toMatchObject({ code: 'KEY_STORE_CORRUPT' });
        }),
        { numRuns: 30 },
      );
    });
  });

  describe('says what is wrong with a place where no key can be', () => {
    it('a directory', async () => {
      await mkdir(path);
      const error = await failure(load());
      expect(error.code).toBe('KEY_STORE_UNREADABLE');
      expect(error.message).toContain(path);
      expect(await failure(new FileKeyStore(path).create(seedOf(2)))).toMatchObject({
        code: 'KEY_STORE_UNREADABLE',
      });
    });

    it('below a file', async () => {
      await keep('');
      path = join(path, 'identity.key');
      const unreadable = await failure(load());
      expect(unreadable).toMatchObject({ code: 'KEY_STORE_UNREADABLE', cause: { code: 'ENOTDIR' } });
      const unavailable = await failure(new FileKeyStore(path).create(seedOf(2)));
      expect(unavailable.code).toBe('KEY_STORE_UNAVAILABLE');
      expect(unavailable.message).toContain(path);
      expect(unavailable.cause).toBeInstanceOf(Error);
    });

    it.runIf(posix)('a symbolic link to nothing', async () => {
      await symlink(join(directory, 'nowhere'), path);
      expect(await load()).toBeUndefined();
      const error = await failure(new FileKeyStore(path).create(seedOf(2)));
      expect(error.code).toBe('KEY_STORE_UNREADABLE');
      expect(error.message).toContain('symbolic link');
      expect(await readdir(directory)).toEqual(['identity.key']);
    });

    it.runIf(posix)('a symbolic link to itself', async () => {
      await symlink(path, path);
      expect(await failure(load())).toMatchObject({ code: 'KEY_STORE_UNREADABLE', cause: { code: 'ELOOP' } });
    });

    it.runIf(posix)('a named pipe, without waiting for a writer', async () => {
      const [code] = (await once(spawn('mkfifo', [path]), 'exit')) as [number];
      expect(code).toBe(0);
      expect(await failure(load())).toMatchObject({ code: 'KEY_STORE_UNREADABLE' });
    });

    it.runIf(posix && !isRoot)('a file that may not be read', async () => {
      await keep(line(seedOf(1)));
      await chmod(path, 0o000);
      const error = await failure(load());
      expect(error).toMatchObject({ code: 'KEY_STORE_UNREADABLE', cause: { code: 'EACCES' } });
    });

    it.runIf(posix && !isRoot)('a directory that may not be written', async () => {
      await chmod(directory, 0o500);
      expect(await failure(new FileKeyStore(path).create(seedOf(2)))).toMatchObject({
        code: 'KEY_STORE_UNAVAILABLE',
        cause: { code: 'EACCES' },
      });
      await chmod(directory, 0o700);
    });
  });

  describe('in several processes', { timeout: 30_000 }, () => {
    let bundle: string;
    const children = new Set<ChildProcess>();

    beforeAll(async () => {
      bundle = await mkdtemp(join(tmpdir(), 'file-key-store-bundle-'));
      await build({
        configFile: false,
        logLevel: 'silent',
        build: {
          ssr: fileURLToPath(new URL('../../../src/link/file-key-store.ts', import.meta.url)),
          outDir: bundle,
          minify: false,
          rolldownOptions: { output: { entryFileNames: 'store.mjs' } },
        },
      });
    });
    afterAll(() => rm(bundle, { recursive: true, force: true }));
    afterEach(() => {
      for (const child of children) child.kill('SIGKILL');
      children.clear();
    });

    /** Answers each line of `{ path, fill }` with the first byte of the seed that the file ends with, or the error's code. */
    const worker = `
      import { createInterface } from 'node:readline';
      for await (const line of createInterface({ input: process.stdin })) {
        const { path, fill } = JSON.parse(line);
        await new FileKeyStore(path).create(new Uint8Array(32).fill(fill)).then(
          seed => console.log(seed[0]),
          error => console.log(error.code + ' ' + error.cause?.code),
        );
      }`;

    function start(before = '', command = [process.execPath]) {
      const script = `${before}
        const { FileKeyStore } = await import(${JSON.stringify(join(bundle, 'store.mjs'))});${worker}`;
      const [program, ...args] = [...command, '--input-type=module', '--eval', script];
      const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
      children.add(child);
      const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      const ask = async (fill: number): Promise<string | undefined> => {
        child.stdin.write(`${JSON.stringify({ path, fill })}\n`);
        return ((await answers.next()) as { value?: string }).value;
      };
      return { child, ask };
    }

    it('everybody ends with the same seed', async () => {
      const workers = Array.from({ length: 4 }, () => start());
      for (let round = 0; round < 25; round++) {
        path = join(directory, `${round}.key`);
        const seeds = await Promise.all(workers.map(({ ask }, i) => ask(i + 1)));
        expect(seeds).toEqual(Array(4).fill(seeds[0]));
        expect(await load()).toEqual(seedOf(Number(seeds[0])));
      }
      expect((await readdir(directory)).filter(name => name.endsWith('.tmp'))).toEqual([]);
    });

    it.runIf(posix).each(['0', '0o777'])('the file is private under umask %s', async umask => {
      path = join(directory, 'new', 'identity.key');
      // With all bits taken away nobody but root could enter a new directory.
      if (umask !== '0') await mkdir(join(directory, 'new'));
      expect(await start(`process.umask(${umask});`).ask(5)).toBe('5');
      expect(await modeOf(path)).toBe('600');
    });

    it.runIf(posix).each([
      [
        'is written',
        'const any = await fs.promises.open(process.execPath); await any.close(); any.constructor.prototype.chmod',
      ],
      ['has its name', 'fs.promises.link'],
    ])('one that is killed before the file %s leaves no half file', async (_, step) => {
      const { child, ask } = start(`
        import fs from 'node:fs';
        import { syncBuiltinESMExports } from 'node:module';
        ${step} = () => process.kill(process.pid, 'SIGKILL');
        syncBuiltinESMExports();`);
      const ended = once(child, 'exit');
      expect(await ask(5)).toBeUndefined();
      expect((await ended)[1]).toBe('SIGKILL');
      const left = await readdir(directory);
      expect(left).toEqual([expect.stringMatching(/^identity\.key\..*\.tmp$/)]);
      expect(await modeOf(join(directory, String(left[0])))).toBe('600');

      expect(await load()).toBeUndefined();
      expect(await new FileKeyStore(path).create(seedOf(6))).toEqual(seedOf(6));
    });

    it('one on a file system without hard links says so and leaves nothing', async () => {
      const { ask } = start(`
        import fs from 'node:fs';
        import { syncBuiltinESMExports } from 'node:module';
        fs.promises.link = () => Promise.reject(Object.assign(new Error('no links here'), { code: 'EPERM' }));
        syncBuiltinESMExports();`);
      expect(await ask(5)).toBe('KEY_STORE_UNAVAILABLE EPERM');
      expect(await readdir(directory)).toEqual([]);
    });

    it.runIf(posix)('one that was killed right after is no trouble to the next', async () => {
      await new FileKeyStore(path).create(seedOf(6));
      await link(path, `${path}.0123.tmp`);
      expect(await load()).toEqual(seedOf(6));
      await new FileKeyStore(path).write(seedOf(7), { force: true });
      expect(await load()).toEqual(seedOf(7));
    });

    it.runIf(posix)('one that runs out of space leaves nothing', async () => {
      const { ask } = start('', ['sh', '-c', 'ulimit -f 0; exec "$0" "$@"', process.execPath]);
      expect(await ask(5)).toBe('KEY_STORE_UNAVAILABLE EFBIG');
      expect(await readdir(directory)).toEqual([]);
    });
  });
});
