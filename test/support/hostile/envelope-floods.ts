import { encodeEnvelope, encodeListen, peerAddress } from '../../../src/core/frame.js';
import { encodeInitiation } from '../../../src/core/sealed-body.js';
import { rawFrame } from '../raw-frames.js';
import { type Attack, type Plan, register } from './attack.js';
import type { HostileConnection } from './hostile-connection.js';
import { inParallel } from './in-parallel.js';
import type { Random } from './random.js';
import { addTally, type Tally } from './tally.js';

/** Connections of one flood. */
const SENDERS = 4;
/** Envelopes that leave together. */
const BATCH = 250;

/** Envelopes that nobody wants. `count`: how many, of all senders together. Each gives what the senders heard. */
export const ENVELOPE_FLOODS = {
  /** To keys that are not here, each another one. */
  toAbsentKeys: plan =>
    senders(plan, ({ random }) => encodeEnvelope(peerAddress(random.bytes(32), 0), random.bytes(100))),

  /** To somebody who is here and has asked for nothing: of every kind, and of none. */
  toAStranger: plan =>
    senders(plan, ({ target, random }) => {
      const body = random.bytes(1 + random.below(1_000));
      body[0] = random.pick([0, 3, 4, 4, 4, 0xff]);
      return encodeEnvelope(peerAddress(target.service, 0), body);
    }),

  /** Handshakes to one victim, as fast as they go. */
  handshakesToOne: plan =>
    senders(plan, ({ target, random }) => encodeEnvelope(peerAddress(target.service, 0), initiation(random))),

  /** Handshakes to many: accomplices that listen, whom the sender greets in turn. */
  handshakesToMany: async plan => {
    const accomplices = await inParallel(50, 8, async () => {
      const accomplice = await register(plan.target);
      accomplice.send(encodeListen(true));
      return accomplice;
    });
    let at = 0;
    const tally = await senders(plan, ({ random }) =>
      encodeEnvelope(
        (accomplices[at++ % accomplices.length] as HostileConnection).address,
        initiation(random),
      ),
    );
    await Promise.all(accomplices.map(each => each.leave()));
    return tally;
  },
} satisfies Record<string, Attack>;

/**
 * Somebody sends much more than the relay takes per second, to an accomplice. `count`: envelopes. Gives what the sender heard,
 * and `in order`, `lost` or `out of order`: what became of the envelopes.
 */
export const tooMuchTraffic: Attack = async ({ target, count: envelopes, meanwhile }) => {
  const [sender, receiver] = [await register(target), await register(target)];
  const numbers: number[] = [];
  receiver.onFrame = frame => {
    if (frame.type !== 'envelope') return;
    numbers.push(new DataView(frame.body.buffer, frame.body.byteOffset).getUint32(0));
  };
  const body = new Uint8Array(200);
  for (let i = 0; i < envelopes; i++) {
    new DataView(body.buffer).setUint32(0, i);
    sender.send(encodeEnvelope(receiver.address, body));
  }
  await meanwhile?.();
  await receiver.until(() => numbers.length >= envelopes || sender.isOver);
  const isInOrder = numbers.every((number, index) => number === index);
  const what = numbers.length !== envelopes ? 'lost' : isInOrder ? 'in order' : 'out of order';
  const tally = { ...sender.heard, [what]: 1 };
  await Promise.all([sender.leave(), receiver.leave()]);
  return tally;
};

/** A handshake initiation of the right form. What it says nobody can read. */
function initiation(random: Random): Uint8Array {
  return encodeInitiation(random.below(2 ** 32), random.bytes(124));
}

async function senders(plan: Plan, frame: (plan: Plan) => Uint8Array): Promise<Tally> {
  const each = Math.ceil(plan.count / SENDERS);
  const connections = await inParallel(SENDERS, SENDERS, async () => register(plan.target));
  const sent = Promise.all(
    connections.map(async connection => {
      for (let i = 0; i < each && !connection.isOver; i += BATCH) {
        const frames = Array.from({ length: Math.min(BATCH, each - i) }, () => rawFrame(frame(plan)));
        connection.write(Buffer.concat(frames));
        await connection.written();
      }
      // To itself: when it comes back, all before it has been seen.
      const echoes = connection.heard['envelope'] ?? 0;
      connection.send(encodeEnvelope(connection.address, Uint8Array.of(1)));
      if (await connection.until(() => (connection.heard['envelope'] ?? 0) > echoes)) return;
      throw new Error(`The relay ended a sender: ${await connection.ended}.`);
    }),
  );
  await plan.meanwhile?.();
  await sent;
  const tally: Tally = {};
  for (const connection of connections) {
    addTally(tally, connection.heard);
    await connection.leave();
  }
  delete tally['envelope'];
  return tally;
}
