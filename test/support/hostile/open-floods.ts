import { Identity } from '../../../src/core/identity.js';
import { type Attack, besiege, flood } from './attack.js';
import { HostileConnection } from './hostile-connection.js';
import { inParallel } from './in-parallel.js';
import { count, type Tally } from './tally.js';

/** Connections that are made for the sake of making them. */
export const OPEN_FLOODS = {
  /** TCP connections that are gone as soon as they are there. */
  connectAndLeave: plan => flood(plan, async () => undefined, { tcp: true }),

  /** Requests for a page. */
  requests: plan => flood(plan, connection => connection.upgrade('GET / HTTP/1.1\r\nHost: relay\r\n\r\n')),

  /** Upgrades whose client is gone before it is challenged, or after. */
  upgradeAndLeave: plan => flood(plan, connection => connection.upgrade()),

  /** Upgrades that stay, and never register: as many as there is room for, and as many more as are asked for. */
  upgradeAndStay: plan => besiege(plan, connection => connection.upgrade(), { leaves: true }),

  /** Clients that register, and are gone. */
  registerAndLeave: plan =>
    flood(plan, async connection => connection.register(plan.target, await Identity.generate()), {
      atOnce: 8,
    }),

  /** One key on very many sockets. Gives how many were registered, and what became of the others. */
  oneKey: async ({ target, count: sockets, meanwhile }) => {
    const identity = await Identity.generate();
    const tally: Tally = {};
    const connections = await inParallel(sockets, 16, async () => {
      const connection = await HostileConnection.open(target);
      if (await connection.register(target, identity)) {
        count(tally, 'registered');
        return connection;
      }
      const [refusal = await connection.ended] = Object.keys(connection.heard);
      count(tally, refusal);
      return connection;
    });
    await meanwhile?.();
    for (const connection of connections) {
      if (connection.identity && connection.isOver) count(tally, `then ${await connection.ended}`);
      await connection.leave();
    }
    return tally;
  },
} satisfies Record<string, Attack>;
