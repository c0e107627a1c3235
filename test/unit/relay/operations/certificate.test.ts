import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type SecureContextOptions, type TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Certificate, type CertificateTimes } from '../../../../src/relay/operations/certificate.js';
import { WatchedFile } from '../../../../src/relay/watched-file.js';
import { CERTIFICATE, CERTIFICATE_KEY } from '../../../support/certificate.js';
import { makeCertificate } from '../../../support/make-certificate.js';

/** Files are looked at by `reload` only. */
const BY_HAND: CertificateTimes = { interval: 2 ** 31 - 1 };
/** Files are watched, and nothing is told of those that do not fit: a change is half done. */
const PATIENTLY: CertificateTimes = { interval: 5, patience: 2 ** 31 - 1 };

const EXPIRED = makeCertificate(new Date('2021-01-01T00:00:00Z'));

let folder: string;
let certFile: string;
let keyFile: string;
const cleanUps: (() => unknown)[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'certificate-'));
  certFile = join(folder, 'cert.pem');
  keyFile = join(folder, 'key.pem');
});

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
  rmSync(folder, { recursive: true });
});

/** Puts another file in the place of the one that is there, as those who renew certificates do. */
function replace(file: string, content: string): void {
  writeFileSync(`${file}.new`, content);
  renameSync(`${file}.new`, file);
}

function put({ cert, key }: { cert: string; key: string }): void {
  replace(certFile, cert);
  replace(keyFile, key);
}

/** A certificate, and all that it tells. */
function watch(times: CertificateTimes = BY_HAND) {
  const told: (Error | 'reloaded')[] = [];
  const contexts: SecureContextOptions[] = [];
  let wake = () => {};
  const observer = {
    reloaded: (what: string, error?: Error) => {
      expect(what).toBe('certificate');
      told.push(error ?? 'reloaded');
      wake();
    },
  };
  const certificate = new Certificate({ certFile, keyFile }, observer, times);
  certificate.onContext = context => contexts.push(context);
  cleanUps.push(() => certificate.close());
  /** Waits until it has told so many things. */
  const toldSoFar = async (count: number) => {
    while (told.length < count) await new Promise<void>(resolve => (wake = resolve));
    return told;
  };
  return { certificate, told, contexts, toldSoFar };
}

describe('a certificate at the start', () => {
  it('is read, with its key, and says when it expires', async () => {
    const made = makeCertificate(new Date('2100-02-03T04:05:06Z'));
    put(made);
    const { certificate, told } = watch();
    expect(certificate.expiresAt).toBe(0);
    expect(await certificate.open()).toEqual(made);
    expect(certificate.expiresAt).toBe(Date.UTC(2100, 1, 3, 4, 5, 6) / 1_000);
    expect(told).toEqual([]);
  });

  it('may have others behind it', async () => {
    const { cert, key } = makeCertificate();
    put({ cert: cert + CERTIFICATE, key });
    expect(await watch().certificate.open()).toEqual({ cert: cert + CERTIFICATE, key });
  });

  it('is refused with a reason that names the file', async () => {
    const { cert, key } = makeCertificate();
    const encrypted = generateKeyPairSync('ec', {
      namedCurve: 'P-256',
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' },
    }).privateKey;
    const cases: [pair: { cert: string; key: string }, reason: RegExp, file: string][] = [
      [{ cert: '', key }, /no certificate in PEM format/, certFile],
      [{ cert: key, key }, /no certificate in PEM format/, certFile],
      [{ cert, key: '' }, /no private key that can be read/, keyFile],
      [{ cert, key: cert }, /no private key that can be read/, keyFile],
      [{ cert, key: encrypted }, /encrypted/, keyFile],
      [{ cert, key: CERTIFICATE_KEY }, /not that of the certificate/, keyFile],
      // The wrong order: the certificate of the server comes first.
      [{ cert: CERTIFICATE + cert, key }, /comes first/, certFile],
      [{ cert: EXPIRED.cert, key: EXPIRED.key }, /expired on .*2021/, certFile],
      [
        { cert: `${cert}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`, key },
        /cannot be used/,
        certFile,
      ],
    ];
    for (const [pair, reason, file] of cases) {
      put(pair);
      const error = await watch()
        .certificate.open()
        .catch((error: unknown) => error);
      expect(error, String(reason)).toMatchObject({ code: 'INVALID_ARGUMENT' });
      const { message } = error as Error;
      expect(message).toMatch(reason);
      expect(message).toContain(file);
      for (const line of pair.key.split('\n')) if (line !== '') expect(message).not.toContain(line);
    }
  });

  it('is refused when a file is not there, or far too large', async () => {
    await expect(watch().certificate.open()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    put({ cert: CERTIFICATE, key: CERTIFICATE_KEY });
    unlinkSync(keyFile);
    await expect(watch().certificate.open()).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining(keyFile) as string,
    });
    put({ cert: CERTIFICATE + '\n'.repeat(1_048_576), key: CERTIFICATE_KEY });
    await expect(watch().certificate.open()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

describe('a certificate that changes', () => {
  it('is used as soon as both files fit, without a word about the time between', async () => {
    put(makeCertificate());
    const { certificate, told, contexts, toldSoFar } = watch(PATIENTLY);
    await certificate.open();
    for (let round = 1; round <= 3; round++) {
      const next = makeCertificate(new Date(Date.UTC(2100 + round, 0)));
      // Another pair of eyes sees the first file change at about the same time.
      const seen = new Promise<void>(resolve => {
        const other = new WatchedFile(
          certFile,
          { changed: () => resolve(), failed: () => {} },
          { interval: 20 },
        );
        cleanUps.push(() => other.close());
        void other.open().then(() => replace(certFile, next.cert));
      });
      await seen;
      expect(contexts).toHaveLength(round - 1);
      replace(keyFile, next.key);
      await toldSoFar(round);
      expect(told).toEqual(Array.from({ length: round }, () => 'reloaded'));
      expect(contexts.at(-1)).toEqual(next);
      expect(certificate.expiresAt).toBe(Date.UTC(2100 + round, 0) / 1_000);
    }
  });

  it('is seen when the files are written in place', async () => {
    put(makeCertificate());
    const { certificate, contexts, toldSoFar } = watch(PATIENTLY);
    await certificate.open();
    const next = makeCertificate();
    writeFileSync(keyFile, next.key);
    writeFileSync(certFile, next.cert);
    await toldSoFar(1);
    expect(contexts).toEqual([next]);
  });

  it('leaves the old one in use when it does not fit, and says so once patience is at its end', async () => {
    const first = makeCertificate();
    put(first);
    const { certificate, told, contexts, toldSoFar } = watch({ interval: 5, patience: 1 });
    await certificate.open();
    const before = certificate.expiresAt;
    replace(certFile, makeCertificate(new Date('2110-01-01T00:00:00Z')).cert);
    await toldSoFar(1);
    expect(told[0]).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('is not that') as string,
    });
    expect(contexts).toEqual([]);
    expect(certificate.expiresAt).toBe(before);
  });

  it('leaves the old one in use when the new one is malformed or has expired', async () => {
    put(makeCertificate());
    const { certificate, told, contexts } = watch();
    await certificate.open();
    put(EXPIRED);
    await certificate.reload();
    put({ cert: 'nonsense', key: EXPIRED.key });
    await certificate.reload();
    expect(told).toMatchObject([
      { message: expect.stringContaining('expired') as string },
      { message: expect.stringContaining('no certificate') as string },
    ]);
    expect(contexts).toEqual([]);
    const next = makeCertificate();
    put(next);
    await certificate.reload();
    expect(told[2]).toBe('reloaded');
    expect(contexts).toEqual([next]);
  });

  it('tells what does not fit once for each content, and again to whoever asks', async () => {
    put(makeCertificate());
    const { certificate, told, toldSoFar } = watch({ interval: 5, patience: 1 });
    await certificate.open();
    const { cert, key } = makeCertificate();
    replace(keyFile, key);
    await toldSoFar(1);
    // Another file with the same content, which is seen before the next that differs.
    replace(keyFile, key);
    await certificate.reload();
    expect(told).toHaveLength(2);
    expect(told[1]).toBeInstanceOf(Error);
    replace(certFile, cert);
    await toldSoFar(3);
    expect(told[2]).toBe('reloaded');
  });

  it('says once that all is well when it comes back to what is in use', async () => {
    const first = makeCertificate();
    put(first);
    const { certificate, told, contexts } = watch();
    await certificate.open();
    put(EXPIRED);
    await certificate.reload();
    put(first);
    await certificate.reload();
    await certificate.reload();
    expect(told).toEqual([expect.any(Error), 'reloaded']);
    expect(contexts).toEqual([]);
    const second = makeCertificate();
    put(second);
    await certificate.reload();
    put(first);
    await certificate.reload();
    expect(contexts).toEqual([second, first]);
  });

  it('tells when a file is gone, and goes on with what it has', async () => {
    put(makeCertificate());
    const { certificate, told, contexts, toldSoFar } = watch(PATIENTLY);
    await certificate.open();
    unlinkSync(keyFile);
    await toldSoFar(1);
    expect(told[0]).toMatchObject({ message: expect.stringContaining(keyFile) as string });
    const next = makeCertificate();
    put(next);
    await toldSoFar(2);
    expect(contexts).toEqual([next]);
  });

  it('tells nothing once it is closed', async () => {
    put(makeCertificate());
    const { certificate, told, contexts } = watch({ interval: 5, patience: 1 });
    await certificate.open();
    put(makeCertificate());
    const reloading = certificate.reload();
    certificate.close();
    await reloading;
    await certificate.reload();
    expect([...told, ...contexts]).toEqual([]);
  });

  it('does not tell again what did not fit once it is closed', async () => {
    put(makeCertificate());
    const { certificate, told } = watch();
    await certificate.open();
    replace(keyFile, makeCertificate().key);
    await certificate.reload();
    certificate.close();
    await certificate.reload();
    expect(told).toHaveLength(1);
  });
});

describe('an HTTPS server with a certificate that changes', () => {
  it('shows the new one to new connections, and keeps those that are open', async () => {
    const first = makeCertificate();
    const second = makeCertificate();
    put(first);
    const { certificate, toldSoFar } = watch(PATIENTLY);
    const server = createServer({ ...(await certificate.open()) });
    certificate.onContext = context => server.setSecureContext(context);
    server.on('upgrade', (_request, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n');
      socket.pipe(socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    cleanUps.push(() => new Promise(resolve => server.close(resolve)));

    const dial = async (ca: string): Promise<TLSSocket> => {
      const { port } = server.address() as AddressInfo;
      const socket = connect({ host: '127.0.0.1', port, ca, servername: 'localhost' });
      cleanUps.push(() => socket.destroy());
      await once(socket, 'secureConnect');
      socket.write('GET / HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n');
      await once(socket, 'data');
      return socket;
    };
    const echoes = async (socket: TLSSocket, text: string) => {
      socket.write(text);
      expect(String((await once(socket, 'data'))[0])).toBe(text);
    };
    const shown = (socket: TLSSocket) => socket.getPeerX509Certificate()?.fingerprint256;

    const old = await dial(first.cert);
    await echoes(old, 'before');
    put(second);
    await toldSoFar(1);
    const fresh = await dial(second.cert);
    expect(shown(fresh)).toBe(new X509Certificate(second.cert).fingerprint256);
    await echoes(fresh, 'new');
    await echoes(old, 'after');
    expect(shown(old)).toBe(new X509Certificate(first.cert).fingerprint256);

    put(EXPIRED);
    await certificate.reload();
    expect(shown(await dial(second.cert))).toBe(new X509Certificate(second.cert).fingerprint256);
  });
});
