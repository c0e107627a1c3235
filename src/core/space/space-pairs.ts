import { encodePacket, type Packet } from './key-packet.js';

/** After an attempt that failed the next one waits for so long, and twice as long each time. */
const FIRST_RETRY = 500;
const MAX_RETRY = 30_000;
/** Keys that wait for one member: of its latest generations. What was sealed with others is asked for when it is missed. */
const MAX_WAITING_KEYS = 32;
/** Other packets that wait for one member, and their bytes. The rest is asked for again. */
const MAX_WAITING = 512;
const MAX_WAITING_BYTES = 4_194_304;

interface Pair {
  packets: Packet[];
  bytes: number;
  isOpen: boolean;
  isDialling: boolean;
  /** Something was handed to the channel that is open, and may not arrive. */
  isUnsure: boolean;
  failures: number;
  retryAt: number;
}

/** What one member is to be told, or whether a channel to it is wanted so that it can be: then there are no packets. */
export interface PairOutput {
  readonly member: string;
  readonly packets: readonly Uint8Array[];
}

/** What waits for each of the other members, to be told through a channel of its own. */
export class SpacePairs {
  readonly #pairs = new Map<string, Pair>();
  readonly #latest: () => number;
  #unsure = new Set<string>();

  /** `latest`: the latest message that was sent. A HEAD says what it is when it goes. */
  constructor(latest: () => number) {
    this.#latest = latest;
  }

  /** Whether nothing waits for any of those who are meant. */
  isEmpty(isMeant: (member: string) => boolean): boolean {
    for (const [member, { packets }] of this.#pairs) if (packets.length > 0 && isMeant(member)) return false;
    return true;
  }

  /** Takes the keys in `packet` over. */
  add(member: string, packet: Packet): void {
    const pair = this.#at(member);
    const same = pair.packets.findIndex(waiting => replaces(packet, waiting));
    const [former] = same >= 0 ? remove(pair, same) : [];
    if (packet.type === 'want' && former?.type === 'want') {
      const [from, to] = [Math.min(packet.from, former.from), Math.max(packet.to, former.to)];
      pair.packets.push({ type: 'want', from, to });
      return;
    }
    if (packet.type === 'key') {
      const keys = pair.packets.filter(({ type }) => type === 'key');
      if (keys.length >= MAX_WAITING_KEYS) remove(pair, pair.packets.indexOf(keys[0] as Packet));
    } else if (pair.packets.length >= MAX_WAITING || pair.bytes + sizeOf(packet) > MAX_WAITING_BYTES) {
      return;
    }
    pair.packets.push(packet);
    pair.bytes += sizeOf(packet);
  }

  opened(member: string): void {
    const pair = this.#at(member);
    pair.isOpen = true;
    pair.isDialling = false;
    pair.failures = 0;
    pair.retryAt = 0;
  }

  /** `clean`: what was said has arrived. True: something that was handed over may not have. */
  lost(member: string, now: number, clean: boolean): boolean {
    const pair = this.#pairs.get(member);
    if (!pair) return false;
    const isUnsure = pair.isUnsure && !clean;
    pair.isOpen = pair.isDialling = pair.isUnsure = false;
    pair.retryAt = clean ? 0 : now + Math.min(MAX_RETRY, FIRST_RETRY * 2 ** pair.failures++);
    if (pair.packets.length === 0 && !isUnsure) this.#pairs.delete(member);
    return isUnsure;
  }

  /** All channels are gone: the link is. What waits goes on waiting. */
  detach(): void {
    for (const [member, pair] of this.#pairs) {
      if (pair.isUnsure) this.#unsure.add(member);
      pair.isOpen = pair.isDialling = pair.isUnsure = false;
      pair.retryAt = pair.failures = 0;
      if (pair.packets.length === 0) this.#pairs.delete(member);
    }
  }

  /** Those to whom something was said that may not have arrived before the link was lost. */
  takeUnsure(): ReadonlySet<string> {
    const unsure = this.#unsure;
    this.#unsure = new Set();
    return unsure;
  }

  /** The member is gone: what it was to be told is wiped. */
  remove(member: string): void {
    for (const packet of this.#pairs.get(member)?.packets ?? []) wipePacket(packet);
    this.#pairs.delete(member);
    this.#unsure.delete(member);
  }

  /** `mayDial`: whether a channel can be opened to a member now. */
  take(now: number, mayDial: (member: string) => boolean): PairOutput[] {
    const output: PairOutput[] = [];
    for (const [member, pair] of this.#pairs) {
      if (pair.packets.length === 0) continue;
      if (pair.isOpen) {
        const packets = pair.packets.map(packet => {
          const bytes = encodePacket(
            packet.type === 'head' ? { type: 'head', sequence: this.#latest() } : packet,
          );
          wipePacket(packet);
          return bytes;
        });
        pair.packets = [];
        pair.bytes = 0;
        pair.isUnsure = true;
        output.push({ member, packets });
      } else if (!pair.isDialling && now >= pair.retryAt) {
        pair.retryAt = 0;
        if (!mayDial(member)) continue;
        pair.isDialling = true;
        output.push({ member, packets: [] });
      }
    }
    return output;
  }

  /** When the next attempt is due, or Infinity. */
  get wakeAt(): number {
    let at = Infinity;
    for (const { packets, isOpen, isDialling, retryAt } of this.#pairs.values()) {
      // 0: as soon as it may be.
      if (packets.length > 0 && !isOpen && !isDialling && retryAt > 0) at = Math.min(at, retryAt);
    }
    return at;
  }

  clear(): void {
    for (const member of [...this.#pairs.keys()]) this.remove(member);
  }

  #at(member: string): Pair {
    let pair = this.#pairs.get(member);
    if (!pair) {
      const state = { isOpen: false, isDialling: false, isUnsure: false, failures: 0, retryAt: 0 };
      pair = { packets: [], bytes: 0, ...state };
      this.#pairs.set(member, pair);
    }
    return pair;
  }
}

/** Whether there is no point in saying `former` once `packet` is said. */
function replaces(packet: Packet, former: Packet): boolean {
  if (packet.type === 'key') return former.type === 'key' && former.generation === packet.generation;
  if (packet.type === 'missed') return former.type === 'missed' && former.sequence === packet.sequence;
  return packet.type !== 'lost' && former.type === packet.type;
}

function remove(pair: Pair, index: number): Packet[] {
  const removed = pair.packets.splice(index, 1);
  for (const packet of removed) {
    pair.bytes -= sizeOf(packet);
    wipePacket(packet);
  }
  return removed;
}

function sizeOf(packet: Packet): number {
  return packet.type === 'missed' ? packet.plaintext.length : 0;
}

function wipePacket(packet: Packet): void {
  if (packet.type === 'key') packet.key.fill(0);
}
