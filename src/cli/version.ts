import { readFile } from 'node:fs/promises';

/** The version in the package.json of this package: the nearest one above this file, wherever it was built to. */
export async function packageVersion(): Promise<string> {
  for (let directory = new URL('.', import.meta.url); ;) {
    const version = await versionIn(new URL('package.json', directory));
    if (version !== undefined) return version;
    const parent = new URL('..', directory);
    if (parent.href === directory.href) return 'unknown';
    directory = parent;
  }
}

async function versionIn(file: URL): Promise<string | undefined> {
  try {
    const content = JSON.parse(await readFile(file, 'utf8')) as { name?: unknown; version?: unknown };
    const isOurs = content.name === 'secure-websocket' && typeof content.version === 'string';
    return isOurs ? (content.version as string) : undefined;
  } catch {
    return undefined;
  }
}
