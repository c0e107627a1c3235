/** So many questions at once, and so many in a second, one member is answered: each may be about hundreds of messages. */
const BURST = 16;
const PER_SECOND = 4;
/** Keys are given again at most once in this time. */
const KEY_INTERVAL = 4_000;

interface Allowance {
  left: number;
  at: number;
  keysAt: number;
}

/** How often members are given again what they say did not reach them: whoever asks must not cost more than it pays itself. */
export class RepairAllowance {
  readonly #members = new Map<string, Allowance>();

  /** Whether a question is answered. */
  takeQuestion(member: string, now: number): boolean {
    const allowance = this.#at(member, now);
    allowance.left = Math.min(BURST, allowance.left + ((now - allowance.at) / 1_000) * PER_SECOND);
    allowance.at = now;
    if (allowance.left < 1) return false;
    allowance.left--;
    return true;
  }

  /** Whether keys are given again. */
  takeKeys(member: string, now: number): boolean {
    const allowance = this.#at(member, now);
    if (now < allowance.keysAt) return false;
    allowance.keysAt = now + KEY_INTERVAL;
    return true;
  }

  /** The member is gone. */
  forget(member: string): void {
    this.#members.delete(member);
  }

  #at(member: string, now: number): Allowance {
    let allowance = this.#members.get(member);
    if (!allowance) {
      allowance = { left: BURST, at: now, keysAt: -Infinity };
      this.#members.set(member, allowance);
    }
    return allowance;
  }
}
