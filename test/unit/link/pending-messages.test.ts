import { expect, it } from 'vitest';
import { PendingMessages } from '../../../src/link/pending-messages.js';
import { ScriptedChannel } from '../../support/scripted-channel.js';

it('messages that wait for a channel are copied, and handed over as they were sent', () => {
  const pending = new PendingMessages();
  // Of a Buffer `slice` is no copy.
  for (const data of [Uint8Array.of(1, 2), Buffer.of(3, 4), new Uint8Array(0)]) {
    pending.send(data, data.length === 0);
    data.fill(9);
  }
  expect(pending.bytes).toBe(4);
  expect(pending.messages.map(({ data, isText }) => [[...data], isText])).toEqual([
    [[1, 2], false],
    [[3, 4], false],
    [[], true],
  ]);
  pending.close(1000, 'bye');
  // Too late.
  pending.send(Uint8Array.of(5), false);
  const channel = new ScriptedChannel();
  channel.manual = true;
  pending.handOver(channel);
  expect(channel.calls).toEqual(['binary 0102', 'binary 0304', 'text ', 'close 1000 bye']);
});
