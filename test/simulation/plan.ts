import type { Random } from './random.js';
import type { Lies } from './wire.js';

/** What happens in one run, as far as it is known beforehand. */
export interface Plan {
  readonly relays: number;
  readonly processes: number;
  readonly conversations: number;
  readonly realCrypto: boolean;
  readonly latency: number;
  /** Bytes per millisecond. */
  readonly bandwidth: number;
  readonly maxFrame: number;
  readonly maxQueueBytes: number | undefined;
  /** Messages of one end, at most, and over how many milliseconds they are sent. */
  readonly messages: number;
  readonly talk: number;
  /** Shares: of large messages, of readers who pause, of conversations without a relay, of those that can be resumed. */
  readonly large: number;
  readonly pauses: number;
  readonly direct: number;
  readonly resumable: number;
  readonly liesFrom: number;
  readonly lies: Lies;
  readonly faults: readonly { readonly at: number; readonly kind: string; readonly length: number }[];
  readonly faultsEnd: number;
  readonly directFollowsRelay: boolean;
}

const KINDS = ['cut', 'cut', 'cut all', 'stall', 'relay', 'sleep', 'clock', 'crash'] as const;

export function makePlan(random: Random, seed: number): Plan {
  // Most are small: of many small runs more can be had, and their faults are easier to understand.
  const isLarge = seed % 500 === 499;
  const processes = isLarge ? random.integer(100, 250) : random.integer(2, 5);
  const faultsEnd = random.magnitude(1_000, 400_000);
  const liars = random.chance(0.5);
  const lie = (most: number): number => (liars && random.chance(0.6) ? random.magnitude(0.001, most) : 0);
  const lies = { drop: lie(0.2), repeat: lie(0.1), hold: lie(0.1), tamper: lie(0.01) };
  const count = random.chance(0.15) ? 0 : random.integer(0, isLarge ? 60 : 10);
  const faults = Array.from({ length: count }, () => {
    const kind = random.pick(KINDS);
    const at = random.between(0, faultsEnd);
    const length = Math.min(random.magnitude(10, 60_000), faultsEnd - at);
    return { at, kind, length };
  });
  const maxFrame = random.chance(0.5) ? 32_768 : 262_144;
  return {
    relays: isLarge ? random.integer(3, 6) : random.integer(1, 3),
    processes,
    conversations: isLarge ? processes : random.integer(1, 5),
    realCrypto: seed % 20 === 0,
    latency: random.magnitude(0.1, 300),
    bandwidth: random.magnitude(50, 50_000),
    maxFrame,
    // Too little for what peers may send ahead of each other, so that it is lost; but no frame is too large for it.
    maxQueueBytes: random.chance(0.2) ? random.integer(2, 6) * maxFrame : undefined,
    messages: random.integer(0, 40),
    talk: random.magnitude(100, faultsEnd),
    large: random.chance(0.05) ? 1 : random.chance(0.3) ? 0.1 : 0,
    pauses: random.chance(0.4) ? 0.5 : 0,
    direct: random.pick([0, 0.3, 1]),
    resumable: random.pick([1, 1, 0.7, 0]),
    liesFrom: random.between(0, faultsEnd / 2),
    lies,
    faults,
    faultsEnd,
    directFollowsRelay: random.chance(0.5),
  };
}
