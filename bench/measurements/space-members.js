// @ts-check
import { OPENING } from './opening.js';

const KIB = 1024;
/** Of the first message. */
const SIZE = 1024;

/** @type {import('./index.js').RoomMeasurement} */
export const spaceMembers = {
  kind: 'room',
  name: 'space-members',
  title: 'Members of a space',
  baseline: 'socket-io',
  varies: [{ key: 'members', label: 'members' }],
  isFresh: true,
  columns: [
    { figure: 'rate', label: 'entered/s', digits: 0, hasRatio: true },
    { figure: 'relayCpu', label: 'relay CPU each, µs', digits: 0, hasRatio: true },
    { figure: 'memberCpu', label: 'CPU of all members each, µs', digits: 0, hasRatio: true },
    { figure: 'memory', label: 'relay memory each, KiB', digits: 1, hasRatio: true },
    { figure: 'firstUpload', label: 'first message, upload, bytes', digits: 0, hasRatio: false },
    { figure: 'firstCpu', label: 'sender CPU, ms', digits: 1, hasRatio: false },
  ],
  cases: ({ members }) => members.map(count => ({ members: count })),
  files: ({ members }) => Math.max(...members),
  isAlone: true,
  async measure(room, { members }) {
    await room.prepare(members, OPENING);
    const memory = await room.relay.ask('memory');
    const start = performance.now();
    const { relay, crowd, sender } = await room.used(() => room.enter(OPENING));
    const elapsed = performance.now() - start;
    const count = members - 1;
    const grown = (await room.relay.ask('memory')) - memory;
    const first = await room.used(() => room.exchange(SIZE, 1));
    return {
      rate: (count / elapsed) * 1000,
      relayCpu: relay / count,
      memberCpu: (crowd + sender.cpu) / count,
      memory: grown / KIB / count,
      firstUpload: first.sender.uploaded,
      firstCpu: first.sender.cpu / 1000,
    };
  },
};
