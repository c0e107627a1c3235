// @ts-check
// Whether there is an nginx that the tests can put in front of a relay, and how to get one that is missing.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

/**
 * `stream`: what has to be loaded for its module `stream`: a file, or nothing as it is built in; undefined without one.
 *
 * @typedef {{ executable: string, stream: string | undefined }} NginxLocation
 */

/** Debian's. The second is a module that the first can load, for the PROXY protocol. */
const DEBIAN_PACKAGES = ['nginx-light', 'libnginx-mod-stream'];

/** Loaded as a file, `stream` stands in one of these. */
const MODULE_FOLDERS = ['/usr/lib/nginx/modules', '/usr/lib64/nginx/modules', '/usr/share/nginx/modules'];

/**
 * The nginx of this machine: NGINX_BIN, else that of the system. Undefined where there is none, or none with the module
 * `stream`.
 *
 * @returns {NginxLocation | undefined}
 */
export function findNginx() {
  const named = process.env['NGINX_BIN'];
  if (named && !fs.existsSync(named)) throw new Error(`NGINX_BIN is "${named}", and there is no such file.`);
  const executable = named || inPath('nginx');
  if (executable === undefined) return undefined;
  // It writes this to standard error.
  const { stderr } = spawnSync(executable, ['-V'], { encoding: 'utf8' });
  return locationOf(executable, stderr ?? '', fs.existsSync);
}

/**
 * @param {string} executable
 * @param {string} built what `nginx -V` says
 * @param {(file: string) => boolean} exists
 * @returns {NginxLocation | undefined}
 */
export function locationOf(executable, built, exists) {
  const words = built.split(/\s+/);
  if (!words.includes('--with-http_ssl_module')) return undefined;
  if (words.includes('--with-stream')) return { executable, stream: undefined };
  const told = words.find(word => word.startsWith('--modules-path='))?.slice('--modules-path='.length);
  const file = [...(told === undefined ? [] : [told]), ...MODULE_FOLDERS]
    .map(folder => path.join(folder, 'ngx_stream_module.so'))
    .find(exists);
  return file === undefined ? undefined : { executable, stream: file };
}

/** Whether nginx must not be missing: REQUIRE_NGINX is true, or else CI is. */
export function isNginxRequired() {
  return (process.env['REQUIRE_NGINX'] ?? process.env['CI']) === 'true';
}

/** @typedef {import('./browsers.mjs').Host} Host */

/**
 * Debian starts what it installs, now and with the machine. Not here: whoever runs tests has not asked for a web server.
 * A policy that somebody else has made stays.
 */
const WITHOUT_SERVICE = [
  'policy=/usr/sbin/policy-rc.d',
  'if [ ! -e $policy ]; then trap "rm -f $policy" EXIT; printf "#!/bin/sh\\nexit 101\\n" > $policy; chmod 755 $policy; fi',
  '"$@" || exit',
  'if [ -d /run/systemd/system ]; then systemctl --quiet disable nginx; fi',
].join('\n');

/**
 * The commands that install nginx, one after the other. Empty where it is not known how, or impossible.
 *
 * @param {Host} host
 * @returns {string[][]}
 */
export function nginxInstallPlan({ distribution, elevation }) {
  if ((distribution !== 'debian' && distribution !== 'ubuntu') || elevation === undefined) return [];
  const elevate = elevation === 'sudo' ? ['sudo', '-n'] : [];
  const aptGet = ['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-o', 'DPkg::Lock::Timeout=60'];
  const install = [...aptGet, 'install', '-y', '-qq', '--no-install-recommends', ...DEBIAN_PACKAGES];
  return [
    [...elevate, ...aptGet, 'update', '-qq'],
    [...elevate, 'sh', '-c', WITHOUT_SERVICE, 'sh', ...install],
  ];
}

/** What to tell somebody whose machine has none. */
export function missingNginxMessage() {
  return [
    'No nginx to test with.',
    `On Debian: sudo apt-get install --no-install-recommends ${DEBIAN_PACKAGES.join(' ')}`,
    'or name one that you have, with its modules ssl and stream: NGINX_BIN (a path).',
  ].join('\n');
}

/** @param {string} name */
function inPath(name) {
  // Where it belongs is not in the PATH of everybody.
  return [...(process.env['PATH'] ?? '').split(path.delimiter), '/usr/sbin', '/usr/local/sbin']
    .map(folder => path.join(folder, name))
    .find(file => fs.existsSync(file));
}
