import { execFileSync } from 'node:child_process';
import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { WatchedFile, type WatchedFileOptions } from '../../../src/relay/watched-file.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

/** What a file said, in order: contents, and messages of failures after '!'. */
function watch(file: string, options: WatchedFileOptions = { interval: 5 }) {
  const heard: string[] = [];
  let wake: (() => void) | undefined;
  const hear = (what: string) => {
    heard.push(what);
    wake?.();
  };
  const watched = new WatchedFile(
    file,
    { changed: hear, failed: error => hear(`!${error.message}`) },
    options,
  );
  onTestFinished(() => watched.close());
  return {
    watched,
    heard,
    count: async (count: number): Promise<readonly string[]> => {
      while (heard.length < count) await new Promise<void>(resolve => (wake = resolve));
      return heard;
    },
  };
}

/** Looks at a file only when it is asked to. */
const BY_HAND: WatchedFileOptions = { interval: 2 ** 30 };

describe('WatchedFile', () => {
  it('is read when it is opened', async () => {
    const file = path.join(await temporaryFolder(), 'list');
    await writeFile(file, '\uFEFFone\n');
    const { watched, heard } = watch(file, BY_HAND);
    expect(await watched.open()).toBe('one\n');
    expect(heard).toEqual([]);
  });

  it.each(['missing', 'folder', 'pipe', 'binary', 'large'])('refuses a file that is %s', async what => {
    const file = path.join(await temporaryFolder(), 'list');
    if (what === 'folder') await mkdir(file);
    if (what === 'pipe') execFileSync('mkfifo', [file]);
    if (what === 'binary') await writeFile(file, Buffer.of(0xff, 0xfe));
    if (what === 'large') await writeFile(file, 'x'.repeat(101));
    const { watched } = watch(file, { ...BY_HAND, maxBytes: 100 });
    await expect(watched.open()).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining(`Cannot read the file ${file}: `) as string,
    });
  });

  it('reads a file of just the size that is allowed', async () => {
    const file = path.join(await temporaryFolder(), 'list');
    await writeFile(file, 'x'.repeat(100));
    const { watched } = watch(file, { ...BY_HAND, maxBytes: 100 });
    expect(await watched.open()).toHaveLength(100);
  });

  it('notices what is written in place', async () => {
    const file = path.join(await temporaryFolder(), 'list');
    await writeFile(file, 'one');
    const { watched, count } = watch(file);
    await watched.open();
    await writeFile(file, 'two');
    expect(await count(1)).toEqual(['two']);
    await writeFile(file, 'three');
    expect(await count(2)).toEqual(['two', 'three']);
  });

  it('notices a file that is moved over it', async () => {
    const folder = await temporaryFolder();
    const file = path.join(folder, 'list');
    await writeFile(file, 'one');
    const { watched, count } = watch(file);
    await watched.open();
    for (const [index, content] of ['two', 'six'].entries()) {
      await writeFile(path.join(folder, 'new'), content);
      await rename(path.join(folder, 'new'), file);
      expect((await count(index + 1))[index]).toBe(content);
    }
  });

  it('notices a folder behind a symbolic link that moves, as with secrets of Kubernetes', async () => {
    const folder = await temporaryFolder();
    for (const version of ['1', '2']) {
      await mkdir(path.join(folder, version));
      await writeFile(path.join(folder, version, 'list'), `version ${version}`);
    }
    await symlink('1', path.join(folder, 'current'));
    await symlink('current/list', path.join(folder, 'list'));
    const { watched, count } = watch(path.join(folder, 'list'));
    expect(await watched.open()).toBe('version 1');
    await symlink('2', path.join(folder, 'next'));
    await rename(path.join(folder, 'next'), path.join(folder, 'current'));
    expect(await count(1)).toEqual(['version 2']);
  });

  it('says once that it is gone, and goes on when it is back', async () => {
    const file = path.join(await temporaryFolder(), 'list');
    await writeFile(file, 'one');
    const { watched, count } = watch(file);
    await watched.open();
    await rm(file);
    expect((await count(1))[0]).toMatch(/^!Cannot read the file .*no such file/);
    await writeFile(file, 'two');
    expect((await count(2)).slice(1)).toEqual(['two']);
    await rm(file);
    expect((await count(3))[2]).toMatch(/^!/);
  });

  it('says once that it cannot be read, however often it tries', async () => {
    const file = path.join(await temporaryFolder(), 'list');
    await writeFile(file, 'one');
    const { watched, heard, count } = watch(file);
    await watched.open();
    await rm(file);
    await mkdir(file);
    await count(1);
    const timers = vi.spyOn(globalThis, 'setTimeout');
    onTestFinished(() => timers.mockRestore());
    const looks = () => timers.mock.calls.filter(([, delay]) => delay === 5).length;
    await vi.waitFor(() => expect(looks()).toBeGreaterThan(5), 20_000);
    expect(heard).toHaveLength(1);
  });

  it('tells nothing when the same content is written again', async () => {
    const file = path.join(await temporaryFolder(), 'list');
    await writeFile(file, 'one');
    const { watched, heard, count } = watch(file);
    await watched.open();
    await writeFile(file, 'one');
    await watched.reload();
    expect(heard).toEqual([]);
    await writeFile(file, 'two');
    expect(await count(1)).toEqual(['two']);
  });

  it('is read at once by reload, which tells each failure', async () => {
    const file = path.join(await temporaryFolder(), 'list');
    await writeFile(file, 'one');
    const { watched, heard } = watch(file, BY_HAND);
    await watched.open();
    await writeFile(file, 'two');
    await watched.reload();
    expect(heard).toEqual(['two']);
    await rm(file);
    await watched.reload();
    await watched.reload();
    expect(heard.map(what => what.charAt(0))).toEqual(['t', '!', '!']);
    await writeFile(file, 'three');
    await watched.reload();
    expect(heard[3]).toBe('three');
  });

  it('tells nothing once it is closed', async () => {
    const file = path.join(await temporaryFolder(), 'list');
    await writeFile(file, 'one');
    const { watched, heard } = watch(file, BY_HAND);
    await watched.open();
    await writeFile(file, 'two');
    const reloaded = watched.reload();
    // It reads by now, which takes longer than a promise.
    for (let i = 0; i < 5; i++) await Promise.resolve();
    watched.close();
    await reloaded;
    await watched.reload();
    expect(heard).toEqual([]);
  });

  it('keeps no process alive', async () => {
    const file = path.join(await temporaryFolder(), 'list');
    await writeFile(file, 'one');
    const { watched } = watch(file, { interval: 3_600_000 });
    const timers = () => process.getActiveResourcesInfo().filter(name => name === 'Timeout').length;
    const before = timers();
    await watched.open();
    expect(timers()).toBe(before);
  });
});
