import { parseAddress } from '../../core/address.js';
import { eachLine, type Lines } from './list-lines.js';

/** What a rule says, and which one of all it is. */
interface Rule {
  readonly number: number;
  readonly allow: boolean;
}

/** Stands for every key. */
const ANY = '*';

/**
 * Who may reach whom: `allow <key|*> <key|*>` or `deny <key|*> <key|*>`. The first rule that fits counts; where none
 * does, the answer is no. To find it takes the same time whether there are ten or 100,000.
 */
export class ReachRules {
  /** By who sends, then by who receives: a key, or `*`. */
  readonly #rules = new Map<string, Map<string, Rule>>();
  #count = 0;

  /**
   * One rule per line; `#` begins a comment.
   * @throws SecureWebSocketError `INVALID_ARGUMENT` naming the line and what is wrong with it
   */
  static async parse(name: string, lines: Lines): Promise<ReachRules> {
    const rules = new ReachRules();
    await eachLine(name, lines, line => rules.#add(line));
    return rules;
  }

  /** How many rules there are. */
  get size(): number {
    return this.#count;
  }

  /** @param from @param to public keys, 64 hex digits each */
  allows(from: string, to: string): boolean {
    const own = this.#rules.get(from);
    const any = this.#rules.get(ANY);
    let first = earlier(own?.get(to), own?.get(ANY));
    first = earlier(first, any?.get(to));
    return earlier(first, any?.get(ANY))?.allow ?? false;
  }

  #add(line: string): void {
    const [verb, from, to, ...rest] = line.split(/\s+/);
    if ((verb !== 'allow' && verb !== 'deny') || from === undefined || to === undefined || rest.length > 0) {
      throw new Error('A rule is "allow" or "deny" and two public keys, or "*" for any.');
    }
    const rule = { number: this.#count++, allow: verb === 'allow' };
    const sender = party(from);
    const receiver = party(to);
    let rules = this.#rules.get(sender);
    if (rules === undefined) this.#rules.set(sender, (rules = new Map<string, Rule>()));
    if (!rules.has(receiver)) rules.set(receiver, rule);
  }
}

function earlier(a: Rule | undefined, b: Rule | undefined): Rule | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return a.number < b.number ? a : b;
}

/** A string of its own: a part of a longer string would keep the whole of that alive. */
function party(text: string): string {
  return text === ANY ? ANY : Buffer.from(parseAddress(text)).toString('hex');
}
