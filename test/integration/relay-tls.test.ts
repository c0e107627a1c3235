import { once } from 'node:events';
import fs from 'node:fs/promises';
import path from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { describe, expect, it, vi } from 'vitest';
import { Identity } from '../../src/core/identity.js';
import { Relay } from '../../src/relay/relay.js';
import { makeCertificate, type MadeCertificate } from '../support/make-certificate.js';
import { event, exchange, failure, outcome, relayScene } from '../support/relay-scene.js';
import { temporaryFolder } from '../support/temporary-folder.js';

vi.setConfig({ testTimeout: 30_000 });

const scene = relayScene();

/** Seconds since 1970. */
const seconds = (date: string): number => Date.parse(date) / 1_000;
const UNTIL_2100 = '2100-02-03T04:05:06Z';
const UNTIL_2110 = '2110-02-03T04:05:06Z';

interface Files {
  readonly certFile: string;
  readonly keyFile: string;
  /** Puts others in the place of those that are there, as whoever renews certificates does. */
  put(pair: Partial<MadeCertificate>): Promise<void>;
}

async function files(pair: MadeCertificate): Promise<Files> {
  const folder = await temporaryFolder();
  const [certFile, keyFile] = ['cert.pem', 'key.pem'].map(name => path.join(folder, name)) as [
    string,
    string,
  ];
  const replace = async (file: string, content: string | undefined): Promise<void> => {
    if (content === undefined) return;
    await fs.writeFile(`${file}.new`, content);
    await fs.rename(`${file}.new`, file);
  };
  const put = async ({ cert, key }: Partial<MadeCertificate>): Promise<void> => {
    await replace(keyFile, key);
    await replace(certFile, cert);
  };
  await put(pair);
  return { certFile, keyFile, put };
}

/** A relay with a certificate, a service behind it, and a client of that which has said hello. */
async function setUp() {
  const first = makeCertificate(new Date(UNTIL_2100));
  const on = await files(first);
  const { certFile, keyFile } = on;
  const relay = await scene.relay({ tls: { certFile, keyFile } });
  const gone: unknown[] = [];
  relay.on('disconnection', (...args) => gone.push(args));
  const { url } = await scene.echo(relay, { tls: { ca: first.cert } });
  const socket = await scene.client(url, { tls: { ca: first.cert } });
  expect(await outcome(socket)).toBe('open');
  expect(await exchange(socket, 'hello')).toBe('hello');
  return {
    relay,
    first,
    on,
    url,
    /** Whoever trusts this certificate gets in, or not. */
    comes: async ({ cert }: MadeCertificate) => outcome(await scene.client(url, { tls: { ca: cert } })),
    /** Nobody was disconnected, and the first client still is where it was. */
    undisturbed: async (): Promise<void> => {
      expect(await exchange(socket, 'still here')).toBe('still here');
      expect(gone).toEqual([]);
    },
  };
}

/** The certificate with which a TLS connection begins. */
async function shown(relay: Relay): Promise<string> {
  const { port } = new URL(relay.url);
  const socket: TLSSocket = connect({ host: '127.0.0.1', port: Number(port), rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { valid_to: validTo } = socket.getPeerCertificate();
  socket.destroy();
  return new Date(validTo).toISOString();
}

describe('a relay with a certificate', () => {
  it('is dialled by wss, by whoever trusts it, and says when it expires', async () => {
    const { relay, first, comes, undisturbed } = await setUp();
    expect(relay.url).toMatch(/^wss:\/\/127\.0\.0\.1:\d+$/);
    expect(relay.snapshot().certificateExpiresAt).toBe(seconds(UNTIL_2100));
    expect(await comes(first)).toBe('open');
    expect(await comes(makeCertificate())).toBe('LINK_FAILED');
    await undisturbed();
  });

  it('is not there for who speaks no TLS, and outlives them', async () => {
    const { relay, url, undisturbed } = await setUp();
    const plain = await failure(await scene.client(url?.replace('wss:', 'ws:')));
    expect(plain).toMatchObject({ code: 'LINK_FAILED' });
    await undisturbed();
    expect(relay.isReady).toBe(true);
  });

  it('uses a new one as soon as it is there, without dropping anybody', async () => {
    const { relay, first, on, comes, undisturbed } = await setUp();
    const second = makeCertificate(new Date(UNTIL_2110));
    const reloaded = event(relay, 'reloaded');
    await on.put(second);
    // Nobody has called anything: the files are looked at.
    expect(await reloaded).toEqual(['certificate', undefined]);
    expect(await shown(relay)).toBe(new Date(UNTIL_2110).toISOString());
    expect(relay.snapshot().certificateExpiresAt).toBe(seconds(UNTIL_2110));
    await undisturbed();
    expect(await comes(second)).toBe('open');
    expect(await comes(first)).toBe('LINK_FAILED');
  });

  it('uses a new one when it is told to look', async () => {
    const { relay, on, comes, undisturbed } = await setUp();
    const second = makeCertificate(new Date(UNTIL_2110));
    await on.put(second);
    const told: unknown[] = [];
    relay.on('reloaded', (...args) => told.push(args));
    await relay.reload();
    expect(told).toEqual([['certificate', undefined]]);
    expect(relay.snapshot().certificateExpiresAt).toBe(seconds(UNTIL_2110));
    expect(await comes(second)).toBe('open');
    await undisturbed();
  });

  it.each<[string, () => Partial<MadeCertificate>, RegExp]>([
    ['no certificate', () => ({ cert: 'this is none' }), /no certificate in PEM format/],
    ['a key of another', () => ({ key: makeCertificate().key }), /not that of the certificate/],
    ['one that has expired', () => makeCertificate(new Date('2021-01-01T00:00:00Z')), /expired/],
  ])('goes on with the one that it has when it is given %s, and says so', async (_, bad, message) => {
    const { relay, first, on, comes, undisturbed } = await setUp();
    await on.put(bad());
    const told: [unknown, Error | undefined][] = [];
    relay.on('reloaded', (what, error) => told.push([what, error]));
    await relay.reload();
    expect(told).toHaveLength(1);
    expect(told[0]?.[0]).toBe('certificate');
    expect(told[0]?.[1]).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(told[0]?.[1]?.message).toMatch(message);
    expect(await shown(relay)).toBe(new Date(UNTIL_2100).toISOString());
    expect(relay.snapshot().certificateExpiresAt).toBe(seconds(UNTIL_2100));
    expect(await comes(first)).toBe('open');
    await undisturbed();
    // And with the next one that is good.
    const second = makeCertificate(new Date(UNTIL_2110));
    await on.put(second);
    await relay.reload();
    expect(told[1]).toEqual(['certificate', undefined]);
    expect(await comes(second)).toBe('open');
  });
});

describe('a relay whose certificate is no good from the start', () => {
  it('says so, and does not listen', async () => {
    const { cert } = makeCertificate();
    const { certFile, keyFile } = await files({ cert, key: makeCertificate().key });
    const identity = Identity.generate();
    const options = { identity, port: 0, host: '127.0.0.1', tls: { certFile, keyFile } };
    const refused = { code: 'INVALID_ARGUMENT', message: expect.stringContaining(keyFile) as string };
    await expect(new Relay(options).check()).rejects.toMatchObject(refused);
    const relay = new Relay(options);
    await expect(relay.listen()).rejects.toMatchObject(refused);
    expect(relay.address()).toBeNull();
    expect(relay.isReady).toBe(false);
    await relay.close();
  });
});
