// @ts-check
import { connections } from './connections.js';
import { fanOut } from './fan-out.js';
import { latency } from './latency.js';
import { spaceBacklog } from './space-backlog.js';
import { spaceMembers } from './space-members.js';
import { spaces } from './spaces.js';
import { throughput } from './throughput.js';

/**
 * @typedef {import('../options.js').Options} Options
 * @typedef {import('../pair.js').Pair} Parties
 * @typedef {import('../room.js').Room} Room
 * @typedef {Record<string, number>} Case what is varied: `{ size: 64 }`
 *
 * @typedef {{ figure: string, label: string, digits: number, hasRatio: boolean }} Column
 *
 * @typedef {{
 *   name: string,
 *   title: string,
 *   varies: readonly { key: string, label: string }[],
 *   columns: readonly Column[],
 *   baseline?: string,
 *   isFresh: boolean,
 *   isAlone?: boolean,
 *   cases(options: Options): Case[],
 *   files(options: Options): number,
 * }} Common
 *   `baseline`: the adapter that others are compared with, if it is not plain ws. `isFresh`: each round has processes of its
 *   own, one adapter after the other; `isAlone`: each case, too. `files`: descriptors that a process needs.
 *
 * @typedef {Common & {
 *   kind: 'pair',
 *   measure(parties: Parties, of: any, options: Options): Promise<Record<string, number>>,
 * }} PairMeasurement
 *   `measure` gives a figure for each column.
 * @typedef {Common & {
 *   kind: 'room',
 *   measure(room: Room, of: any, options: Options): Promise<Record<string, number>>,
 * }} RoomMeasurement
 * @typedef {PairMeasurement | RoomMeasurement} Measurement
 */

/** @type {readonly Measurement[]} */
export const measurements = [throughput, latency, connections, fanOut, spaces, spaceMembers, spaceBacklog];
