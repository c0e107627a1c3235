import { encodeEnvelope, peerAddress } from '../../../src/core/frame.js';
import { rawFrame } from '../raw-frames.js';
import { type Attack, type Plan, register } from './attack.js';
import type { HostileConnection } from './hostile-connection.js';
import { count, type Tally } from './tally.js';

/** Readers that do not read. `count`: envelopes of 30 kB that are thrown at each, at least. */
export const DEAF_ATTACKS = {
  /** One that never reads what another sends it. */
  neverReads: plan =>
    flooded(plan, deaf => {
      deaf.socket.pause();
    }),

  /** One that reads a little, now and then. */
  readsNowAndThen: plan =>
    flooded(plan, deaf => {
      deaf.socket.pause();
      const timer = setInterval(() => {
        if (deaf.isOver) clearInterval(timer);
        // One chunk, without the pause being over.
        else deaf.socket.read(65_536);
      }, 20);
    }),

  /** One that asks for what is not there, and reads no answer. `count`: how often, in thousands. */
  unreadNotices: async ({ target, count: times, random, meanwhile }) => {
    const deaf = await register(target);
    deaf.socket.pause();
    const frame = rawFrame(encodeEnvelope(peerAddress(random.bytes(32), 0), Uint8Array.of(1)));
    const thousand = Buffer.concat(Array.from({ length: 1_000 }, () => frame));
    for (let i = 0; i < times && !deaf.isOver; i++) {
      deaf.write(thousand);
      await deaf.written();
    }
    await meanwhile?.();
    await deaf.leave();
    return { [await deaf.ended]: 1 };
  },
} satisfies Record<string, Attack>;

/** Envelopes that are sent before it is looked at what came of them. */
const BATCH = 20;
const BODY = new Uint8Array(30_000);

/** Somebody floods `deaf` until its queue has been full for a while, or it was ended. */
async function flooded(plan: Plan, deafen: (deaf: HostileConnection) => void): Promise<Tally> {
  const { target, count: envelopes, meanwhile } = plan;
  const [sender, deaf] = [await register(target), await register(target)];
  deafen(deaf);
  const frame = rawFrame(encodeEnvelope(deaf.address, BODY));
  // To itself: what comes back says that the relay has seen all before it.
  const echo = rawFrame(encodeEnvelope(sender.address, Uint8Array.of(1)));
  const { heard } = sender;
  const wasEnded = (): boolean => heard['notice NOT_HERE'] !== undefined;
  const isFull = (): boolean => (heard['notice QUEUE_FULL'] ?? 0) > BATCH;
  for (let sent = 0; sent < envelopes || !(isFull() || wasEnded()); sent += BATCH) {
    for (let i = 0; i < BATCH; i++) sender.write(frame);
    sender.write(echo);
    const echoes = (heard['envelope'] ?? 0) + 1;
    if (!(await sender.until(() => (heard['envelope'] ?? 0) >= echoes))) break;
    if (sent > 20_000) throw new Error('Its queue is never full.');
  }
  await meanwhile?.();
  const tally: Tally = {};
  for (const what of ['notice QUEUE_FULL', 'notice NOT_HERE']) {
    if (heard[what] !== undefined) count(tally, what, heard[what]);
  }
  // Why the relay has ended it stands behind all that it did not read.
  if (wasEnded()) deaf.socket.resume();
  else await deaf.leave();
  count(tally, await deaf.ended);
  await sender.leave();
  return tally;
}
