import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { SignJWT } from 'jose';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { AdmissionControl } from '../../../../src/relay/admission/admission-control.js';
import type {
  AdmissionAnswer,
  AdmissionDecision,
  AdmissionRequest,
} from '../../../../src/relay/admission/admission-options.js';
import { expectCode } from '../../../support/errors.js';
import { EventQueue } from '../../../support/event-queue.js';
import { keyOf } from '../../../support/public-keys.js';
import { QuestionServer } from '../../../support/question-server.js';
import { temporaryFolder } from '../../../support/temporary-folder.js';

const a = keyOf('a');
const b = keyOf('b');
const c = keyOf('c');
const LATER = 4_000_000_000_000;

const request = (publicKey: string, more: Partial<AdmissionRequest> = {}): AdmissionRequest => ({
  publicKey,
  ip: '192.0.2.7',
  address: 'wss://relay.example',
  userId: 'said',
  deviceId: 'laptop',
  token: undefined,
  ...more,
});

const code = (decision: AdmissionDecision) => ('refused' in decision ? decision.refused : 'admitted');

/** Has no check of the compiler: as options come from a file. */
function make(options: object) {
  const events = new EventQueue<string>();
  const asked: [string, string][] = [];
  const control = new AdmissionControl(
    options,
    {
      reloaded: (what, error) => events.push(error ? `${what}: ${error.message}` : what),
      asked: (about, seconds, outcome, error) => {
        expect(about).toBe('admission');
        expect(seconds).toBeGreaterThanOrEqual(0);
        asked.push([outcome, error?.message ?? '']);
      },
    },
    () => events.push('changed'),
  );
  onTestFinished(() => control.close());
  return { control, events, asked };
}

async function started(options: object) {
  const made = make(options);
  await made.control.start();
  return made;
}

/** Options for tokens, and somebody who signs them. */
async function tokens() {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const keyFile = path.join(await temporaryFolder(), 'keys');
  await writeFile(keyFile, publicKey.export({ type: 'spki', format: 'pem' }));
  return {
    jwt: {
      ...{ keyFile, issuer: 'me', audience: 'relay', algorithms: ['EdDSA'] },
      ...{ clockTolerance: 0, peersClaim: 'peers' },
    },
    sign: (claims: object) =>
      new SignJWT({ iss: 'me', aud: 'relay', exp: LATER / 1_000, peers: [a, b], ...claims })
        .setProtectedHeader({ alg: 'EdDSA' })
        .sign(privateKey),
  };
}

describe('AdmissionControl', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it('lets everybody in where nothing is said', async () => {
    const { control } = await started({});
    expect(await control.decide(request(a))).toEqual({});
    expect(control.standing(a)).toBeUndefined();
  });

  it('goes by lists: who is denied is not let in, though allowed', async () => {
    const { control } = await started({ allow: [a, b], deny: [b] });
    expect(await control.decide(request(a))).toEqual({});
    for (const [key, refused] of [
      [b, 'KEY_DENIED'],
      [c, 'KEY_NOT_ALLOWED'],
    ] as const) {
      expect(await control.decide(request(key))).toMatchObject({ refused });
      expect(control.standing(key)).toMatchObject({ refused });
    }
    expect(control.standing(a)).toBeUndefined();
  });

  it('lets nobody in by an empty list', async () => {
    const { control } = await started({ allow: [] });
    expect(code(await control.decide(request(a)))).toBe('KEY_NOT_ALLOWED');
  });

  it('follows the files of its lists, and keeps what it has when they go bad', async () => {
    const folder = await temporaryFolder();
    const [allow, deny] = [path.join(folder, 'allow'), path.join(folder, 'deny')];
    await writeFile(allow, `${a} # one\n`);
    await writeFile(deny, '# nobody\n');
    const { control, events } = await started({ allow: { file: allow }, deny: { file: deny } });
    expect([a, b].map(key => control.standing(key)?.refused)).toEqual([undefined, 'KEY_NOT_ALLOWED']);

    // Noticed without being told.
    await writeFile(path.join(folder, 'new'), `${a}\n${b}\n`);
    await rename(path.join(folder, 'new'), allow);
    expect(await events.take(2)).toEqual(['allow', 'changed']);
    expect(control.standing(b)).toBeUndefined();

    await writeFile(deny, b);
    await control.reload();
    expect(await events.take(2)).toEqual(['deny', 'changed']);
    expect(control.standing(b)?.refused).toBe('KEY_DENIED');

    await writeFile(deny, 'rubbish');
    await rm(allow);
    await control.reload();
    expect((await events.take(2)).sort()).toEqual([
      expect.stringMatching(/^allow: Cannot read the file .*allow: /),
      expect.stringMatching(/^deny: .*deny, line 1: An address is 64 hex characters/),
    ]);
    expect(events.pending).toEqual([]);
    expect([a, b].map(key => control.standing(key)?.refused)).toEqual([undefined, 'KEY_DENIED']);
  });

  it('has a long list in use when it has reloaded', async () => {
    const file = path.join(await temporaryFolder(), 'allow');
    await writeFile(file, a);
    const { control } = await started({ allow: { file } });
    await writeFile(file, [...Array.from({ length: 10_000 }, (_, i) => keyOf(i)), b].join('\n'));
    await control.reload();
    expect(control.standing(b)).toBeUndefined();
    expect(control.standing(a)?.refused).toBe('KEY_NOT_ALLOWED');
  });

  it('refuses to start with a list that cannot be', async () => {
    const file = path.join(await temporaryFolder(), 'allow');
    await expect(make({ allow: { file } }).control.start()).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining(file) as string,
    });
    await expect(make({ deny: [a, 'x'] }).control.start()).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('"admission.deny", entry 2: ') as string,
    });
  });

  it.each([
    ['a list that is none', { allow: 7 }, 'admission.allow'],
    ['a list without a file', { deny: {} }, 'admission.deny'],
    ['tokens without keys', { jwt: {} }, 'admission.jwt'],
    ['a hook without a URL', { hook: {} }, 'admission.hook.url'],
    ['a function that is none', { decide: true }, 'admission.decide'],
  ])('refuses %s', (_, options, message) => {
    expect(expectCode(() => make(options), 'INVALID_ARGUMENT').message).toContain(message);
  });

  it('asks a hook, and tells it all but the token', async () => {
    const server = await QuestionServer.start();
    const { jwt, sign } = await tokens();
    const { control, asked } = await started({ jwt, hook: { url: server.url } });
    const token = await sign({ sub: 'ada' });
    const decided = control.decide(request(a, { token }));
    const question = await server.questions.next();
    expect(JSON.parse(question.body)).toEqual({
      publicKey: a,
      ip: '192.0.2.7',
      address: 'wss://relay.example',
      userId: 'said',
      deviceId: 'laptop',
      tokenVerified: true,
      tokenUserId: 'ada',
    });
    expect(JSON.stringify(question.headers)).not.toContain(token);
    question.answer({ allow: false, reason: 'You owe us.' });
    expect(await decided).toEqual({ refused: 'ADMISSION_REFUSED', message: 'You owe us.' });
    expect(asked).toEqual([['no', '']]);
  });

  it('tells a hook what it does not know, too', async () => {
    const server = await QuestionServer.start();
    const { control, asked } = await started({ hook: { url: server.url } });
    const decided = control.decide(request(a, { ip: undefined, token: 'open-sesame' }));
    const question = await server.questions.next();
    expect(JSON.parse(question.body)).toMatchObject({ ip: null, tokenVerified: false, tokenUserId: null });
    expect(question.body).not.toContain('sesame');
    question.answer({ allow: true, expiresAt: LATER / 1_000 });
    expect(await decided).toEqual({ expiresAt: LATER });
    expect(asked).toEqual([['yes', '']]);
  });

  it.each([
    [false, 'ADMISSION_UNAVAILABLE'],
    [true, 'admitted'],
  ])('goes without a hook that does not answer: failOpen %s', async (failOpen, expected) => {
    const server = await QuestionServer.start(question => question.answer('', 500));
    const { control, asked } = await started({ hook: { url: server.url, failOpen } });
    expect(code(await control.decide(request(a)))).toBe(expected);
    expect(asked).toEqual([['unavailable', 'The answer has the status 500.']]);
  });

  it('asks the function, though a hook that may fail has failed', async () => {
    const server = await QuestionServer.start(question => question.answer('', 500));
    const { control } = await started({ hook: { url: server.url, failOpen: true }, decide: () => false });
    expect(code(await control.decide(request(a)))).toBe('ADMISSION_REFUSED');
  });

  it.each<[string, () => unknown, unknown, string]>([
    ['true', () => true, {}, 'yes'],
    ['a promise', async () => true, {}, 'yes'],
    [
      'what it is admitted for',
      () => ({ expiresAt: LATER, userId: 'ada', peers: [b] }),
      { expiresAt: LATER, userId: 'ada', peers: [b] },
      'yes',
    ],
    ['nothing more', () => ({ expiresAt: undefined }), {}, 'yes'],
    ['false', () => false, { refused: 'ADMISSION_REFUSED' }, 'no'],
    ['why not', () => ({ refuse: 'No.\n' }), { refused: 'ADMISSION_REFUSED', message: 'No.' }, 'no'],
    [
      'an error',
      () => {
        throw new Error('open-sesame');
      },
      { refused: 'ADMISSION_UNAVAILABLE' },
      'unavailable',
    ],
    [
      'a rejection',
      () => Promise.reject(new Error('x')),
      { refused: 'ADMISSION_UNAVAILABLE' },
      'unavailable',
    ],
    ['nothing', () => undefined, { refused: 'ADMISSION_UNAVAILABLE' }, 'unavailable'],
    ['peers that are none', () => ({ peers: ['x'] }), { refused: 'ADMISSION_UNAVAILABLE' }, 'unavailable'],
    ['no time', () => ({ expiresAt: NaN }), { refused: 'ADMISSION_UNAVAILABLE' }, 'unavailable'],
  ])('asks a function that answers %s', async (_, decide, expected, outcome) => {
    const { control, asked } = await started({ decide: decide as () => AdmissionAnswer });
    const decision = await control.decide(request(a));
    if ('refused' in (expected as object)) {
      expect(decision).toMatchObject(expected as object);
      expect((decision as { message: string }).message).not.toContain('sesame');
    } else {
      expect(decision).toEqual(expected);
    }
    expect(asked.map(([what]) => what)).toEqual([outcome]);
  });

  it('gives the function the whole request', async () => {
    const decide = vi.fn(() => true);
    const { control } = await started({ decide });
    const whole = request(a, { token: 'sesame' });
    await control.decide(whole);
    expect(decide).toHaveBeenCalledWith(whole);
  });

  it('does not wait for a function for ever', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { control, asked } = await started({ decide: () => new Promise(() => {}) });
    const decided = control.decide(request(a));
    await vi.advanceTimersByTimeAsync(10_000);
    expect(code(await decided)).toBe('ADMISSION_UNAVAILABLE');
    expect(asked[0]![1]).toContain('10000 ms');
  });

  it('asks in order, and nobody after the first refusal', async () => {
    const server = await QuestionServer.start(question => question.answer({ allow: false }));
    const { jwt, sign } = await tokens();
    const decide = vi.fn(() => true);
    const { control } = await started({ deny: [b], allow: [a, b], jwt, hook: { url: server.url }, decide });
    const token = await sign({});
    const steps: [AdmissionRequest, string, number][] = [
      [request(b, { token }), 'KEY_DENIED', 0],
      [request(c, { token }), 'KEY_NOT_ALLOWED', 0],
      [request(a), 'TOKEN_REQUIRED', 0],
      [request(a, { token: 'x' }), 'TOKEN_INVALID', 0],
      [request(a, { token }), 'ADMISSION_REFUSED', 1],
    ];
    for (const [asked, refused, count] of steps) {
      expect(code(await control.decide(asked))).toBe(refused);
      expect(server.count).toBe(count);
      expect(decide).not.toHaveBeenCalled();
    }
    server.handler = question => question.answer({ allow: true });
    expect(code(await control.decide(request(a, { token })))).toBe('admitted');
    expect(decide).toHaveBeenCalledOnce();
  });

  it('combines what they say: the earliest end, the last name, the peers of all', async () => {
    const { jwt, sign } = await tokens();
    const server = await QuestionServer.start(question =>
      question.answer({ allow: true, expiresAt: LATER / 1_000 - 10, userId: 'hook', peers: [b, c] }),
    );
    const answers: AdmissionAnswer[] = [
      { expiresAt: LATER - 5_000 },
      { expiresAt: LATER - 15_000, userId: 'me', peers: [c] },
    ];
    const { control } = await started({ jwt, hook: { url: server.url }, decide: () => answers.shift()! });
    const token = await sign({ sub: 'token' });
    expect(await control.decide(request(a, { token }))).toEqual({
      expiresAt: LATER - 10_000,
      userId: 'hook',
      peers: [b],
    });
    expect(await control.decide(request(a, { token }))).toEqual({
      expiresAt: LATER - 15_000,
      userId: 'me',
      peers: [],
    });
  });

  it('lets nobody in whose time is over', async () => {
    const { control } = await started({ decide: () => ({ expiresAt: 1 }) });
    expect(code(await control.decide(request(a)))).toBe('ADMISSION_REFUSED');
  });

  it('sees who is put on a list while it asks', async () => {
    const file = path.join(await temporaryFolder(), 'deny');
    await writeFile(file, '');
    const server = await QuestionServer.start();
    const { control } = await started({ deny: { file }, hook: { url: server.url, timeout: 20_000 } });
    const decided = control.decide(request(a));
    const question = await server.questions.next();
    await writeFile(file, a);
    await control.reload();
    question.answer({ allow: true });
    expect(code(await decided)).toBe('KEY_DENIED');
  });

  it('tells when the keys for tokens cannot be had, and why', async () => {
    // A port that nobody listens at any more.
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');
    const jwt = {
      jwksUrl: `http://127.0.0.1:${String(port)}/keys?secret=1`,
      issuer: 'https://login.example',
      audience: 'relay',
      algorithms: ['EdDSA'],
    };
    const { control, asked } = await started({ jwt });
    // Its header is all that is looked at before the keys are.
    const token = `${Buffer.from('{"alg":"EdDSA"}').toString('base64url')}.e30.AA`;
    expect(code(await control.decide(request(a, { token })))).toBe('ADMISSION_UNAVAILABLE');
    expect(asked).toEqual([
      ['unavailable', expect.stringContaining(`127.0.0.1:${String(port)}/keys cannot be had`)],
    ]);
    expect(JSON.stringify(asked)).not.toContain('secret');
  });

  it('ends with those who wait', async () => {
    const server = await QuestionServer.start();
    const { control } = await started({ hook: { url: server.url, timeout: 20_000 } });
    const decided = control.decide(request(a));
    await server.questions.next();
    control.close();
    expect(code(await decided)).toBe('ADMISSION_UNAVAILABLE');
  });
});
