import { Identity } from '../../../src/core/identity.js';
import { HostileConnection, type Target } from './hostile-connection.js';
import { inParallel } from './in-parallel.js';
import type { Random } from './random.js';
import { type Tally, tallyOf } from './tally.js';

/** How an attack is carried out. */
export interface Plan {
  readonly target: Target;
  /** Connections, unless the attack says what else. */
  readonly count: number;
  readonly random: Random;
  /** Goes on while everything is in place; the attackers leave afterwards, those that the relay has not ended before. */
  readonly meanwhile?: (() => Promise<unknown>) | undefined;
}

/** Somebody does what a relay should be able to bear. Gives what came of it: mostly how connections ended. */
export type Attack = (plan: Plan) => Promise<Tally>;

/** So many connections of one attack are being made at once. */
const AT_ONCE = 32;

/**
 * `count` connections, each taken by `bring` to where the attack wants it. Then they stay: until the relay ends them, or,
 * with `leaves`, until `meanwhile` is over.
 */
export async function besiege(
  { target, count, meanwhile }: Plan,
  bring: (connection: HostileConnection, index: number) => Promise<unknown>,
  { leaves = false, atOnce = AT_ONCE, tcp = false } = {},
): Promise<Tally> {
  const connections = await inParallel(count, atOnce, async index => {
    const connection = await (tcp ? HostileConnection.openTcp(target) : HostileConnection.open(target));
    await bring(connection, index);
    return connection;
  });
  await meanwhile?.();
  if (leaves) await Promise.all(connections.map(connection => connection.leave()));
  return tallyOf(await Promise.all(connections.map(({ ended }) => ended)));
}

/** `count` connections, `atOnce` of them at a time, each of which does something and is gone when it is done. */
export async function flood(
  { target, count, meanwhile }: Plan,
  visit: (connection: HostileConnection, index: number) => Promise<unknown>,
  { atOnce = AT_ONCE, tcp = false } = {},
): Promise<Tally> {
  const visits = inParallel(count, atOnce, async index => {
    const connection = await (tcp ? HostileConnection.openTcp(target) : HostileConnection.open(target));
    await visit(connection, index);
    if (!connection.isOver) await connection.leave();
    return connection.ended;
  });
  await meanwhile?.();
  return tallyOf(await visits);
}

/** A connection that has registered under a key of its own. Throws when it is turned away. */
export async function register(target: Target, identity?: Identity): Promise<HostileConnection> {
  const connection = await HostileConnection.registered(target, identity ?? (await Identity.generate()));
  if (!connection) throw new Error('An attacker was not let in: the attack would prove nothing.');
  return connection;
}

/** Writes byte after byte, one each `pace` milliseconds, for as long as the connection is there; then begins again. */
export function drip(connection: HostileConnection, bytes: Uint8Array, pace = 20): void {
  let at = 0;
  const timer = setInterval(() => {
    connection.write(bytes.subarray(at, at + 1));
    at = (at + 1) % bytes.length;
  }, pace);
  void connection.ended.then(() => {
    clearInterval(timer);
  });
}
