// @ts-check
// Which browser engines can run the tests on this machine, and how to get the ones that are missing.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { chromium, firefox, webkit } from 'playwright';

/** @typedef {'chromium' | 'firefox' | 'webkit'} Engine */

/**
 * Where an engine is. Playwright's own build needs no path; a system WebKit is driven through its WebDriver.
 *
 * @typedef {{ kind: 'playwright' }
 *   | { kind: 'system', executable: string }
 *   | { kind: 'webdriver', driver: string, browser: string }} BrowserLocation
 */

/** @type {readonly Engine[]} */
export const ENGINES = ['chromium', 'firefox', 'webkit'];

/**
 * The engines that can run here. Asked in this order: the environment (CHROMIUM_BIN, FIREFOX_BIN,
 * WEBKIT_DRIVER with WEBKIT_BROWSER), Playwright's own builds, the system's browsers.
 *
 * @returns {Partial<Record<Engine, BrowserLocation>>}
 */
export function findBrowsers() {
  return omitMissing({
    chromium:
      fromEnvironment('CHROMIUM_BIN') ??
      playwrightBuild(chromium) ??
      system('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'),
    firefox: fromEnvironment('FIREFOX_BIN') ?? playwrightBuild(firefox) ?? system('firefox-esr', 'firefox'),
    webkit: process.env['WEBKIT_DRIVER'] ? webkitGtk() : (playwrightBuild(webkit) ?? webkitGtk()),
  });
}

/**
 * The engines that must not be missing: REQUIRE_BROWSERS, a list with commas; all of them by default where
 * CI=true, none elsewhere.
 *
 * @returns {Engine[]}
 */
export function requiredBrowsers() {
  const wanted = process.env['REQUIRE_BROWSERS'] ?? (process.env['CI'] === 'true' ? ENGINES.join() : '');
  return wanted
    .split(',')
    .map(name => name.trim())
    .filter(name => name !== '')
    .map(name => {
      const engine = ENGINES.find(known => known === name);
      if (engine === undefined) {
        throw new Error(`REQUIRE_BROWSERS names "${name}"; it can name ${ENGINES.join(', ')}.`);
      }
      return engine;
    });
}

/**
 * What to tell somebody whose machine lacks engines.
 *
 * @param {readonly Engine[]} missing
 * @param {Host} [host]
 */
export function missingBrowsersMessage(missing, host = thisHost()) {
  const commands = installPlan(missing, { ...host, elevation: host.elevation ?? 'sudo' });
  return [
    `No browser to test with: ${missing.join(', ')}.`,
    'To install, run one of',
    ...commands.map(command => `  ${command.title}`),
    'or name one that you have: CHROMIUM_BIN, FIREFOX_BIN, WEBKIT_DRIVER and WEBKIT_BROWSER (paths).',
  ].join('\n');
}

/**
 * What decides how software is installed. `elevation` is how to become root without a question: nothing to be
 * done, `sudo`, or impossible (undefined).
 *
 * @typedef {{ platform: string, distribution: string, elevation: 'root' | 'sudo' | undefined }} Host
 */

/** @returns {Host} */
export function thisHost() {
  const platform = process.platform;
  const sudo = () =>
    platform !== 'win32' && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0;
  return {
    platform,
    distribution: platform === 'linux' ? distribution() : '',
    elevation: process.getuid?.() === 0 ? 'root' : sudo() ? 'sudo' : undefined,
  };
}

/** Debian's names. Those of Ubuntu lead to snap packages, which cannot be automated. */
const DEBIAN_PACKAGES = {
  chromium: ['chromium'],
  firefox: ['firefox-esr'],
  webkit: ['webkit2gtk-driver', 'xvfb', 'xauth'],
};

/**
 * Ways to install the missing engines, best first; each is a list of commands. The first is enough when it works.
 *
 * @param {readonly Engine[]} missing
 * @param {Host} host
 * @returns {{ title: string, commands: string[][] }[]}
 */
export function installPlan(missing, { platform, distribution, elevation }) {
  const plan = [];
  if (distribution === 'debian' && elevation !== undefined) {
    const elevate = elevation === 'sudo' ? ['sudo', '-n'] : [];
    const packages = missing.flatMap(engine => DEBIAN_PACKAGES[engine]);
    const aptGet = [
      ...elevate,
      'env',
      'DEBIAN_FRONTEND=noninteractive',
      'apt-get',
      '-o',
      'DPkg::Lock::Timeout=60',
    ];
    const sudo = elevation === 'sudo' ? 'sudo ' : '';
    plan.push({
      title: `${sudo}apt-get update && ${sudo}apt-get install --no-install-recommends ${packages.join(' ')}`,
      commands: [
        [...aptGet, 'update', '-qq'],
        [...aptGet, 'install', '-y', '-qq', '--no-install-recommends', ...packages],
      ],
    });
  }
  // Libraries of the system can only be installed by root; Playwright knows the names of some distributions.
  const withDependencies = platform === 'linux' && elevation !== undefined ? ['--with-deps'] : [];
  const playwright = ['playwright', 'install', ...withDependencies, ...missing];
  plan.push({ title: `npx ${playwright.join(' ')}`, commands: [['npx', '--no-install', ...playwright]] });
  return plan;
}

/** @returns {string} `debian`, `ubuntu`, … as /etc/os-release names it; derivatives count as what they come from. */
function distribution() {
  try {
    const fields = Object.fromEntries(
      fs
        .readFileSync('/etc/os-release', 'utf8')
        .split('\n')
        .map(line => line.split('='))
        .map(([key, value]) => [key, value?.replaceAll('"', '')]),
    );
    const family = [fields['ID'], ...(fields['ID_LIKE'] ?? '').split(' ')];
    return (
      family.find(name => name === 'ubuntu') ?? family.find(name => name === 'debian') ?? fields['ID'] ?? ''
    );
  } catch {
    return '';
  }
}

/**
 * @param {string} name of an environment variable that holds a path
 * @returns {BrowserLocation | undefined}
 */
function fromEnvironment(name) {
  const executable = pathFromEnvironment(name);
  return executable === undefined ? undefined : { kind: 'system', executable };
}

/** @param {string} name */
function pathFromEnvironment(name) {
  const file = process.env[name];
  if (!file) return undefined;
  if (!fs.existsSync(file)) throw new Error(`${name} is "${file}", and there is no such file.`);
  return file;
}

/**
 * @param {{ executablePath(): string }} browserType
 * @returns {BrowserLocation | undefined}
 */
function playwrightBuild(browserType) {
  try {
    return fs.existsSync(browserType.executablePath()) ? { kind: 'playwright' } : undefined;
  } catch {
    // Playwright has no build for this system.
    return undefined;
  }
}

/**
 * @param {...string} names of executables, best first
 * @returns {BrowserLocation | undefined}
 */
function system(...names) {
  const executable = names.map(inPath).find(file => file !== undefined && !isSnap(file));
  return executable === undefined ? undefined : { kind: 'system', executable };
}

/**
 * The system's WebKitGTK: its WebDriver, the little browser that comes with it, and a display.
 *
 * @returns {BrowserLocation | undefined}
 */
function webkitGtk() {
  const driver = pathFromEnvironment('WEBKIT_DRIVER') ?? inPath('WebKitWebDriver');
  const browser = pathFromEnvironment('WEBKIT_BROWSER') ?? miniBrowser();
  const display = process.env['DISPLAY'] ?? process.env['WAYLAND_DISPLAY'] ?? inPath('xvfb-run');
  if (driver === undefined || browser === undefined || display === undefined) return undefined;
  return { kind: 'webdriver', driver, browser };
}

/** MiniBrowser stands outside PATH, in a folder named after the version of WebKitGTK's interface. */
function miniBrowser() {
  const roots = [
    '/usr/libexec',
    '/usr/lib',
    '/usr/lib64',
    ...subfolders('/usr/lib').filter(name => name.includes('-linux-')),
  ];
  return roots
    .flatMap(root =>
      ['webkitgtk-6.0', 'webkit2gtk-4.1', 'webkit2gtk-4.0'].map(name => path.join(root, name, 'MiniBrowser')),
    )
    .find(file => fs.existsSync(file));
}

/** @param {string} folder */
function subfolders(folder) {
  try {
    return fs.readdirSync(folder).map(name => path.join(folder, name));
  } catch {
    return [];
  }
}

/** @param {string} name */
function inPath(name) {
  return (process.env['PATH'] ?? '')
    .split(path.delimiter)
    .map(folder => path.join(folder, name))
    .find(file => fs.existsSync(file));
}

/**
 * Whether this only leads to a snap, as Ubuntu's browsers do: a snap cannot read a profile in the temporary folder.
 *
 * @param {string} file
 */
function isSnap(file) {
  const target = fs.realpathSync(file);
  if (target === '/usr/bin/snap') return true;
  const start = Buffer.alloc(4096);
  const handle = fs.openSync(target, 'r');
  try {
    const length = fs.readSync(handle, start);
    return /snap install|\/snap\/bin/.test(start.toString('latin1', 0, length));
  } finally {
    fs.closeSync(handle);
  }
}

/**
 * @template {string} K
 * @template V
 * @param {Record<K, V | undefined>} entries
 * @returns {Partial<Record<K, V>>}
 */
function omitMissing(entries) {
  return /** @type {Partial<Record<K, V>>} */ (
    Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined))
  );
}
