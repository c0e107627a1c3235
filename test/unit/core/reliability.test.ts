import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ACK_DELAY,
  ACK_EVERY,
  DEAD_AFTER,
  HEARTBEAT_INTERVAL,
  INITIAL_RETRY,
  MAX_RETRY,
  MIN_RETRY,
} from '../../../src/core/constants.js';
import { decodeRecordHeader, encodeAcknowledgement } from '../../../src/core/record.js';
import { Reliability } from '../../../src/core/reliability.js';
import { expectCode } from '../../support/errors.js';
import { runs, SLOW } from '../../support/fuzz.js';
import { credit } from '../../support/raw-peer.js';
import { type Loss, ReliablePath } from '../../support/reliable-ends.js';

const NOW = 1_000_000;
const NEVER: Loss = () => false;
const numbers = (count: number, name = '') => Array.from({ length: count }, (_, i) => `${name}${i}`);
const record = () =>
  encodeAcknowledgement({ channelId: 1, opener: true, sequenced: true, sequence: 0, acknowledgement: 0 });

/** One end that has sent `count` records at `NOW`. */
function sender(count: number): Reliability {
  const reliability = new Reliability();
  for (let i = 0; i < count; i++) {
    reliability.sent.add(record(), NOW);
    reliability.armed(NOW);
  }
  return reliability;
}

/** Writes again whatever has to be. How many records that were. */
function rewriteAll({ sent }: Reliability): number {
  let count = 0;
  while (sent.rewrite()) count++;
  return count;
}

describe('two ends of a path that loses whatever it likes', SLOW, () => {
  const scripts = fc.record({
    latency: fc.integer({ min: 1, max: 1_500 }),
    /** What becomes of the first records; all others arrive. */
    losses: fc.array(fc.boolean(), { maxLength: 120 }),
    bursts: fc.array(
      fc.record({ toB: fc.boolean(), count: fc.integer({ min: 1, max: 40 }), pause: fc.nat(3_000) }),
      { minLength: 1, maxLength: 8 },
    ),
  });

  it('get everything once and in order, and nothing is sent again that has arrived', () => {
    fc.assert(
      fc.property(scripts, ({ latency, losses, bursts }) => {
        let asked = 0;
        const path = new ReliablePath(latency, () => losses[asked++] === true);
        const sent = { toA: [] as string[], toB: [] as string[] };
        const check = () => {
          expect(path.a.received).toEqual(sent.toA.slice(0, path.a.received.length));
          expect(path.b.received).toEqual(sent.toB.slice(0, path.b.received.length));
        };
        for (const { toB, count, pause } of bursts) {
          const [list, end] = toB ? [sent.toB, path.a] : [sent.toA, path.b];
          for (let i = 0; i < count; i++) {
            list.push(`${list.length}`);
            end.waiting.push(`${list.length - 1}`);
          }
          path.advance(pause);
          check();
        }
        path.advance(600_000);
        check();
        expect([path.a.received, path.b.received]).toEqual([sent.toA, sent.toB]);
        for (const { reliability, repeated } of [path.a, path.b]) {
          expect([reliability.sent.isEmpty, reliability.wakeAt]).toEqual([true, Infinity]);
          // Whoever is told that a record is missing has taken none that comes after it, either.
          expect(repeated).toBe(0);
        }
        // What is lost costs no more than that all that is under way is sent again, and a few questions.
        const messages = sent.toA.length + sent.toB.length;
        const questions = Math.ceil((8 * 3_000) / MIN_RETRY);
        expect(path.frames).toBeLessThanOrEqual(2 * messages + path.lost * (messages + 4) + 4 * questions);
      }),
      runs(150),
    );
  });

  it('send nothing twice when nothing is lost, however long it takes', () => {
    for (const latency of [0, 10, 400, 5_000]) {
      const path = new ReliablePath(latency, NEVER);
      path.a.waiting.push(...numbers(100));
      path.b.waiting.push(...numbers(10));
      path.advance(120_000);
      expect([path.b.received, path.a.received]).toEqual([numbers(100), numbers(10)]);
      expect([path.a.rewritten, path.b.rewritten]).toEqual([[], []]);
      expect(path.a.reliability.wakeAt).toBe(Infinity);
    }
  });

  it('send again what was lost and what came after it, and nothing before it', () => {
    for (const missing of [0, 5, 9]) {
      let isLost = false;
      const path = new ReliablePath(50, (bytes, toB) => {
        const header = decodeRecordHeader(bytes);
        if (!toB || !header.sequenced || header.sequence !== missing || isLost) return false;
        return (isLost = true);
      });
      path.a.waiting.push(...numbers(10));
      path.advance(10_000);
      expect(path.b.received).toEqual(numbers(10));
      expect(path.a.rewritten).toEqual(Array.from({ length: 10 - missing }, (_, i) => missing + i));
    }
  });

  it('ask after a tail that was lost, and at ever longer intervals while nothing comes back', () => {
    const path = new ReliablePath(50, () => true);
    path.a.waiting.push('lost');
    path.advance(200_000);
    // 1, 2, 4, 8 and then every 10 s.
    const questions = 4 + Math.floor((200_000 - 15_000) / MAX_RETRY);
    expect(path.frames).toBeGreaterThanOrEqual(questions);
    expect(path.frames).toBeLessThanOrEqual(questions + 3);
    // Nothing is sent on a guess.
    expect(path.a.rewritten).toEqual([]);
  });
});

describe('what has arrived', () => {
  it('is acknowledged after ACK_DELAY at the latest', () => {
    const reliability = new Reliability();
    reliability.accept(true, 0, NOW);
    expect([reliability.mustAcknowledge, reliability.wakeAt]).toEqual([false, NOW + ACK_DELAY]);
    reliability.accept(true, 1, NOW + 100);
    expect(reliability.wakeAt).toBe(NOW + ACK_DELAY);
    reliability.timeout(NOW + ACK_DELAY - 1, true);
    expect(reliability.mustAcknowledge).toBe(false);
    reliability.timeout(NOW + ACK_DELAY, true);
    expect([reliability.mustAcknowledge, reliability.wakeAt]).toEqual([true, Infinity]);
    reliability.acknowledged();
    expect(reliability.mustAcknowledge).toBe(false);
  });

  it('is acknowledged at once every ACK_EVERY records, and when it comes again', () => {
    const reliability = new Reliability();
    for (let i = 0; i < ACK_EVERY; i++) {
      expect(reliability.mustAcknowledge).toBe(false);
      expect(reliability.accept(true, i, NOW)).toBe(true);
    }
    expect(reliability.mustAcknowledge).toBe(true);
    reliability.acknowledged();
    expect(reliability.accept(true, 3, NOW)).toBe(false);
    expect(reliability.mustAcknowledge).toBe(true);
  });

  it('is not acknowledged by itself when something else has told it', () => {
    const reliability = new Reliability();
    reliability.accept(true, 0, NOW);
    reliability.acknowledged();
    expect(reliability.wakeAt).toBe(Infinity);
  });

  it('is what has the next number and nothing else', () => {
    const reliability = new Reliability();
    const taken = [1, 0, 0, 2, 1, 1, 2, 5].map(number => reliability.accept(true, number, NOW));
    expect(taken).toEqual([false, true, false, false, true, false, true, false]);
    expect(reliability.expected).toBe(3);
    expect(reliability.accept(false, 3, NOW)).toBe(false);
    expect(reliability.expected).toBe(3);
  });
});

describe('a gap', () => {
  it('is reported once for each time that the peer sends what lies beyond', () => {
    const reliability = new Reliability();
    const reports = [1, 2, 3, 2, 3, 4, 1, 9].map(number => {
      reliability.accept(true, number, NOW);
      return reliability.takeReport(NOW).gap;
    });
    expect(reports).toEqual([true, false, false, true, false, false, true, false]);
    // And a later one again.
    reliability.accept(true, 0, NOW);
    reliability.accept(true, 9, NOW);
    expect(reliability.takeReport(NOW).gap).toBe(true);
  });

  it('shows in the numbers of records that have none of their own', () => {
    const reliability = new Reliability();
    reliability.accept(false, 0, NOW);
    expect(reliability.hasReport).toBe(false);
    reliability.accept(false, 1, NOW);
    expect(reliability.takeReport(NOW).gap).toBe(true);
  });

  it('that is reported has everything from there on written again, once a round trip at most', () => {
    const reliability = sender(10);
    reliability.heard(4, NOW + 100);
    reliability.gap(4, NOW + 100);
    expect(rewriteAll(reliability)).toBe(6);
    reliability.gap(4, NOW + 101);
    expect(rewriteAll(reliability)).toBe(0);
    reliability.gap(4, NOW + 200);
    expect(rewriteAll(reliability)).toBe(6);
  });

  it('that is reported again and again, with numbers old and new, does not make us send again and again', () => {
    const reliability = sender(100);
    reliability.heard(50, NOW + 100);
    let written = 0;
    for (let i = 0; i < 1_000; i++) {
      for (const from of [50, 49, 0, 1, 2]) {
        reliability.gap(from, NOW + 100);
        written += rewriteAll(reliability);
      }
    }
    expect(written).toBe(50);
  });
});

describe('an acknowledgement', () => {
  it('of what was never sent is refused', () => {
    for (const upTo of [4, 5, Number.MAX_SAFE_INTEGER]) {
      expectCode(() => {
        sender(3).heard(upTo, NOW);
      }, 'PROTOCOL_VIOLATION');
    }
  });

  it('that is old changes nothing', () => {
    const reliability = sender(3);
    reliability.heard(2, NOW + 10);
    const { wakeAt } = reliability;
    reliability.heard(1, NOW + 20);
    reliability.heard(2, NOW + 20);
    expect([reliability.sent.first, reliability.wakeAt]).toEqual([2, wakeAt]);
  });

  it('of everything leaves nothing to wait for', () => {
    const reliability = sender(3);
    expect(reliability.wakeAt).toBe(NOW + INITIAL_RETRY);
    reliability.heard(3, NOW + 10);
    expect([reliability.wakeAt, reliability.sent.isEmpty]).toEqual([Infinity, true]);
  });
});

describe('questions', () => {
  it('are answered with what they say, the latest only', () => {
    const reliability = new Reliability();
    for (let i = 0; i < 10_000; i++) reliability.asked(credit(i));
    expect(reliability.takeReport(NOW)).toEqual({ gap: false, answer: credit(9_999), probe: undefined });
    expect(reliability.hasReport).toBe(false);
    for (const length of [0, 7, 9]) {
      expectCode(() => {
        reliability.asked(new Uint8Array(length));
      }, 'PROTOCOL_VIOLATION');
    }
  });

  it('that are answered tell for certain what was lost', () => {
    const reliability = sender(5);
    expect(reliability.timeout(NOW + INITIAL_RETRY, true)).toBe(true);
    const { probe } = reliability.takeReport(NOW + INITIAL_RETRY);
    // What was sent after the question may still arrive.
    reliability.sent.add(record(), NOW + INITIAL_RETRY);
    reliability.heard(5, NOW + 1_100);
    reliability.answered(probe!, 5, NOW + 1_100);
    expect(rewriteAll(reliability)).toBe(0);
    reliability.timeout(NOW + 10_000, true);
    const second = reliability.takeReport(NOW + 10_000).probe!;
    reliability.answered(second, 5, NOW + 10_100);
    expect(rewriteAll(reliability)).toBe(1);
  });

  it('are answered once, and only those that were put', () => {
    const reliability = sender(5);
    reliability.timeout(NOW + INITIAL_RETRY, true);
    const { probe } = reliability.takeReport(NOW + INITIAL_RETRY);
    for (const payload of [credit(0), credit(77), new Uint8Array(7), new Uint8Array(8).fill(0xff)]) {
      reliability.answered(payload, 0, NOW + 1_100);
    }
    expect(rewriteAll(reliability)).toBe(0);
    reliability.answered(probe!, 0, NOW + 1_100);
    expect(rewriteAll(reliability)).toBe(5);
    reliability.answered(probe!, 0, NOW + 1_200);
    expect(rewriteAll(reliability)).toBe(0);
  });

  it('are forgotten when there are too many: no memory is taken', () => {
    const reliability = sender(1);
    const [first, ...others] = Array.from({ length: 9 }, () => {
      reliability.probe(NOW);
      return reliability.takeReport(NOW).probe!;
    });
    reliability.answered(first!, 0, NOW + 10);
    expect(rewriteAll(reliability)).toBe(0);
    reliability.answered(others[0]!, 0, NOW + 10);
    expect(rewriteAll(reliability)).toBe(1);
  });
});

describe('a peer', () => {
  /** Lets questions go unanswered until `until`; since when the peer was taken for gone. */
  function wait(reliability: Reliability, from: number, until: number, heardAt = from): number | undefined {
    for (let now = from; now <= until; now = Math.max(now + 1, reliability.wakeAt)) {
      if (now >= reliability.wakeAt && reliability.timeout(now, true)) reliability.takeReport(now);
      if (reliability.isDead(heardAt, now)) return now;
    }
    return undefined;
  }

  it('that answers nothing is gone after DEAD_AFTER, not before', () => {
    const dead = wait(sender(1), NOW, NOW + 100_000)!;
    expect(dead - NOW).toBeGreaterThanOrEqual(INITIAL_RETRY + DEAD_AFTER);
    expect(dead - NOW).toBeLessThanOrEqual(INITIAL_RETRY + DEAD_AFTER + MAX_RETRY);
  });

  it('of which something was heard meanwhile is not, nor one that nobody has asked', () => {
    const reliability = sender(1);
    expect(reliability.isDead(NOW, NOW + 1e9)).toBe(false);
    expect(wait(reliability, NOW, NOW + 100_000, NOW + 100_000 - DEAD_AFTER + 1)).toBeUndefined();
  });

  it('that was asked once is not, however long ago: a machine that slept has heard nothing', () => {
    const reliability = sender(1);
    reliability.timeout(NOW + INITIAL_RETRY, true);
    expect(reliability.isDead(NOW, NOW + 1e9)).toBe(false);
    // The timer is hours late: what was asked before does not count.
    for (let now = NOW + INITIAL_RETRY, i = 0; i < 4; i++) reliability.timeout((now += 2_000), true);
    const woken = NOW + 3 * 3_600_000;
    reliability.timeout(woken, true);
    expect([reliability.isDead(NOW, woken), reliability.isDoubtful]).toEqual([false, false]);
    expect(wait(reliability, woken + 1, woken + 100_000, NOW)! - woken).toBeGreaterThanOrEqual(DEAD_AFTER);
  });

  it('is doubtful when two questions are not answered, until it is heard', () => {
    const reliability = sender(2);
    const doubts = [1_000, 3_000].map(after => {
      reliability.timeout(NOW + after, true);
      return reliability.isDoubtful;
    });
    expect(doubts).toEqual([false, true]);
    reliability.heard(1, NOW + 3_500);
    expect(reliability.isDoubtful).toBe(false);
  });

  it('is forgiven its silence when nobody could have heard it', () => {
    const reliability = sender(1);
    for (const after of [1_000, 3_000, 7_000, 15_000]) reliability.timeout(NOW + after, true);
    expect(reliability.isDead(NOW, NOW + 16_000)).toBe(true);
    reliability.forgive(NOW + 16_000);
    expect(reliability.isDead(NOW, NOW + 16_000)).toBe(false);
    expect(reliability.isDead(NOW, NOW + 16_000 + DEAD_AFTER)).toBe(true);
  });

  it('is asked after HEARTBEAT_INTERVAL of silence, unless it owes an answer anyway', () => {
    const reliability = new Reliability();
    expect(reliability.heartbeatAt(NOW)).toBe(NOW + HEARTBEAT_INTERVAL);
    reliability.probe(NOW + HEARTBEAT_INTERVAL);
    expect([reliability.heartbeatAt(NOW), reliability.hasReport]).toEqual([Infinity, true]);
    expect(reliability.wakeAt).toBe(NOW + HEARTBEAT_INTERVAL + INITIAL_RETRY);
    const { probe } = reliability.takeReport(NOW + HEARTBEAT_INTERVAL);
    reliability.answered(probe!, 0, NOW + HEARTBEAT_INTERVAL + 30);
    expect(reliability.heartbeatAt(NOW)).toBe(NOW + HEARTBEAT_INTERVAL);
    expect(reliability.wakeAt).toBe(Infinity);
    expect(sender(1).heartbeatAt(NOW)).toBe(Infinity);
  });

  it('that is out of reach is asked nothing and told nothing; then all begins where it stands', () => {
    const reliability = sender(5);
    reliability.accept(true, 0, NOW);
    reliability.accept(true, 7, NOW);
    reliability.asked(credit(1));
    for (const after of [1_000, 3_000]) reliability.timeout(NOW + after, true);
    reliability.suspend();
    expect(reliability).toMatchObject({
      hasReport: false,
      mustAcknowledge: false,
      wakeAt: Infinity,
      isDoubtful: false,
      expected: 1,
    });
    reliability.resume(2, NOW + 500_000);
    expect([reliability.sent.first, rewriteAll(reliability)]).toEqual([2, 3]);
    expect(reliability.isDead(NOW, NOW + 500_000)).toBe(false);
    // The gap is not forgotten by the numbers, and is reported again.
    reliability.accept(true, 7, NOW + 500_000);
    expect(reliability.takeReport(NOW + 500_000).gap).toBe(true);
    expectCode(() => {
      reliability.resume(6, NOW);
    }, 'PROTOCOL_VIOLATION');
  });
});
