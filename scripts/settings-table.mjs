// Writes docs/relay-settings.md from the settings as they are in src/cli/relay-settings.ts.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import * as prettier from 'prettier';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Where the table stands. */
export const SETTINGS_FILE = path.join(ROOT, 'docs', 'relay-settings.md');

const INTRODUCTION = `
# Settings of the relay

<!-- Written by \`npm run settings\` from src/cli/relay-settings.ts: change it there. -->

Each is an option of \`secure-websocket relay\` (\`--max-frame 1MiB\`), an environment variable
(\`SECURE_WEBSOCKET_MAX_FRAME=1MiB\`), a name in a configuration file (\`max-frame: 1MiB\`), and, but for the last column's
"–", an option of \`Relay\` in code (\`maxFrame: 1_048_576\`). What is given on the command line counts first, then the
environment, then the file, then the default.

- The file is named by \`--config\` or \`SECURE_WEBSOCKET_CONFIG\`, and ends in \`.yaml\`, \`.yml\` or \`.json\`: one mapping, of
  names as below to values. Paths in it start from the folder that it is in.
- **integer**, and **boolean**: \`true\` or \`false\`. On the command line a boolean goes without a value, and
  \`--no-exclusive\` is false.
- **duration**: \`500ms\`, \`10s\`, \`5m\`, \`2h\`, \`1d\`. In code they are milliseconds.
- **bytes**: \`262144\`, \`256KiB\`, \`1MiB\`, \`64KB\`, with the units in upper case. In code they are numbers.
- **list of**: the option is repeated (\`--public-url wss://a.example --public-url wss://b.example\`), commas stand between
  values in the environment, and the file has an array. One that is given replaces the whole list of what counts less.
- Secrets are given as files only: command lines and environments show in lists of processes.

What is unknown, or cannot be what it is, ends the relay before it listens, and all of it is told at once. Files that are
named are looked at when all settings are right. \`secure-websocket relay --check-config\` starts nothing: it tells all that is
wrong with the settings, and that files were not looked at yet; when nothing is, all that is wrong with files (lists, keys,
certificates, the identity, logs that cannot be written); and when all is well, what is in effect.

\`\`\`yaml
# relay.yaml
port: 443
tls-cert: certificates/chain.pem
tls-key: certificates/key.pem
public-url: [wss://relay.example, wss://relay.example.org]
max-connections: 50000
keepalive-interval: 1m
internal-port: 9464
\`\`\`
`;

/** @returns {Promise<string>} what belongs in `SETTINGS_FILE` */
export async function settingsDocument() {
  const { RELAY_SETTINGS, GROUPS } = await loadSettings();
  const parts = [INTRODUCTION.trim()];
  for (const [group, heading] of Object.entries(GROUPS)) {
    const rows = RELAY_SETTINGS.filter(setting => setting.group === group).map(
      ({ name, kind, isList, fallback, help, option }) => {
        const type = isList ? `list of ${kind.name}` : kind.name;
        const code = option === undefined ? '–' : `\`${option}\``;
        return `| \`${name}\` | ${type} | ${fallback} | ${help.replaceAll('|', '\\|')} | ${code} |`;
      },
    );
    parts.push(
      `## ${heading}`,
      ['| setting | type | default | | in code |', '| --- | --- | --- | --- | --- |', ...rows].join('\n'),
    );
  }
  const options = await prettier.resolveConfig(SETTINGS_FILE);
  return prettier.format(`${parts.join('\n\n')}\n`, { ...options, parser: 'markdown' });
}

/** The settings as they are in the source: what is in dist may be older. */
async function loadSettings() {
  const cache = path.join(ROOT, 'node_modules', '.cache');
  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(path.join(cache, 'settings-'));
  try {
    const outfile = path.join(folder, 'settings.mjs');
    await build({
      stdin: {
        contents: `export * from './src/cli/relay-settings.js'; export { GROUPS } from './src/cli/setting.js';`,
        resolveDir: ROOT,
        loader: 'ts',
      },
      outfile,
      bundle: true,
      platform: 'node',
      format: 'esm',
      packages: 'external',
      logLevel: 'silent',
    });
    return await import(pathToFileURL(outfile).href);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await writeFile(SETTINGS_FILE, await settingsDocument());
}
