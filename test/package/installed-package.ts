// The package as somebody else gets it: packed, and installed beside a program of theirs.
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const repository = fileURLToPath(new URL('../../', import.meta.url));

/**
 * Packs the package and installs it in a temporary folder, together with what it depends on (and `others`: packages
 * of this repository by name). Nothing comes from the network: what is here already is copied.
 *
 * @returns the folder, to be removed after use
 */
export async function installPackage(others: readonly string[] = []): Promise<string> {
  requireBuild();
  const folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'secure-websocket-')));
  fs.writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ name: 'consumer', private: true }));
  const packed = await npm(['pack', '--json', '--dry-run=false', '--pack-destination', folder], repository);
  const [{ filename }] = JSON.parse(packed) as [{ filename: string }];
  const local = [...dependencies(repository), ...others].map(name =>
    path.join(repository, 'node_modules', name),
  );
  await npm(
    [
      'install',
      '--offline',
      '--install-links',
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      filename,
      ...local,
    ],
    folder,
  );
  return folder;
}

/** What the package in `folder` depends on, and what that depends on. */
function dependencies(folder: string, found = new Set<string>()): Set<string> {
  const manifest = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8')) as {
    dependencies?: Record<string, string>;
  };
  for (const name of Object.keys(manifest.dependencies ?? {})) {
    if (found.has(name)) continue;
    found.add(name);
    dependencies(path.join(repository, 'node_modules', name), found);
  }
  return found;
}

export function removeFolder(folder: string): void {
  fs.rmSync(folder, { recursive: true, force: true });
}

/** Runs a command and resolves to what it printed; rejects with all that it printed. */
export function run(command: string, args: readonly string[], cwd: string): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(command, args, { cwd, timeout: 110_000, maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else
        reject(new Error(`${path.basename(command)} ${args.join(' ')}\n${stdout}${stderr || error.message}`));
    });
  });
}

/** Runs a Node program. */
export function node(args: readonly string[], cwd: string): Promise<string> {
  return run(process.execPath, args, cwd);
}

function npm(args: readonly string[], cwd: string): Promise<string> {
  // npm says where it is to what it runs.
  const script = process.env['npm_execpath'];
  return script?.endsWith('.js') ? node([script, ...args], cwd) : run('npm', args, cwd);
}

/** Fails where `dist` is missing or older than `src`: what would be tested is something else. */
export function requireBuild(): void {
  const built = modificationTime(path.join(repository, 'dist', 'server.cjs'));
  const sources = fs
    .readdirSync(path.join(repository, 'src'), { recursive: true, encoding: 'utf8' })
    .map(name => modificationTime(path.join(repository, 'src', name)));
  if (Math.max(...sources) > built)
    throw new Error('dist is missing or older than src: run "npm run build" first.');
}

function modificationTime(file: string): number {
  return fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
