import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from 'vitest';
import { AuditLog, verifyAuditLog } from '../../../../src/relay/operations/audit-log.js';
import { checkAppendable } from '../../../../src/relay/operations/appendable.js';
import { FileLock } from '../../../../src/relay/operations/file-lock.js';
import { temporaryFolder } from '../../../support/temporary-folder.js';

const failed = (error: Error): void => {
  throw error;
};

it('is held by one, and free again when that one has let it go', async () => {
  const file = path.join(await temporaryFolder(), 'a');
  const first = await FileLock.acquire(file);
  expect(first).toBeInstanceOf(FileLock);
  expect(await FileLock.acquire(file)).toBe('taken');
  await (first as FileLock).release();
  const second = await FileLock.acquire(file);
  expect(second).toBeInstanceOf(FileLock);
  await (second as FileLock).release();
  await expect(access(`${file}.lock`)).rejects.toThrow();
});

it('is free when its process has died without a word', async () => {
  const file = path.join(await temporaryFolder(), 'a');
  const program = `require('node:net').createServer().listen(${JSON.stringify(`${file}.lock`)}, () => console.log('.'))`;
  const child = spawn(process.execPath, ['--eval', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  expect(await FileLock.acquire(file)).toBe('taken');
  child.kill('SIGKILL');
  await once(child, 'exit');
  await access(`${file}.lock`);
  const lock = await FileLock.acquire(file);
  expect(lock).toBeInstanceOf(FileLock);
  await (lock as FileLock).release();
});

it('is done without where a path is too long for it', async () => {
  expect(await FileLock.acquire(path.join(await temporaryFolder(), 'x'.repeat(120)))).toBe(undefined);
});

it('keeps a second relay from an audit log, which stays whole', async () => {
  const file = path.join(await temporaryFolder(), 'audit.jsonl');
  const log = await AuditLog.open({ file }, failed);
  await expect(AuditLog.open({ file }, failed)).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: expect.stringContaining('is being written by another relay') as string,
  });
  log.state('listening');
  await log.close();
  expect((await verifyAuditLog([file], log.head)).lines).toBe(3);
  await (await AuditLog.open({ file }, failed)).close();
  await verifyAuditLog([file]);
});

it('whether a log can be written is found out without writing it', async () => {
  const folder = await temporaryFolder();
  const file = path.join(folder, 'log');
  await checkAppendable('log', file);
  await expect(access(file)).rejects.toThrow();
  await writeFile(file, 'x');
  await checkAppendable('log', file);
  await mkdir(path.join(folder, 'sub'));
  await expect(checkAppendable('log', path.join(folder, 'sub'))).rejects.toThrow(/is a folder/);
  await expect(checkAppendable('log', path.join(folder, 'none', 'log'))).rejects.toThrow(/cannot be written/);
});
