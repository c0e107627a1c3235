// @ts-check
import { OPENING } from './opening.js';
import { warmUpOf } from './warm-up.js';

/** Sender keys serve for so many messages. Where only multiples are sent, each has its share in handing out the next. */
const GENERATION = 100;
/** Messages at a time that are not counted, and at least so many in new processes: code is compiled by then. */
const WARM_UP = 10;
const WARM_UP_FIRST = 300;
/** Rooms are for messages; a file goes through a channel. */
const LARGEST = 16_384;

/** @type {import('./index.js').RoomMeasurement} */
export const spaces = {
  kind: 'room',
  name: 'spaces',
  title: 'Spaces',
  baseline: 'socket-io',
  varies: [
    { key: 'members', label: 'members' },
    { key: 'size', label: 'bytes' },
  ],
  isFresh: true,
  columns: [
    { figure: 'upload', label: 'upload, bytes', digits: 0, hasRatio: true },
    { figure: 'senderCpu', label: 'sender CPU, µs', digits: 0, hasRatio: true },
    { figure: 'relayCpu', label: 'relay CPU, µs', digits: 0, hasRatio: true },
    { figure: 'memberCpu', label: 'CPU of each member, µs', digits: 1, hasRatio: true },
  ],
  cases: ({ members, sizes }) =>
    members.flatMap(count => sizes.filter(size => size <= LARGEST).map(size => ({ members: count, size }))),
  files: ({ members }) => Math.max(...members),
  async measure(room, { members, size }, options) {
    await room.prepare(members, OPENING);
    await room.enter(OPENING);
    await sendFor(room, size, room.isNew ? WARM_UP_FIRST : WARM_UP, warmUpOf(room, options));
    let count = 0;
    const { sender, relay, crowd } = await room.used(async () => {
      count = await sendFor(room, size, GENERATION, options.duration);
    });
    return {
      upload: sender.uploaded / count,
      senderCpu: sender.cpu / count,
      relayCpu: relay / count,
      memberCpu: crowd / count / (members - 1),
    };
  },
};

/**
 * Sends for so many milliseconds, but a multiple of `multiple`.
 *
 * @param {import('../room.js').Room} room
 * @param {number} size
 * @param {number} multiple
 * @param {number} duration
 * @returns {Promise<number>} how many messages
 */
async function sendFor(room, size, multiple, duration) {
  const end = performance.now() + duration;
  let count = 0;
  do {
    await room.exchange(size, multiple);
    count += multiple;
  } while (performance.now() < end);
  return count;
}
