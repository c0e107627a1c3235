import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { HookOptions } from '../../../../src/relay/admission/admission-options.js';
import { parseHookAnswer, presentable } from '../../../../src/relay/admission/hook-answer.js';
import { HttpHook } from '../../../../src/relay/admission/http-hook.js';
import { expectCode } from '../../../support/errors.js';
import { keyOf } from '../../../support/public-keys.js';
import { QuestionServer } from '../../../support/question-server.js';

function hookAt(url: string, options: Partial<HookOptions> = {}): HttpHook {
  const hook = new HttpHook('hook', { url, ...options });
  onTestFinished(() => hook.close());
  return hook;
}

describe('HttpHook', () => {
  it('posts JSON with the secret, and takes 200 for an answer', async () => {
    const server = await QuestionServer.start();
    const hook = hookAt(server.url, { secret: 'open-sesame' });
    const asked = hook.ask({ publicKey: keyOf('a'), ip: null });
    const question = await server.questions.next();
    expect(question).toMatchObject({ method: 'POST', url: '/ask' });
    expect(question.headers).toMatchObject({
      authorization: 'Bearer open-sesame',
      'content-type': 'application/json',
    });
    expect(JSON.parse(question.body)).toEqual({ publicKey: keyOf('a'), ip: null });
    question.answer({ allow: true, userId: 'ada', expiresAt: 2_000_000_000.5, peers: [keyOf('b')], more: 1 });
    expect(await asked).toEqual({
      allow: true,
      admitted: { userId: 'ada', expiresAt: 2_000_000_000_500, peers: [keyOf('b')] },
    });
  });

  it('sends no Authorization without a secret', async () => {
    const server = await QuestionServer.start();
    const asked = hookAt(server.url).ask({});
    const question = await server.questions.next();
    expect(question.headers.authorization).toBeUndefined();
    question.answer({ allow: true });
    await asked;
  });

  it('hears no, and why', async () => {
    const server = await QuestionServer.start(question =>
      question.answer({ allow: false, reason: `You\r\n\x1b[31m owe us ${'€'.repeat(300)}` }),
    );
    expect(await hookAt(server.url).ask({})).toEqual({
      allow: false,
      reason: `You [31m owe us ${'€'.repeat(200 - 'You [31m owe us '.length)}`,
    });
  });

  it('takes 403 for no, over a connection that is used again', async () => {
    const server = await QuestionServer.start();
    const hook = hookAt(server.url);
    const ports: (number | undefined)[] = [];
    for (let i = 0; i < 3; i++) {
      const asked = hook.ask({});
      const question = await server.questions.next();
      ports.push(question.socket.remotePort);
      question.answer('<html>No.</html>', 403);
      expect(await asked).toEqual({ allow: false, reason: undefined });
    }
    expect(new Set(ports).size).toBe(1);
  });

  it.each([
    ['another status', 'status 500', { allow: true }, 500, {}],
    ['no content', 'status 204', '', 204, {}],
    ['a redirect', 'status 302', '', 302, { location: 'http://127.0.0.1/' }],
    ['no JSON', 'not JSON', '{"allow": tru', 200, {}],
    ['an array', 'not a JSON object', [true], 200, {}],
    ['null', 'not a JSON object', 'null', 200, {}],
    ['no "allow"', '"allow"', {}, 200, {}],
    ['"allow" as a string', '"allow"', { allow: 'true' }, 200, {}],
    ['too large an answer', 'larger than 65536', { allow: true, x: 'x'.repeat(65_536) }, 200, {}],
    ['a time that is none', '"expiresAt"', { allow: true, expiresAt: '2030' }, 200, {}],
    ['a time beyond all', '"expiresAt"', { allow: true, expiresAt: 1e300 }, 200, {}],
    ['a user that is none', 'user', { allow: true, userId: 7 }, 200, {}],
    ['peers that are none', '"peers"', { allow: true, peers: 'all' }, 200, {}],
    ['a peer that is none', 'hex characters', { allow: true, peers: ['x'] }, 200, {}],
  ])('takes %s for no answer', async (_, message, body, status, headers) => {
    const server = await QuestionServer.start(question => question.answer(body, status, headers));
    const outcome = await hookAt(server.url).ask({});
    expect(outcome).toEqual({ unavailable: expect.any(Error) as Error });
    expect((outcome as { unavailable: Error }).unavailable.message).toContain(message);
    expect(server.count).toBe(1);
  });

  it('takes an answer of just the size that is allowed', async () => {
    const frame = JSON.stringify({ allow: true, x: '' }).length;
    const server = await QuestionServer.start(question =>
      question.answer({ allow: true, x: 'x'.repeat(65_536 - frame) }),
    );
    expect(await hookAt(server.url).ask({})).toMatchObject({ allow: true });
  });

  it('gives up when nobody answers in time: not at all, or not to the end', async () => {
    const server = await QuestionServer.start(({ response }) => {
      if (server.count === 2) response.writeHead(200).write('{"allow":');
    });
    const hook = hookAt(server.url, { timeout: 50 });
    for (let i = 0; i < 2; i++) {
      expect(await hook.ask({})).toMatchObject({
        unavailable: { message: 'There was no answer within 50 ms.' },
      });
    }
  });

  it('says so when nobody is there', async () => {
    const gone = createServer();
    await new Promise<void>(resolve => gone.listen(0, '127.0.0.1', resolve));
    const { port } = gone.address() as AddressInfo;
    await new Promise(resolve => gone.close(resolve));
    expect(await hookAt(`http://127.0.0.1:${port}`).ask({})).toMatchObject({
      unavailable: { code: 'ECONNREFUSED' },
    });
  });

  it('asks once more when a kept connection turns out to be dead', async () => {
    const server = await QuestionServer.start(question => {
      // The second question comes over the kept connection, and finds nobody at its end.
      if (server.count === 2) question.socket.resetAndDestroy();
      else question.answer({ allow: true });
    });
    const hook = hookAt(server.url);
    expect(await hook.ask({})).toMatchObject({ allow: true });
    // The connection has to be back among those that are kept.
    await new Promise(resolve => setImmediate(resolve));
    expect(await hook.ask({})).toMatchObject({ allow: true });
    expect(server.count).toBe(3);
  });

  it('does not ask again when a new connection dies', async () => {
    const server = await QuestionServer.start(question => question.socket.resetAndDestroy());
    expect(await hookAt(server.url).ask({})).toMatchObject({ unavailable: { code: 'ECONNRESET' } });
    expect(server.count).toBe(1);
  });

  it('asks 64 at a time, and others when their turn comes', async () => {
    const server = await QuestionServer.start();
    const hook = hookAt(server.url, { timeout: 20_000 });
    const asked = Array.from({ length: 66 }, (_, i) => hook.ask({ i }));
    const first = await server.questions.take(64);
    first[0]!.answer({ allow: true });
    const next = await server.questions.next();
    expect(JSON.parse(next.body)).toEqual({ i: 64 });
    expect(server.count).toBe(65);
    for (const question of [...first.slice(1), next]) question.answer({ allow: true });
    (await server.questions.next()).answer({ allow: true });
    for (const outcome of await Promise.all(asked)) expect(outcome).toMatchObject({ allow: true });
    // Every place is free again.
    server.handler = question => question.answer({ allow: true });
    for (let i = 0; i < 65; i++) expect(await hook.ask({})).toMatchObject({ allow: true });
  });

  it('lets nobody wait longer than the time that one has', async () => {
    const server = await QuestionServer.start(() => {});
    const hook = hookAt(server.url, { timeout: 100 });
    for (const outcome of await Promise.all(Array.from({ length: 200 }, () => hook.ask({})))) {
      expect(outcome).toMatchObject({ unavailable: { message: 'There was no answer within 100 ms.' } });
    }
    // Whoever gave up takes nobody's place.
    server.handler = question => question.answer({ allow: true });
    let outcome;
    do outcome = await hook.ask({});
    while ('unavailable' in outcome);
    expect(outcome).toMatchObject({ allow: true });
  });

  it('lets no more than 4,096 wait', async () => {
    const server = await QuestionServer.start();
    const hook = hookAt(server.url, { timeout: 20_000 });
    const asked = Array.from({ length: 64 + 4_096 }, () => hook.ask({}));
    expect(await hook.ask({})).toMatchObject({ unavailable: { message: 'Too many questions wait.' } });
    await server.questions.take(64);
    hook.close();
    for (const outcome of await Promise.all(asked)) {
      expect(outcome).toMatchObject({ unavailable: { message: 'The relay is closed.' } });
    }
    expect(server.count).toBe(64);
  });

  it('answers nobody once it is closed', async () => {
    const server = await QuestionServer.start();
    const hook = hookAt(server.url, { timeout: 20_000 });
    const asked = hook.ask({});
    await server.questions.next();
    hook.close();
    expect(await asked).toMatchObject({ unavailable: { message: 'The relay is closed.' } });
    expect(await hook.ask({})).toMatchObject({ unavailable: { message: 'The relay is closed.' } });
  });

  it.each([
    ['no URL', { url: 'relay' }, 'hook.url'],
    ['another protocol', { url: 'ftp://127.0.0.1/' }, 'hook.url'],
    ['a password in the URL', { url: 'http://me:open-sesame@127.0.0.1/' }, 'hook.url'],
    ['no time', { url: 'http://127.0.0.1', timeout: 0 }, 'hook.timeout'],
    ['too much time', { url: 'http://127.0.0.1', timeout: 2 ** 31 }, 'hook.timeout'],
    ['a secret of two lines', { url: 'http://127.0.0.1', secret: 'open-sesame\n' }, 'hook.secret'],
    ['an empty secret', { url: 'http://127.0.0.1', secret: '' }, 'hook.secret'],
  ])('refuses %s', (_, options, message) => {
    const error = expectCode(() => new HttpHook('hook', options), 'INVALID_ARGUMENT');
    expect(error.message).toContain(message);
    expect(error.message).not.toContain('sesame');
  });
});

describe('parseHookAnswer', () => {
  it('takes any text, and throws nothing that holds it', () => {
    const value = fc.oneof(fc.constant(undefined), fc.jsonValue());
    const answer = fc
      .record({
        allow: fc.oneof(fc.boolean(), value),
        reason: value,
        expiresAt: value,
        userId: value,
        peers: value,
      })
      .map(each => JSON.stringify(each));
    fc.assert(
      fc.property(fc.oneof(fc.string(), answer), text => {
        let parsed;
        try {
          parsed = parseHookAnswer(text);
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
          expect((error as Error).message.length).toBeLessThan(200);
          return;
        }
        const { allow } = JSON.parse(text) as { allow: boolean };
        expect(parsed.allow).toBe(allow);
        if (parsed.allow && parsed.admitted.expiresAt !== undefined) {
          expect(new Date(parsed.admitted.expiresAt).getTime()).not.toBeNaN();
        }
      }),
    );
  });

  it('cuts a reason between characters', () => {
    expect(presentable('😀'.repeat(300))).toBe('😀'.repeat(200));
    expect(presentable('half \uD83D a face')).toBe('half   a face');
    expect(presentable('\n')).toBeUndefined();
  });

  it('makes a reason fit to be shown, whatever it is', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary', maxLength: 400 }), fc.jsonValue()), reason => {
        const shown = presentable(reason);
        if (shown === undefined) return;
        expect(Array.from(shown).length).toBeLessThanOrEqual(200);
        expect(shown).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
        expect(shown).not.toBe('');
      }),
    );
  });
});
