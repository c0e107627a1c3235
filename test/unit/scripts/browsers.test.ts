import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  findBrowsers,
  installPlan,
  missingBrowsersMessage,
  requiredBrowsers,
} from '../../../scripts/browsers.mjs';

afterEach(() => vi.unstubAllEnvs());

describe('how missing engines are installed', () => {
  const commands = (...args: Parameters<typeof installPlan>): string[] =>
    installPlan(...args).flatMap(way => way.commands.map(command => command.join(' ')));

  it('on Debian as root: packages, then Playwright', () => {
    const host = { platform: 'linux', distribution: 'debian', elevation: 'root' } as const;
    expect(commands(['chromium', 'webkit'], host)).toEqual([
      'env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=60 update -qq',
      'env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=60 install -y -qq --no-install-recommends chromium webkit2gtk-driver xvfb xauth',
      'npx --no-install playwright install --with-deps chromium webkit',
    ]);
  });

  it('on Debian with sudo: the same, by sudo and without a question', () => {
    const host = { platform: 'linux', distribution: 'debian', elevation: 'sudo' } as const;
    expect(commands(['firefox'], host)).toEqual([
      'sudo -n env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=60 update -qq',
      'sudo -n env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=60 install -y -qq --no-install-recommends firefox-esr',
      'npx --no-install playwright install --with-deps firefox',
    ]);
  });

  it.each([
    ['Debian, as a user', 'linux', 'debian', undefined, 'npx --no-install playwright install webkit'],
    ['Ubuntu, as root', 'linux', 'ubuntu', 'root', 'npx --no-install playwright install --with-deps webkit'],
    ['Fedora, as a user', 'linux', 'fedora', undefined, 'npx --no-install playwright install webkit'],
    ['macOS, with sudo', 'darwin', '', 'sudo', 'npx --no-install playwright install webkit'],
    ['Windows', 'win32', '', undefined, 'npx --no-install playwright install webkit'],
  ] as const)('on %s: Playwright', (_, platform, distribution, elevation, command) => {
    expect(commands(['webkit'], { platform, distribution, elevation })).toEqual([command]);
  });

  it('is told to somebody who has to do it', () => {
    const host = { platform: 'linux', distribution: 'debian', elevation: undefined };
    expect(missingBrowsersMessage(['firefox'], host)).toBe(
      [
        'No browser to test with: firefox.',
        'To install, run one of',
        '  sudo apt-get update && sudo apt-get install --no-install-recommends firefox-esr',
        '  npx playwright install --with-deps firefox',
        'or name one that you have: CHROMIUM_BIN, FIREFOX_BIN, WEBKIT_DRIVER and WEBKIT_BROWSER (paths).',
      ].join('\n'),
    );
  });
});

describe('the engines that are required', () => {
  it.each([
    ['all of them in continuous integration', undefined, 'true', ['chromium', 'firefox', 'webkit']],
    ['none elsewhere', undefined, undefined, []],
    ['those that are named', 'webkit, chromium', 'true', ['webkit', 'chromium']],
    ['none when none is named', '', 'true', []],
  ])('are %s', (_, REQUIRE_BROWSERS, CI, expected) => {
    vi.stubEnv('REQUIRE_BROWSERS', REQUIRE_BROWSERS);
    vi.stubEnv('CI', CI);
    expect(requiredBrowsers()).toEqual(expected);
  });

  it('are checked', () => {
    vi.stubEnv('REQUIRE_BROWSERS', 'opera');
    expect(() => requiredBrowsers()).toThrow('REQUIRE_BROWSERS names "opera"');
  });
});

describe('the engines that are here', () => {
  it('are those that the environment names', () => {
    vi.stubEnv('CHROMIUM_BIN', process.execPath);
    expect(findBrowsers().chromium).toEqual({ kind: 'system', executable: process.execPath });
  });

  it('are not those that it names wrongly', () => {
    vi.stubEnv('FIREFOX_BIN', '/nowhere/firefox');
    expect(() => findBrowsers()).toThrow('FIREFOX_BIN is "/nowhere/firefox", and there is no such file.');
  });
});
