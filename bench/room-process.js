// Members of a room: the one who sends, or some of those who are sent to.
import { loadAdapter } from './adapters/index.js';
import { answer } from './answer.js';
import { RoomCrowd } from './clients/room-crowd.js';
import { RoomSender } from './clients/room-sender.js';
import { microseconds } from './statistics.js';
import { countUpload, uploaded } from './upload.js';

let sender;
let crowd;

answer({
  async open({ adapter, url }) {
    countUpload();
    sender = await RoomSender.start(await loadAdapter(adapter, 'room'), url);
    return sender.room;
  },
  hasMembers: ({ count }) => sender.hasMembers(count),
  send: lot => sender.send(lot),

  async start({ adapter, url, timeLimit, crowds }) {
    crowd = new RoomCrowd(await loadAdapter(adapter, 'room'), url, timeLimit, crowds);
  },
  prepare: ({ count }) => crowd.prepare(count),
  enter: ({ room }) => crowd.enter(room),
  expect: lot => crowd.expect(lot),
  arrived: () => crowd.arrived(),

  usage: () => ({ cpu: microseconds(process.cpuUsage()), uploaded: uploaded() }),
});
