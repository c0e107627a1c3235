// @ts-check
import { connections } from './connections.js';
import { fanOut } from './fan-out.js';
import { latency } from './latency.js';
import { throughput } from './throughput.js';

/**
 * @typedef {import('../options.js').Options} Options
 * @typedef {import('../party.js').Party} Party
 * @typedef {{ relay: Party, clients: Party, isNew: boolean }} Parties `isNew`: they have measured nothing yet
 * @typedef {Record<string, number>} Case what is varied: `{ size: 64 }`
 *
 * @typedef {{ figure: string, label: string, digits: number, hasRatio: boolean }} Column
 *
 * @typedef {{
 *   name: string,
 *   title: string,
 *   varies: { key: string, label: string } | undefined,
 *   isFresh: boolean,
 *   columns: readonly Column[],
 *   cases(options: Options): Case[],
 *   files(options: Options): number,
 *   measure(parties: Parties, of: any, options: Options): Promise<Record<string, number>>,
 * }} Measurement
 *   `isFresh`: each round has processes of its own, one adapter after the other. `files`: descriptors that a process
 *   needs. `measure` gives a figure for each column.
 */

/** @type {readonly Measurement[]} */
export const measurements = [throughput, latency, connections, fanOut];
