import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { RELAY_SETTINGS } from '../../src/cli/relay-settings.js';
import { variableOf } from '../../src/cli/setting.js';
import { Identity } from '../../src/core/identity.js';
import { DROP_REASONS, LIMITS } from '../../src/relay/relay-observer.js';
import { Metrics } from '../../src/relay/operations/metrics.js';
import { makeCertificate } from '../support/make-certificate.js';
import { outcome, relayScene } from '../support/relay-scene.js';
import { snapshotOf } from '../support/relay-snapshot.js';
import { temporaryFolder } from '../support/temporary-folder.js';

// What docs/operations.md says of the relay, as far as it can be held against it.

const GUIDE = readFileSync('docs/operations.md', 'utf8');
/** Without blocks of code, whose quotes would be taken for others. */
const PROSE = GUIDE.replaceAll(/^```[\s\S]*?^```$/gm, '');
const scene = relayScene();

/** The text under a heading. */
function section(heading: string): string {
  const start = GUIDE.indexOf(`\n## ${heading}\n`);
  if (start < 0) throw new Error(`There is no "${heading}".`);
  const end = GUIDE.indexOf('\n## ', start + 1);
  return GUIDE.slice(start, end < 0 ? undefined : end);
}

/** Code blocks of a language. */
function blocks(language: string): string[] {
  return [...GUIDE.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm'))].map(
    ([, text = '']) => text,
  );
}

const quoted = (text: string): string[] => [...text.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code);
const settings = new Map<string, string>(RELAY_SETTINGS.map(({ name, fallback }) => [name, fallback]));

describe('the guide for operators', () => {
  it('lists every metric that the relay tells, and no other', async () => {
    const folder = await temporaryFolder();
    const { cert, key } = makeCertificate();
    const [certFile, keyFile] = [path.join(folder, 'cert.pem'), path.join(folder, 'key.pem')];
    await writeFile(certFile, cert);
    await writeFile(keyFile, key);
    const relay = await scene.relay({ internal: { port: 0 }, tls: { certFile, keyFile } });
    const text = await (await fetch(`${String(relay.internalUrl)}/metrics`)).text();
    const told = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
    const listed = quoted(section('Metrics'))
      .map(code => code.replace(/\{.*/, ''))
      .filter(code => /^(secure_websocket|process|nodejs)_/.test(code));
    expect(listed.sort()).toEqual(told.sort());
  });

  it('lists every limit with its settings and their defaults', () => {
    const rows = new Map(
      [...section('Limits').matchAll(/^\| `([a-z_]+)` +\|([^|]*)\|/gm)].map(([, label = '', cell = '']) => [
        label,
        cell,
      ]),
    );
    expect([...rows.keys()].sort()).toEqual([...LIMITS].sort());
    for (const [label, cell] of rows) {
      const named = [...cell.matchAll(/`([a-z-]+)` ([^,|]+)/g)];
      expect(named.length, label).toBeGreaterThan(0);
      for (const [, name = '', fallback = ''] of named) {
        expect(settings.get(name), `${label}: ${name}`).toBe(fallback.trim());
      }
    }
    const used = [...rows.values()].join(' ');
    for (const { name, group } of RELAY_SETTINGS) {
      if (group === 'limits' && !['keepalive-interval', 'exclusive'].includes(name)) {
        expect(used, name).toContain(`\`${name}\``);
      }
    }
  });

  it('lists every reason to drop an envelope', () => {
    for (const reason of DROP_REASONS) expect(section('Metrics')).toContain(`\`${reason}\``);
  });

  it('lists every error code that refusals are counted under, and none that there is not', async () => {
    const source = readFileSync('src/core/errors.ts', 'utf8');
    const codes = [...source.matchAll(/'([A-Z][A-Z0-9_]+)'/g)].map(([, code = '']) => code);
    const metrics = await Metrics.create(() => snapshotOf(), '');
    for (const code of codes) metrics.refused({ remoteAddress: undefined, code, message: '' });
    const rendered = await metrics.render();
    metrics.close();
    const counted = [...rendered.matchAll(/(?<!space_)refusals_total\{code="(\w+)"\}/g)].map(
      ([, code = '']) => code,
    );
    expect(counted.length).toBeGreaterThan(20);
    const listed = quoted(section('Error codes'));
    for (const code of counted) expect(listed, code).toContain(code);
    for (const code of quoted(PROSE).filter(each => /^[A-Z]+_[A-Z_]+$/.test(each))) {
      if (!code.startsWith('SECURE_WEBSOCKET')) expect(codes, code).toContain(code);
    }
  });

  it('lists every close code of a relay', () => {
    const text = section('Close codes');
    for (const code of [1000, 1001, 1002, 1006, 1008, 1009, 1012, 1013, 4001, 4002, 4003, 4004]) {
      expect(text).toContain(String(code));
    }
  });

  it('names settings that there are', () => {
    const keys = blocks('yaml').flatMap(block => {
      const data = parse(block) as Record<string, unknown>;
      return 'spec' in data || 'initContainers' in data ? [] : Object.keys(data);
    });
    expect(keys.length).toBeGreaterThan(3);
    for (const key of keys) expect(settings.has(key), key).toBe(true);
    for (const code of quoted(PROSE)) {
      const name = /^([a-z]+(?:-[a-z]+)+):? /.exec(`${code} `)?.[1];
      const groups = /^(max|jwt|admission|reach|drain|audit|internal|tls|key|handshake|trusted|public)-/;
      if (name === undefined || !groups.test(name)) continue;
      expect(settings.has(name), name).toBe(true);
    }
  });

  it('names variables that there are, and changes all that two relays must not share', async () => {
    const known = new Set([...RELAY_SETTINGS.map(({ name }) => variableOf(name)), 'SECURE_WEBSOCKET_HOME']);
    const named = [...GUIDE.matchAll(/\bSECURE_WEBSOCKET_[A-Z_]*[A-Z]\b/g)].map(([name]) => name);
    expect(named.length).toBeGreaterThan(5);
    for (const name of named) expect(known.has(name), name).toBe(true);

    const script = blocks('sh').find(block => block.includes('secure-websocket-relay-2.service')) ?? '';
    const folder = await temporaryFolder();
    await copyFile(
      'deploy/secure-websocket-relay.service',
      path.join(folder, 'secure-websocket-relay.service'),
    );
    const making = script.split('\n').filter(line => !/^(?:cd|systemctl) /.test(line));
    await promisify(execFile)('sh', ['-e', '-c', making.join('\n')], { cwd: folder });
    const unit = await readFile(path.join(folder, 'secure-websocket-relay-2.service'), 'utf8');
    const section = unit.slice(unit.indexOf('\n[Service]\n'), unit.indexOf('\n[Install]\n'));
    const first = parse(readFileSync('deploy/relay.yaml', 'utf8')) as Record<string, unknown>;
    for (const name of ['port', 'internal-port', 'audit-log']) {
      const [, value] = new RegExp(`^Environment=${variableOf(name)}=(.+)$`, 'm').exec(section) ?? [];
      expect(value, name).toBeTruthy();
      expect(value, name).not.toBe(String(first[name]));
    }
  });

  it('leads to files and headings that there are', () => {
    const headingsOf = (text: string): string[] =>
      [...text.matchAll(/^##+ (.*)$/gm)].map(([, heading = '']) =>
        heading
          .toLowerCase()
          .replaceAll(/[^\w -]/g, '')
          .replaceAll(' ', '-'),
      );
    const targets = [...GUIDE.matchAll(/\]\(([^)]+)\)/g)].map(([, target = '']) => target);
    expect(targets.length).toBeGreaterThan(20);
    for (const target of targets) {
      const [file = '', heading] = target.split('#');
      const where = path.join('docs', file);
      expect(existsSync(where), target).toBe(true);
      if (heading === undefined) continue;
      expect(headingsOf(file === '' ? GUIDE : readFileSync(where, 'utf8')), target).toContain(heading);
    }
  });

  it('makes tokens that let in', async () => {
    const folder = await temporaryFolder();
    const script = blocks('js').find(block => block.startsWith('// token.mjs')) ?? '';
    await writeFile(path.join(folder, 'token.mjs'), script);
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    await writeFile(path.join(folder, 'jwt-private.pem'), pem);
    const keyFile = path.join(folder, 'jwt-public.pem');
    await writeFile(keyFile, publicKey.export({ type: 'spki', format: 'pem' }).toString());

    await expect(promisify(execFile)(process.execPath, ['token.mjs'], { cwd: folder })).rejects.toMatchObject(
      {
        code: 2,
        stderr: 'node token.mjs <user> <public key, 64 lowercase hex digits>\n',
      },
    );
    const identity = await Identity.generate();
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['token.mjs', 'alice', identity.publicKey],
      { cwd: folder },
    );
    const relay = await scene.relay({
      admission: {
        jwt: {
          keyFile,
          issuer: 'https://auth.example',
          audience: 'wss://relay.example',
          algorithms: ['EdDSA'],
          keyClaim: 'key',
        },
      },
    });
    const token = stdout.trim();
    const server = await scene.echo(relay, { identity, token });
    expect(relay.connections).toBe(1);
    const other = await scene.client(server.url, { token });
    expect(await outcome(other)).toBe('TOKEN_NOT_YOURS');
  });
});
