// @ts-check
import { OPENING } from './opening.js';

const MIB = 1_048_576;
/** More than the system keeps of a connection, less than what waits for a member before others wait for it, too. */
const SIZE = 786_432;
/** What comes before: keys are handed out with it. */
const FIRST = { size: 1_024, count: 10 };

/** @type {import('./index.js').RoomMeasurement} */
export const spaceBacklog = {
  kind: 'room',
  name: 'space-backlog',
  title: 'A large message to members who do not read',
  baseline: 'socket-io',
  varies: [{ key: 'members', label: 'members' }],
  isFresh: true,
  isAlone: true,
  columns: [{ figure: 'memory', label: 'held by the relay, MiB', digits: 1, hasRatio: true }],
  cases: ({ members }) => members.map(count => ({ members: count })),
  files: ({ members }) => Math.max(...members),
  async measure(room, { members }) {
    await room.prepare(members, OPENING);
    await room.enter(OPENING);
    await room.exchange(FIRST.size, FIRST.count);
    return { memory: (await room.hold(SIZE)) / MIB };
  },
};
