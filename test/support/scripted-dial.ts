import { vi } from 'vitest';
import type { ChannelListener } from '../../src/link/channel-port.js';
import type { DialOptions } from '../../src/link/dial.js';
import { ScriptedChannel } from './scripted-channel.js';

// Stands in for src/link/dial.ts. A test file that uses this, or scripted-socket.ts, says
// vi.mock('../../../src/link/dial.js', () => import('../../support/scripted-dial.js'));

/** One call of `dialChannel`. */
export interface Dialled {
  readonly url: URL;
  readonly protocols: readonly string[];
  readonly options: DialOptions;
  readonly channel: ScriptedChannel;
}

/** The stand-in for `dialChannel`: its `mockImplementationOnce` can make it throw. */
export const dialChannel = vi.fn(
  (
    url: URL,
    protocols: readonly string[],
    options: DialOptions,
    listener: ChannelListener,
  ): ScriptedChannel => {
    const channel = new ScriptedChannel();
    channel.accept('', listener);
    last = { url, protocols, options, channel };
    return channel;
  },
);

let last: Dialled | undefined;

/** The latest call of `dialChannel` that returned. */
export function lastDialled(): Dialled {
  if (last === undefined) throw new Error('Nothing was dialled.');
  return last;
}
