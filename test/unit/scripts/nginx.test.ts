import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  findNginx,
  isNginxRequired,
  locationOf,
  missingNginxMessage,
  nginxInstallPlan,
} from '../../../scripts/nginx.mjs';

afterEach(() => vi.unstubAllEnvs());

describe('how a missing nginx is installed', () => {
  const plan = (distribution: string, elevation: 'root' | 'sudo' | undefined): string[][] =>
    nginxInstallPlan({ platform: 'linux', distribution, elevation });
  const UPDATE = 'env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=60 update -qq';
  const INSTALL =
    'env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=60 install -y -qq --no-install-recommends nginx-light libnginx-mod-stream';

  it('on Debian as root: packages, whose service is not started', () => {
    const [update = [], install = [], ...more] = plan('debian', 'root');
    expect(more).toEqual([]);
    expect(update.join(' ')).toBe(UPDATE);
    expect(install.slice(0, 2)).toEqual(['sh', '-c']);
    expect(install[2]).toContain('exit 101');
    expect(install.slice(3).join(' ')).toBe(`sh ${INSTALL}`);
  });

  it('on Debian with sudo: the same, by sudo and without a question', () => {
    expect(plan('debian', 'sudo')).toEqual(plan('ubuntu', 'root').map(command => ['sudo', '-n', ...command]));
  });

  it.each([
    ['Debian, as a user', 'debian', undefined],
    ['Fedora, as root', 'fedora', 'root'],
    ['something else', '', 'sudo'],
  ] as const)('on %s: not at all', (_, distribution, elevation) => {
    expect(plan(distribution, elevation)).toEqual([]);
  });

  it('is told to somebody who has to do it', () => {
    expect(missingNginxMessage()).toContain('nginx-light libnginx-mod-stream');
    expect(missingNginxMessage()).toContain('NGINX_BIN');
  });
});

describe('whether it is required', () => {
  it.each([
    ['in continuous integration', undefined, 'true', true],
    ['not elsewhere', undefined, undefined, false],
    ['where somebody says so', 'true', undefined, true],
    ['not where somebody says so', 'false', 'true', false],
  ])('%s', (_, REQUIRE_NGINX, CI, expected) => {
    vi.stubEnv('REQUIRE_NGINX', REQUIRE_NGINX);
    vi.stubEnv('CI', CI);
    expect(isNginxRequired()).toBe(expected);
  });
});

describe('an nginx', () => {
  const SSL = 'configure arguments: --with-http_ssl_module';

  it('may have the module stream built in', () => {
    expect(locationOf('nginx', `${SSL} --with-stream --with-http_v2_module`, () => false)).toEqual({
      executable: 'nginx',
      stream: undefined,
    });
  });

  it('may load it', () => {
    const built = `${SSL} --modules-path=/opt/modules --with-stream=dynamic`;
    const file = '/opt/modules/ngx_stream_module.so';
    expect(locationOf('nginx', built, path => path === file)).toEqual({ executable: 'nginx', stream: file });
    expect(locationOf('nginx', `${SSL} --with-stream=dynamic`, path => path.startsWith('/usr/lib/'))).toEqual(
      {
        executable: 'nginx',
        stream: '/usr/lib/nginx/modules/ngx_stream_module.so',
      },
    );
  });

  it('is none without it, or without TLS', () => {
    expect(locationOf('nginx', SSL, () => false)).toBeUndefined();
    expect(locationOf('nginx', '--with-stream', () => true)).toBeUndefined();
    expect(locationOf('nginx', '', () => true)).toBeUndefined();
  });

  it('is not one that the environment names wrongly', () => {
    vi.stubEnv('NGINX_BIN', '/nowhere/nginx');
    expect(() => findNginx()).toThrow('NGINX_BIN is "/nowhere/nginx", and there is no such file.');
  });

  it('is not any program that the environment names', () => {
    vi.stubEnv('NGINX_BIN', process.execPath);
    expect(findNginx()).toBeUndefined();
  });
});
