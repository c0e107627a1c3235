import { Duplex } from 'node:stream';
import { connect as tlsConnect } from 'node:tls';
import { Identity } from '../../../src/core/identity.js';
import { rawFrame } from '../raw-frames.js';
import { type Attack, besiege, drip } from './attack.js';
import { type HostileConnection, type Target, UPGRADE } from './hostile-connection.js';

const TEXT = 0x1;
/** Header of a masked binary frame of 16 MiB, whose mask is zero. */
const ANNOUNCED = Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0x01, 0, 0, 0, 0, 0, 0, 0]);

/** Slowloris: each of these takes a connection to one stage of its way in, and stops there, or all but stops. */
export const SLOW_ATTACKS = {
  /** A TCP connection that says nothing. */
  silentTcp: plan => besiege(plan, async () => undefined, { tcp: true }),

  /** A request that never ends, byte by byte. */
  drippedRequest: plan =>
    besiege(
      plan,
      async connection => {
        connection.write(UPGRADE.slice(0, -2));
        drip(connection, Buffer.from('X-Slow: slow\r\n'));
      },
      { tcp: true },
    ),

  /** Half a ClientHello. */
  halfClientHello: plan =>
    besiege(
      plan,
      async connection => {
        const hello = await clientHello();
        connection.write(hello.subarray(0, hello.length >> 1));
      },
      { tcp: true },
    ),

  /** A whole ClientHello, and nothing after the server's answer. */
  halfHandshake: plan =>
    besiege(
      plan,
      async connection => {
        connection.write(await clientHello());
      },
      { tcp: true },
    ),

  /** An upgrade, and no word after it. */
  silentUpgrade: plan => besiege(plan, connection => connection.upgrade()),

  /** Half an answer to the challenge. */
  halfRegistration: plan =>
    besiege(plan, async connection => {
      const frame = await registrationFrame(connection, plan.target);
      connection.write(frame.subarray(0, frame.length >> 1));
    }),

  /** The answer to the challenge, one byte a frame. */
  drippedRegistration: plan =>
    besiege(plan, async connection => {
      if ((await connection.upgrade()) !== 101) return;
      connection.write(rawFrame(Buffer.from('{'), TEXT, false));
      drip(connection, rawFrame(Buffer.from(' '), 0x0, false), 5);
    }),

  /** Registered; then half the header of a frame. */
  halfHeader: plan =>
    besiege(plan, async connection => {
      await connection.register(plan.target, await Identity.generate());
      connection.answersPings = false;
      connection.write(ANNOUNCED.subarray(0, 5));
    }),

  /** Registered; then a frame of 16 MiB, of which little comes. */
  halfPayload: plan =>
    besiege(plan, async connection => {
      await connection.register(plan.target, await Identity.generate());
      connection.answersPings = false;
      connection.write(Buffer.concat([ANNOUNCED, Buffer.alloc(20_000)]));
    }),
} satisfies Record<string, Attack>;

async function registrationFrame(connection: HostileConnection, target: Target): Promise<Buffer> {
  const challenged = await connection.challenged(target, await Identity.generate());
  return rawFrame(Buffer.from(challenged?.response ?? '{"type":"CHALLENGE_RESPONSE","noise":"'), TEXT);
}

/** What a TLS client says first. */
function clientHello(): Promise<Buffer> {
  return new Promise(resolve => {
    const wire = new Duplex({
      read: () => undefined,
      write: (hello: Buffer, _encoding, done) => {
        resolve(hello);
        done();
        setImmediate(() => wire.destroy());
      },
    });
    tlsConnect({ socket: wire, servername: 'localhost' }).on('error', () => undefined);
  });
}
