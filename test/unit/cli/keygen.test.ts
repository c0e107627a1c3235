import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ExitCode } from '../../../src/cli/exit-code.js';
import { run } from '../../../src/cli/run.js';
import { Identity } from '../../../src/core/identity.js';
import { FileKeyStore } from '../../../src/link/file-key-store.js';
import { fakeIo } from '../../support/cli-io.js';

const posix = process.platform !== 'win32';

let directory: string;
let file: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keygen-'));
  file = join(directory, 'identity.key');
  vi.stubEnv('SECURE_WEBSOCKET_HOME', join(directory, 'home'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(directory, { recursive: true, force: true });
});

async function keygen(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const io = fakeIo();
  const code = await run(['keygen', ...args], io);
  return { code, stdout: io.stdout.utf8, stderr: io.stderr.utf8 };
}

async function seedIn(path: string): Promise<Uint8Array> {
  const seed = await new FileKeyStore(path).load();
  if (!seed) throw new Error(`no key at ${path}`);
  return seed;
}

describe('keygen', () => {
  it('makes a key file, and prints its address and nothing else on stdout', async () => {
    const { code, stdout, stderr } = await keygen(file);
    const seed = await seedIn(file);
    expect(code).toBe(ExitCode.OK);
    expect(stdout).toBe(`${(await Identity.fromSeed(seed)).publicKey}\n`);
    expect(stderr).toBe(`Kept in ${file}\n`);
    if (posix) expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  it('never prints the secret', async () => {
    const made = await keygen(file);
    const shown = await keygen('--show', file);
    const old = await seedIn(file);
    const replaced = await keygen('--force', file);
    for (const seed of [old, await seedIn(file)]) {
      for (const encoding of ['hex', 'base64', 'base64url'] as const) {
        const secret = Buffer.from(seed).toString(encoding);
        expect(JSON.stringify([made, shown, replaced])).not.toContain(secret);
      }
    }
  });

  it('makes the identity of connect when no file is named', async () => {
    const { stdout } = await keygen();
    const path = join(directory, 'home', 'client.key');
    expect(stdout).toBe(`${(await Identity.fromSeed(await seedIn(path))).publicKey}\n`);
    expect(await keygen('--show')).toEqual({ code: 0, stdout, stderr: '' });
  });

  it('replaces no key unless it is told to, and says what would be lost', async () => {
    const address = (await keygen(file)).stdout.trim();
    const content = await readFile(file, 'utf8');
    const refused = await keygen(file);
    expect(refused).toMatchObject({ code: ExitCode.KEY_FILE, stdout: '' });
    expect(refused.stderr).toContain(file);
    expect(refused.stderr).toContain(address);
    expect(refused.stderr).toContain('--force');
    expect(await readFile(file, 'utf8')).toBe(content);

    const replaced = await keygen('-f', file);
    expect(replaced.code).toBe(ExitCode.OK);
    expect(replaced.stderr).toContain(address);
    expect(replaced.stdout.trim()).not.toBe(address);
    expect(await readFile(file, 'utf8')).not.toBe(content);
  });

  it('replaces nothing else either', async () => {
    await writeFile(file, 'my diary', { mode: 0o600 });
    const refused = await keygen(file);
    expect(refused).toMatchObject({ code: ExitCode.KEY_FILE, stdout: '' });
    expect(await readFile(file, 'utf8')).toBe('my diary');
    expect((await keygen('--force', file)).code).toBe(ExitCode.OK);
  });

  it('shows the address of a key', async () => {
    const { stdout } = await keygen(file);
    expect(await keygen(file, '--show')).toEqual({ code: 0, stdout, stderr: '' });
  });

  it('has nothing to show where there is no key', async () => {
    const { code, stdout, stderr } = await keygen('--show', file);
    expect({ code, stdout }).toEqual({ code: ExitCode.KEY_FILE, stdout: '' });
    expect(stderr).toContain(`There is no identity at ${file}.`);
    await expect(stat(file)).rejects.toThrow('ENOENT');
  });

  it('says what is wrong with a file', async () => {
    await writeFile(file, 'no key', { mode: 0o600 });
    const corrupt = await keygen('--show', file);
    expect(corrupt).toMatchObject({ code: ExitCode.KEY_FILE, stdout: '' });
    expect(corrupt.stderr).toContain('holds no key');
    expect(corrupt.stderr).not.toContain('bug');
  });

  it.runIf(posix)('shows no key that others can read, and says what to do', async () => {
    await keygen(file);
    await chmod(file, 0o644);
    const unsafe = await keygen('--show', file);
    expect(unsafe).toMatchObject({ code: ExitCode.KEY_FILE, stdout: '' });
    expect(unsafe.stderr).toContain(`chmod 600 ${file}`);
  });

  it('says when there is no place for a key', async () => {
    await writeFile(file, '');
    const { code, stderr } = await keygen(join(file, 'below.key'));
    expect(code).toBe(ExitCode.KEY_FILE);
    expect(stderr).toContain('No key can be kept at');
  });
});
