import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { fromBase64Url, toBase64Url, utf8 } from '../../src/core/bytes.js';
import { type DeviceInformation, signDeviceInformation } from '../../src/core/device-information.js';
import { Identity } from '../../src/core/identity.js';
import { FirstUseTrustStore } from '../../src/link/trust.js';
import { SecureWebSocketServer } from '../../src/socket/node-secure-web-socket-server.js';
import {
  type AddressesFor,
  anyServer,
  type Attacked,
  attackDirect,
  attackRelayed,
} from '../support/attacked.js';
import { EventQueue } from '../support/event-queue.js';
import { flipped } from '../support/fuzz.js';
import { type Message, relaying, type Tampering } from '../support/man-in-the-middle.js';
import { fieldsOf, Forger, mallory, noiseOf, withNoise } from '../support/registration.js';
import { failedWith } from '../support/socket-log.js';

const cleanUp: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

type Start = (addresses?: AddressesFor) => Promise<Attacked>;
const SERVICES: [string, Start][] = [
  ['a service that is dialled itself', attackDirect],
  ['a relay', attackRelayed],
];

async function attack(start: Start, addresses?: AddressesFor): Promise<Attacked> {
  const attacked = await start(addresses);
  cleanUp.push(() => attacked.close());
  return attacked;
}

/** Changes messages of one type. */
function changing(type: string, change: (message: string) => Message | readonly Message[]): Tampering {
  return ({ message }) =>
    typeof message === 'string' && fieldsOf(message)['type'] === type ? change(message) : message;
}

const withFields =
  (changes: Record<string, unknown>) =>
  (message: string): string =>
    JSON.stringify({ ...fieldsOf(message), ...changes });

/** Flips a bit of the Noise message, from the end when `at` is negative. */
const flip =
  (at: number, bit = 0) =>
  (message: string): string => {
    const noise = noiseOf(message);
    return withNoise(message, flipped(at < 0 ? noise.length + at : at, bit)(noise));
  };

const cutOff =
  (bytes: number) =>
  (message: string): string =>
    withNoise(message, noiseOf(message).slice(0, -bytes));

/** Where the payload of CHALLENGE begins: behind the ephemeral and the static key, and in the clear. */
const PAYLOAD = 64;

/** Rewrites what the server says in CHALLENGE: it is not encrypted. */
const rewritten =
  (change: (payload: Record<string, unknown>) => Record<string, unknown>) =>
  (message: string): string => {
    const noise = noiseOf(message);
    const payload = fieldsOf(Buffer.from(noise.subarray(PAYLOAD)).toString());
    const changed = utf8(JSON.stringify(change(payload)));
    return withNoise(message, Uint8Array.of(...noise.subarray(0, PAYLOAD), ...changed));
  };

interface Signed {
  readonly information: string;
  readonly signature: string;
}

const withDevice = (change: (device: Signed) => unknown): ((message: string) => string) =>
  rewritten(payload => ({ ...payload, device: change(payload['device'] as Signed) }));

const informationIn = ({ information }: Signed): DeviceInformation =>
  JSON.parse(Buffer.from(fromBase64Url(information)!).toString()) as DeviceInformation;

const withInformation = (changes: Partial<DeviceInformation>): ((message: string) => string) =>
  withDevice(device => ({
    ...device,
    information: toBase64Url(utf8(JSON.stringify({ ...informationIn(device), ...changes }))),
  }));

/** How much the latest client told the server: nothing, when it was not fooled. */
async function told({ mitm }: Attacked): Promise<number> {
  await mitm.latest.closed;
  return mitm.latest.sent('to server').length;
}

describe.each(SERVICES)('in front of %s, from another place', (_, start) => {
  it.each([true, false])('is seen through by the client, rewriting Host: %s', async rewritesHost => {
    // The server claims what its connections prove.
    const attacked = await attack(start, () => undefined);
    attacked.mitm.rewritesHost = rewritesHost;
    const { log } = attacked.dial();
    expect(await log.closed).toEqual(failedWith('ADDRESS_NOT_CLAIMED'));
    expect(await attacked.refusals.next()).toBe('LINK_LOST');
    expect(await told(attacked)).toBe(0);
  });

  it('is seen through where the server knows its name', async () => {
    const attacked = await attack(start, () => ['wss://service.example']);
    const { log } = attacked.dial({ serverKey: attacked.serverKey });
    expect(await log.closed).toEqual(failedWith('ADDRESS_NOT_CLAIMED'));
    expect(log.error).toMatchObject({
      message: expect.stringContaining('but to wss://service.example') as unknown,
    });
    expect(await told(attacked)).toBe(0);
  });

  it.each([true, false])('is seen through by the server, rewriting Host: %s', async rewritesHost => {
    const attacked = await attack(start, () => undefined);
    attacked.mitm.rewritesHost = rewritesHost;
    // A client that takes any challenge, and says where it dialled.
    const ws = new WebSocket(attacked.mitm.url);
    const [challenge] = (await once(ws, 'message')) as [Buffer];
    const lax = new Forger('client');
    lax.read(challenge.toString());
    const answer = once(ws, 'message') as Promise<[Buffer]>;
    const closed = once(ws, 'close');
    ws.send(lax.message({ address: attacked.mitm.url }));
    expect(await attacked.refusals.next()).toBe('DIALLED_ELSEWHERE');
    expect(fieldsOf((await answer)[0].toString())).toMatchObject({
      type: 'REGISTER_FAILURE',
      reason: 'DIALLED_ELSEWHERE',
    });
    expect((await closed)[0]).toBe(1008);
  });

  it('is welcome where the server counts its address among its own, as a proxy, and reads nothing', async () => {
    const attacked = await attack(start);
    const { socket, log } = attacked.dial({ serverKey: attacked.serverKey }, `${attacked.url}/secret-path`);
    await log.opened;
    const service = await attacked.connections.next();
    socket.send('a secret');
    expect(await service.log.messages.next()).toBe('a secret');
    const binary = attacked.mitm.latest.recorded.filter(({ message }) => typeof message !== 'string');
    expect(binary.length).toBeGreaterThan(0);
    for (const { message } of binary)
      expect(Buffer.from(message as Uint8Array).includes('secret')).toBe(false);
    socket.close(1000);
    expect(await log.closed).toEqual(['open', 'close 1000 clean']);
  });
});

describe.each(SERVICES)('in front of %s, with another server’s challenge', (_, start) => {
  it('fetched this moment, is seen through by its addresses', async () => {
    const attacked = await attack(start);
    const other = await attack(attackDirect, () => ['ws://other.example']);
    // What it shows is the challenge of the other server, at the location of the one that the client dialled.
    attacked.mitm.target = other.mitm.target;
    const { log } = attacked.dial();
    expect(await log.closed).toEqual(failedWith('ADDRESS_NOT_CLAIMED'));
    expect(await told(attacked)).toBe(0);
  });

  it('fetched from a server that claims the same address, is seen through by its key', async () => {
    const attacked = await attack(start);
    const other = await attack(attackDirect, () => [attacked.mitm.url]);
    attacked.mitm.target = other.mitm.target;
    const { log } = attacked.dial({ serverKey: attacked.serverKey });
    expect(await log.closed).toEqual(failedWith('SERVER_KEY_MISMATCH'));
    expect(await told(attacked)).toBe(0);
  });

  it('recorded earlier, cannot go on: neither the server nor a recorded answer fits', async () => {
    const attacked = await attack(start);
    const honest = attacked.dial({ serverKey: attacked.serverKey });
    await honest.log.opened;
    const [challenge, success] = attacked.mitm.latest.sent('to client') as [string, string];

    attacked.mitm.tampering = changing('CHALLENGE', () => challenge);
    const first = attacked.dial({ serverKey: attacked.serverKey });
    expect(await first.log.closed).toEqual(failedWith('REGISTRATION_REFUSED'));
    expect(await attacked.refusals.next()).toBe('DECRYPT_FAILED');

    // The server is left out of it.
    attacked.mitm.tampering = ({ direction, index, message, connection }) => {
      if (direction === 'to client') return index === 0 ? challenge : [];
      if (typeof message === 'string') connection.inject('to client', success);
      return [];
    };
    const second = attacked.dial({ serverKey: attacked.serverKey });
    expect(await second.log.closed).toEqual(failedWith('DECRYPT_FAILED'));
  });
});

describe.each(SERVICES)('in front of %s, with a key of its own', (_, start) => {
  /** Puts a server of the attacker's at the place of the other. */
  async function takeOver(attacked: Attacked): Promise<string> {
    const identity = await Identity.generate();
    const false_ = new SecureWebSocketServer({
      port: 0,
      host: '127.0.0.1',
      identity,
      addresses: [attacked.mitm.url],
    });
    await false_.ready;
    cleanUp.push(async () => {
      for (const socket of false_.clients) socket.terminate();
      false_.close();
    });
    attacked.mitm.target = false_.url ?? '';
    return identity.publicKey;
  }

  it('is not the one that is pinned', async () => {
    const attacked = await attack(start);
    const key = await takeOver(attacked);
    for (const serverKey of [attacked.serverKey, [attacked.serverKey, attacked.peerKey]]) {
      const { log } = attacked.dial({ serverKey });
      expect(await log.closed).toEqual(failedWith('SERVER_KEY_MISMATCH'));
      expect(log.error).toMatchObject({ message: expect.stringContaining(key) as unknown });
      expect(await told(attacked)).toBe(0);
    }
  });

  it('is not the one that was seen first', async () => {
    const attacked = await attack(start);
    const { log } = attacked.dial({ trustStore: undefined });
    await log.opened;
    await takeOver(attacked);
    const again = attacked.dial({ trustStore: undefined });
    expect(await again.log.closed).toEqual(failedWith('SERVER_KEY_CHANGED'));
    expect(await told(attacked)).toBe(0);
  });

  it('is not one that a trust store accepts, however long it thinks', async () => {
    const attacked = await attack(start);
    const trustStore = new FirstUseTrustStore();
    await attacked.dial({ trustStore }).log.opened;
    await takeOver(attacked);
    const asked = new EventQueue<(trusted: boolean) => void>();
    const thinking = {
      check: () =>
        new Promise<boolean>(resolve => {
          asked.push(resolve);
        }),
    };
    for (const store of [trustStore, thinking]) {
      const { log } = attacked.dial({ trustStore: store });
      if (store === thinking) (await asked.next())(false);
      expect(await log.closed).toEqual(failedWith('SERVER_KEY_MISMATCH'));
      expect(await told(attacked)).toBe(0);
    }
  });
});

describe.each(SERVICES)('in front of %s, replaying a client', (_, start) => {
  it('is not taken for the client, in whole or in part', async () => {
    const attacked = await attack(start);
    const { socket, log } = attacked.dial();
    await log.opened;
    const service = await attacked.connections.next();
    socket.send('pay 5');
    expect(await service.log.messages.next()).toBe('pay 5');
    const recorded = attacked.mitm.latest.sent('to server');
    expect(recorded.length).toBeGreaterThan(2);

    const ws = new WebSocket(attacked.mitm.target);
    const answers: string[] = [];
    ws.on('message', data => answers.push((data as Buffer).toString()));
    await once(ws, 'message');
    const closed = once(ws, 'close');
    for (const message of recorded) ws.send(message);
    expect(await attacked.refusals.next()).toBe('DECRYPT_FAILED');
    expect((await closed)[0]).toBe(1008);
    expect(answers.map(answer => fieldsOf(answer)['type'])).toEqual(['CHALLENGE', 'REGISTER_FAILURE']);
    expect(fieldsOf(answers[1]!)['reason']).toBe('NOT_AUTHENTIC');
    // The other is not disturbed, and nothing came twice.
    socket.send('pay 7');
    expect(await service.log.messages.next()).toBe('pay 7');
    expect(service.log.entries).toEqual(['open', 'message pay 5', 'message pay 7']);
    expect(attacked.connections.pending).toEqual([]);
  });
});

/** The attacks on single fields: what the client says of it, and what the server does. */
const LOST = 'LINK_LOST';
const CHALLENGE: [string, (message: string) => string, string, string][] = [
  ['the type', withFields({ type: 'CHALLENGF' }), 'REGISTRATION_MALFORMED', LOST],
  ['the version', withFields({ version: 0 }), 'VERSION_MISMATCH', LOST],
  ['the encoding of the Noise message', withFields({ noise: '=' }), 'REGISTRATION_MALFORMED', LOST],
  ['a Noise message that is too short', cutOff(10_000), 'NOISE_MESSAGE_MALFORMED', LOST],
  ['the ephemeral key', flip(0), 'REGISTRATION_REFUSED', 'DECRYPT_FAILED'],
  ['the unused bit of the ephemeral key', flip(31, 7), 'NOISE_MESSAGE_MALFORMED', LOST],
  ['the static key', flip(40), 'DEVICE_INFORMATION_INVALID', LOST],
  ['the payload, no JSON any more', flip(PAYLOAD), 'REGISTRATION_MALFORMED', LOST],
  ['the device’s addresses', withInformation({ addresses: [] }), 'DEVICE_INFORMATION_INVALID', LOST],
  ['the device’s key', withInformation({ boxKey: mallory.publicKey }), 'DEVICE_INFORMATION_INVALID', LOST],
  ['the device’s expiry', withInformation({ expires: 8e15 }), 'DEVICE_INFORMATION_INVALID', LOST],
  ['the device’s user', withInformation({ userId: 'root' }), 'DEVICE_INFORMATION_INVALID', LOST],
  [
    'the signature',
    withDevice(({ information, signature }) => ({
      information,
      signature: toBase64Url(flipped(5)(fromBase64Url(signature)!)),
    })),
    'DEVICE_INFORMATION_INVALID',
    LOST,
  ],
  [
    'the device, signed anew with another signing key',
    withDevice(device => signDeviceInformation(mallory, informationIn(device), Date.now())),
    'DEVICE_INFORMATION_INVALID',
    LOST,
  ],
  ['the time', rewritten(payload => ({ ...payload, time: 0 })), 'REGISTRATION_REFUSED', 'DECRYPT_FAILED'],
  [
    'the frame limit',
    rewritten(payload => ({ ...payload, maxFrame: 32_768 })),
    'REGISTRATION_REFUSED',
    'DECRYPT_FAILED',
  ],
  [
    'a frame limit that is none',
    rewritten(payload => ({ ...payload, maxFrame: 1 })),
    'REGISTRATION_MALFORMED',
    LOST,
  ],
];
const RESPONSE: [string, (message: string) => string, string, string][] = [
  ['the type', withFields({ type: 'CHALLENGE' }), 'REGISTRATION_REFUSED', 'REGISTRATION_MALFORMED'],
  ['the ephemeral key', flip(0), 'REGISTRATION_REFUSED', 'DECRYPT_FAILED'],
  ['the sealed static key', flip(32), 'REGISTRATION_REFUSED', 'DECRYPT_FAILED'],
  ['the tag of the static key', flip(79), 'REGISTRATION_REFUSED', 'DECRYPT_FAILED'],
  ['the sealed payload', flip(100), 'REGISTRATION_REFUSED', 'DECRYPT_FAILED'],
  ['the last tag', flip(-1), 'REGISTRATION_REFUSED', 'DECRYPT_FAILED'],
  ['the end, cut off', cutOff(1), 'REGISTRATION_REFUSED', 'DECRYPT_FAILED'],
  ['nearly everything, cut off', cutOff(10_000), 'REGISTRATION_REFUSED', 'NOISE_MESSAGE_MALFORMED'],
];
const SUCCESS: [string, (message: string) => string, string, string][] = [
  ['the type', withFields({ type: 'REGISTER_SUCCES' }), 'REGISTRATION_MALFORMED', LOST],
  ['the connection id', flip(5), 'DECRYPT_FAILED', LOST],
  ['the tag', flip(-1), 'DECRYPT_FAILED', LOST],
  ['the end, cut off', cutOff(1), 'DECRYPT_FAILED', LOST],
  ['everything, cut off', withFields({ noise: '' }), 'DECRYPT_FAILED', LOST],
];

describe.each(SERVICES)('in front of %s, changing', (_, start) => {
  it.each([
    ['CHALLENGE', CHALLENGE],
    ['CHALLENGE_RESPONSE', RESPONSE],
    ['REGISTER_SUCCESS', SUCCESS],
  ] as const)('%s, is noticed, whichever field it is', { timeout: 20_000 }, async (type, attacks) => {
    const attacked = await attack(start);
    for (const [name, change, clientCode, serverCode] of attacks) {
      let changed = 0;
      attacked.mitm.tampering = changing(type, message => {
        const instead = change(message);
        if (instead !== message) changed += 1;
        return instead;
      });
      const { log } = attacked.dial({ serverKey: attacked.serverKey });
      expect([name, ...(await log.closed)]).toEqual([name, ...failedWith(clientCode)]);
      expect([name, await attacked.refusals.next()]).toEqual([name, serverCode]);
      expect([name, changed]).toEqual([name, 1]);
      if (type === 'CHALLENGE' && serverCode === LOST) expect(await told(attacked)).toBe(0);
    }
    expect(attacked.connections.pending).toEqual([]);
    // What it did leaves no trace.
    attacked.mitm.tampering = relaying;
    await attacked.dial({ serverKey: attacked.serverKey }).log.opened;
  });

  it('the static key and everything signed with it for its own, fails at the pin, and without one at the proof', async () => {
    const attacked = await attack(start);
    // The ephemeral key remains the server's: its secret is what the attacker lacks.
    attacked.mitm.tampering = changing('CHALLENGE', message => {
      const forger = new Forger('server', mallory);
      const device = signDeviceInformation(mallory, { addresses: [attacked.mitm.url] }, Date.now());
      const own = noiseOf(forger.message({ device, time: Date.now() }));
      return withNoise(message, Uint8Array.of(...noiseOf(message).subarray(0, 32), ...own.subarray(32)));
    });
    const pinned = attacked.dial({ serverKey: attacked.serverKey });
    expect(await pinned.log.closed).toEqual(failedWith('SERVER_KEY_MISMATCH'));
    expect(await told(attacked)).toBe(0);
    expect(await attacked.refusals.next()).toBe('LINK_LOST');

    const credulous = attacked.dial({ trustStore: anyServer });
    expect(await credulous.log.closed).toEqual(failedWith('REGISTRATION_REFUSED'));
    expect(await attacked.refusals.next()).toBe('DECRYPT_FAILED');
  });
});

describe.each(SERVICES)('in front of %s, forging REGISTER_FAILURE', (_, start) => {
  const forged = JSON.stringify({
    type: 'REGISTER_FAILURE',
    reason: 'TIMEOUT\u001b[2J',
    message: `\u001b]0;owned\u0007 use ws://evil.example ${'x'.repeat(5_000)}`,
  });

  it.each(['CHALLENGE', 'REGISTER_SUCCESS'])('in place of %s refuses service, and no more', async type => {
    const attacked = await attack(start);
    attacked.mitm.tampering = changing(type, () => forged);
    const { log } = attacked.dial({ serverKey: attacked.serverKey });
    expect(await log.closed).toEqual(failedWith('REGISTRATION_REFUSED'));
    const { message } = log.error as Error;
    expect(message.length).toBeLessThan(600);
    expect(message).not.toMatch(/\p{Cc}/u);
    attacked.mitm.tampering = relaying;
    await attacked.dial({ serverKey: attacked.serverKey }).log.opened;
  });

  it('or any other text after registration ends the link at once, without waiting for the other end', async () => {
    for (const text of [forged, 'anything', '']) {
      const attacked = await attack(start);
      const { socket, log } = attacked.dial({ serverKey: attacked.serverKey });
      await log.opened;
      const service = await attacked.connections.next();
      service.socket.send('before');
      expect(await log.messages.next()).toBe('before');
      attacked.mitm.latest.inject('to client', text);
      service.socket.send('behind');
      expect(await log.closed).toEqual(['open', 'message before', ...failedWith('LINK_LOST')]);
      expect(socket.readyState).toBe(socket.CLOSED);
    }
  });
});
