import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { MAX_REGISTRATION_MESSAGE, REGISTRATION_TIMEOUT } from '../../../src/core/constants.js';
import { type ErrorCode, SecureWebSocketError } from '../../../src/core/errors.js';
import { RegistrationClient } from '../../../src/core/registration.js';
import { TransportKeys } from '../../../src/core/transport-keys.js';
import {
  type Grant,
  type ProvenClient,
  type RegisteredLink,
  registerAccepted,
  type RegistrationOptions,
} from '../../../src/link/accept.js';
import type { RawSocketListener, SettledSocket } from '../../../src/websocket/raw-socket.js';
import { expectCode } from '../../support/errors.js';
import { RecordingListener } from '../../support/recording-listener.js';
import { alice, LOCATION, relay } from '../../support/registration.js';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** An accepted socket whose other end is the test. */
class AcceptedSocket implements SettledSocket {
  readonly texts: string[] = [];
  readonly closes: [code: number | undefined, reason: string | undefined][] = [];
  terminated = 0;
  readonly bufferedAmount = 0;
  readonly tellsDrained = true;
  listener: RawSocketListener = new RecordingListener();

  send(data: string | Uint8Array): void {
    if (typeof data === 'string') this.texts.push(data);
  }
  close(code?: number, reason?: string): void {
    this.closes.push([code, reason]);
  }
  terminate(): void {
    this.terminated += 1;
  }
  pause(): void {}
  resume(): void {}
}

interface Deferred {
  readonly promise: Promise<Grant | undefined>;
  resolve(grant?: Grant): void;
  reject(error: unknown): void;
}

function deferred(): Deferred {
  let resolve!: (grant?: Grant) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<Grant | undefined>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}

/** A registration whose client has been sent the challenge. */
function begin(options: Partial<RegistrationOptions> = {}, token?: string) {
  const socket = new AcceptedSocket();
  const outcome: { link?: RegisteredLink; error?: SecureWebSocketError } = {};
  registerAccepted(socket, {
    identity: relay,
    addresses: [LOCATION],
    connectionId: () => 7,
    ...options,
  }).then(
    link => (outcome.link = link),
    (error: unknown) => (outcome.error = error as SecureWebSocketError),
  );
  const client = new RegistrationClient(
    { identity: alice, userId: 'alice', now: Date.now() },
    LOCATION,
    token === undefined ? {} : { token },
  );
  const [challenge] = socket.texts.splice(0);
  client.challenge(challenge ?? '', Date.now());
  return {
    socket,
    outcome,
    client,
    respond: () => {
      socket.listener.text(client.response(Date.now()));
    },
    /** What the client makes of the answer. */
    answer: () => client.success(socket.texts[0] ?? '', 0),
  };
}

const settle = async (): Promise<void> => {
  await vi.advanceTimersByTimeAsync(0);
};

describe('without anybody to ask', () => {
  it('whoever has proven its key is in, at once and for good', async () => {
    const { outcome, respond, answer, socket } = begin();
    respond();
    // Before anything else: no promise stands between.
    expect(socket.texts).toHaveLength(1);
    expect(answer()).toMatchObject({ connectionId: 7, expiresIn: undefined });
    await settle();
    expect(outcome.link).toMatchObject({ connectionId: 7, publicKey: alice.publicKeyBytes });
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('whoever decides', () => {
  it('is asked once the key is proven, and of all that the client says', async () => {
    const admit = vi.fn(() => Promise.resolve(undefined));
    const { respond } = begin({ admit }, 'a token');
    expect(admit).not.toHaveBeenCalled();
    respond();
    expect(admit.mock.calls).toEqual([
      [
        {
          publicKey: alice.publicKeyBytes,
          address: LOCATION,
          device: expect.objectContaining({ userId: 'alice' }) as unknown,
          token: 'a token',
        },
      ],
    ]);
    await settle();
  });

  it('is not asked of somebody who has proven nothing', async () => {
    const admit = vi.fn(() => Promise.resolve(undefined));
    const { socket, outcome } = begin({ admit });
    socket.listener.text('{"type":"CHALLENGE_RESPONSE","noise":"AAAA"}');
    await settle();
    expect(outcome.error).toBeInstanceOf(SecureWebSocketError);
    expect(admit).not.toHaveBeenCalled();
  });

  it('is waited for: until then the client is told nothing, and has no connection id', async () => {
    const decision = deferred();
    const connectionId = vi.fn(() => 9);
    const { respond, answer, outcome, socket } = begin({ admit: () => decision.promise, connectionId });
    respond();
    await vi.advanceTimersByTimeAsync(REGISTRATION_TIMEOUT - 1);
    expect(socket.texts).toEqual([]);
    expect(connectionId).not.toHaveBeenCalled();
    decision.resolve({ expiresIn: 60_000 });
    await settle();
    expect(answer()).toMatchObject({ connectionId: 9, expiresIn: 60_000 });
    expect(outcome.link).toMatchObject({ connectionId: 9 });
    expect(socket.closes).toEqual([]);
    // The deadline is over, too.
    expect(vi.getTimerCount()).toBe(0);
    await vi.advanceTimersByTimeAsync(REGISTRATION_TIMEOUT);
    expect(socket.terminated).toBe(0);
  });

  it('leaves keys with which a fresh token can be sealed', async () => {
    const { respond, answer, outcome } = begin({ admit: () => Promise.resolve({ expiresIn: 1 }) });
    respond();
    await settle();
    const { keys } = answer();
    const sealed = new Uint8Array(29 + 3);
    keys.seal(Uint8Array.of(1, 2, 3), sealed, 0);
    expect(outcome.link?.keys.open(sealed)).toEqual(Uint8Array.of(1, 2, 3));
  });

  it.each<ErrorCode>([
    'KEY_NOT_ALLOWED',
    'KEY_DENIED',
    'TOKEN_REQUIRED',
    'TOKEN_INVALID',
    'TOKEN_EXPIRED',
    'TOKEN_NOT_YOURS',
    'ADMISSION_REFUSED',
    'ADMISSION_UNAVAILABLE',
  ])('refuses with %s, sealed, and the socket is closed', async code => {
    const wipe = vi.spyOn(TransportKeys.prototype, 'wipe');
    const connectionId = vi.fn(() => 9);
    const { respond, answer, outcome, socket } = begin({
      admit: () => Promise.reject(new SecureWebSocketError(code, 'for a reason')),
      connectionId,
    });
    respond();
    await settle();
    expect(outcome.error).toMatchObject({ code });
    expect(outcome.link).toBeUndefined();
    expectCode(answer, code);
    expect(socket.texts).toHaveLength(1);
    expect(socket.closes).toEqual([[1008, code]]);
    expect(connectionId).not.toHaveBeenCalled();
    expect(wipe).toHaveBeenCalled();
    // Whoever does not leave is cut off.
    expect(socket.terminated).toBe(0);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(socket.terminated).toBe(1);
  });

  it('may fail in its own way, of which the client learns nothing', async () => {
    const failures: (() => Promise<Grant | undefined>)[] = [
      () => Promise.reject(new Error('the database at 10.0.0.7')),
      () => {
        throw new Error('the database at 10.0.0.7');
      },
    ];
    for (const admit of failures) {
      const { respond, answer, outcome } = begin({ admit });
      respond();
      await settle();
      expect(outcome.error).toBeInstanceOf(SecureWebSocketError);
      expect(expectCode(answer, 'REGISTRATION_REFUSED').message).not.toContain('10.0.0.7');
    }
  });

  it('may let in somebody for whom there is no room', async () => {
    const { respond, answer, outcome, socket } = begin({
      admit: () => Promise.resolve({ expiresIn: 5 }),
      connectionId: () => {
        throw new SecureWebSocketError('TOO_MANY_CONNECTIONS', 'There are 3 already.');
      },
    });
    respond();
    await settle();
    expect(outcome.error).toMatchObject({ code: 'TOO_MANY_CONNECTIONS' });
    expect(expectCode(answer, 'TOO_MANY_CONNECTIONS').message).toContain('There are 3 already.');
    expect(socket.closes).toEqual([[1008, 'TOO_MANY_CONNECTIONS']]);
  });
});

describe('a client that nobody has decided about', () => {
  /** What ends it, and what the decision is then: of no interest. */
  async function ended(by: (socket: AcceptedSocket) => unknown, code: ErrorCode) {
    const wipe = vi.spyOn(TransportKeys.prototype, 'wipe');
    for (const late of ['resolve', 'reject'] as const) {
      wipe.mockClear();
      const decision = deferred();
      const connectionId = vi.fn(() => 9);
      const scene = begin({ admit: () => decision.promise, connectionId });
      scene.respond();
      await by(scene.socket);
      await settle();
      expect(scene.outcome.error).toMatchObject({ code });
      expect(wipe).toHaveBeenCalledTimes(1);
      const said = scene.socket.texts.length;
      decision[late](undefined);
      await settle();
      expect(connectionId).not.toHaveBeenCalled();
      expect(scene.socket.texts).toHaveLength(said);
      expect(scene.outcome.link).toBeUndefined();
      expect(scene.answer).toThrow(SecureWebSocketError);
    }
  }

  it('is refused when the time is over, whoever has not decided', async () => {
    await ended(() => vi.advanceTimersByTimeAsync(REGISTRATION_TIMEOUT), 'REGISTRATION_TIMEOUT');
    const scene = begin({ admit: () => deferred().promise, registrationTimeout: 50 });
    scene.respond();
    await vi.advanceTimersByTimeAsync(49);
    expect(scene.outcome.error).toBeUndefined();
    await vi.advanceTimersByTimeAsync(1);
    // Sealed: it has proven its key.
    expectCode(scene.answer, 'REGISTRATION_TIMEOUT');
  });

  it('has to wait: with text', async () => {
    await ended(socket => {
      socket.listener.text('{}');
    }, 'REGISTRATION_MALFORMED');
  });

  it('has to wait: with frames', async () => {
    await ended(socket => {
      socket.listener.binary(Uint8Array.of(3, 1));
    }, 'REGISTRATION_MALFORMED');
  });

  it('has to wait: with anything that it begins to send', async () => {
    await ended(socket => {
      socket.listener.arrived?.(MAX_REGISTRATION_MESSAGE + 1);
    }, 'REGISTRATION_MALFORMED');
  });

  it('may go', async () => {
    await ended(socket => {
      socket.listener.closed(1001, '');
    }, 'LINK_LOST');
  });
});

it('frames that follow the answer wait for whoever takes the link, in their order', async () => {
  const proven: ProvenClient[] = [];
  const { respond, outcome, socket } = begin({
    admit: client => {
      proven.push(client);
      return Promise.resolve(undefined);
    },
  });
  respond();
  await settle();
  socket.listener.binary(Uint8Array.of(1));
  socket.listener.binary(Uint8Array.of(2));
  socket.listener.closed(1000, 'bye');
  const listener = new RecordingListener();
  outcome.link?.start(listener);
  expect(listener.events).toEqual(['binary', 'binary', 'closed']);
  expect(listener.binaries).toEqual([Uint8Array.of(1), Uint8Array.of(2)]);
  expect(proven).toHaveLength(1);
  expect(socket.listener).toBe(listener);
});
