import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  findPython,
  isPythonRequired,
  missingPythonMessage,
  pythonInstallPlan,
} from '../../../scripts/python.mjs';

afterEach(() => vi.unstubAllEnvs());

describe('how a missing Python is installed', () => {
  const plan = (distribution: string, elevation: 'root' | 'sudo' | undefined): string[] =>
    pythonInstallPlan({ platform: 'linux', distribution, elevation }).map(command => command.join(' '));
  const APT_GET = 'env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=60';

  it('on Debian as root', () => {
    expect(plan('debian', 'root')).toEqual([
      `${APT_GET} update -qq`,
      `${APT_GET} install -y -qq --no-install-recommends python3 python3-websockets`,
    ]);
  });

  it('on Debian with sudo: the same, by sudo and without a question', () => {
    expect(plan('debian', 'sudo')).toEqual(plan('ubuntu', 'root').map(command => `sudo -n ${command}`));
  });

  it.each([
    ['Debian, as a user', 'debian', undefined],
    ['Fedora, as root', 'fedora', 'root'],
    ['something else', '', 'sudo'],
  ] as const)('on %s: not at all', (_, distribution, elevation) => {
    expect(plan(distribution, elevation)).toEqual([]);
  });

  it('is told to somebody who has to do it', () => {
    expect(missingPythonMessage()).toContain('python3-websockets');
    expect(missingPythonMessage()).toContain('PYTHON_BIN');
  });
});

describe('whether it is required', () => {
  it.each([
    ['in continuous integration', undefined, 'true', true],
    ['not elsewhere', undefined, undefined, false],
    ['where somebody says so', 'true', undefined, true],
    ['not where somebody says so', 'false', 'true', false],
  ])('%s', (_, REQUIRE_PYTHON, CI, expected) => {
    vi.stubEnv('REQUIRE_PYTHON', REQUIRE_PYTHON);
    vi.stubEnv('CI', CI);
    expect(isPythonRequired()).toBe(expected);
  });
});

describe('a Python', () => {
  it('is not one that the environment names wrongly', () => {
    vi.stubEnv('PYTHON_BIN', '/nowhere/python3');
    expect(() => findPython()).toThrow('PYTHON_BIN is "/nowhere/python3", and there is no such file.');
  });

  it('is none without its package', () => {
    vi.stubEnv('PYTHON_BIN', process.execPath);
    expect(findPython()).toBeUndefined();
  });
});
