/** Alice and Bob lose records, and then their links: what they say to go on with their channel. */
import { toHex, utf8 } from '../../src/core/bytes.js';
import { ACK_DELAY, MIN_RETRY } from '../../src/core/constants.js';
import { SecureWebSocketError } from '../../src/core/errors.js';
import { peerAddress } from '../../src/core/frame.js';
import { ResumableChannels } from '../../src/core/resumable-channels.js';
import {
  ALICE_CONNECTION_ID,
  BOB_CONNECTION_ID,
  Exchange,
  incoming,
  type RecordedSession,
  type RecordedTransport,
  sessionOf,
} from './protocol-exchange.js';
import type { Party } from './protocol-party.js';

export interface ResumedExchange {
  readonly description: string;
  readonly lineage: {
    /** Public key of the end that opened the channel, and the number that it gave it. */
    readonly opener: string;
    readonly channelId: number;
    readonly id: string;
  };
  readonly before: { readonly session: RecordedSession; readonly transport: readonly RecordedTransport[] };
  readonly after: { readonly session: RecordedSession; readonly transport: readonly RecordedTransport[] };
}

export function resumedExchange(aliceParty: Party, bobParty: Party): ResumedExchange {
  const resumables = new ResumableChannels();
  const address = peerAddress(bobParty.identity.publicKeyBytes, 0);

  /** A link of each, `links` after the first ones, to a relay that knows nothing of what was before. */
  const connect = (links: number, now: number) => {
    for (const party of [aliceParty, bobParty]) party.forget();
    const exchange = new Exchange();
    exchange.now = now;
    const alice = exchange.connect(aliceParty, ALICE_CONNECTION_ID + links);
    const bob = exchange.connect(bobParty, BOB_CONNECTION_ID + links);
    bob.endpoint.resumables = resumables;
    bob.endpoint.listen(true, now);
    exchange.run('Bob listens at his key');
    return { exchange, alice, bob };
  };

  const { exchange, alice, bob } = connect(0, 0);
  const channel = alice.endpoint.open(address, { target: '/', protocols: [], resume: true }, 0);
  const channelId = channel.id;
  exchange.run('Alice opens a channel that is to outlive her link');
  const theirs = incoming(bob.endpoint);
  bob.endpoint.accept(theirs, '');
  exchange.run('Bob accepts, and says in which session OPEN came');
  const session = sessionOf(exchange, alice, bob, channel);
  const say = (text: string, what: string, isLost = false): void => {
    exchange.isLosing = isLost;
    channel.send(utf8(text), true);
    alice.endpoint.wake(channel);
    exchange.run(what);
    exchange.isLosing = false;
  };
  say('one', 'A text message that is lost', true);
  say('two', 'Another one: Bob reports the gap, and Alice sends both again');
  exchange.wait(ACK_DELAY, 'Bob acknowledges what has come');
  say('three', 'The last for now, and it is lost', true);
  exchange.wait(
    exchange.now + MIN_RETRY,
    'Alice asks whether all has come, Bob answers, and she sends it again',
  );
  exchange.wait(exchange.now + ACK_DELAY, 'Bob acknowledges it');
  say('four', 'It is lost with their links', true);
  const lost = new SecureWebSocketError('LINK_LOST', '');
  for (const { endpoint } of [alice, bob]) endpoint.fail(lost, exchange.now);

  const next = connect(1, exchange.now);
  next.alice.endpoint.resume(channel, address, exchange.now);
  next.exchange.run(
    'Alice proves the lineage of the channel, Bob does, and both go on where the other stands',
  );
  const { lineage } = channel;
  if (!lineage || channel.isResuming) throw new Error('the channel was not resumed');
  return {
    description:
      'Alice and Bob lose records, then their links, and resume their channel over new ones, in a new session.',
    lineage: { opener: toHex(aliceParty.identity.publicKeyBytes), channelId, id: lineage.id },
    before: { session, transport: exchange.transport },
    after: {
      session: sessionOf(next.exchange, next.alice, next.bob, channel),
      transport: next.exchange.transport,
    },
  };
}
