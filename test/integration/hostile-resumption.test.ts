import { afterEach, describe, expect, it } from 'vitest';
import { utf8 } from '../../src/core/bytes.js';
import { RECEIVE_WINDOW } from '../../src/core/constants.js';
import { type Item, Opcode } from '../../src/core/record.js';
import type { LoggedServer } from '../support/attacked.js';
import { item, type ModifiedClient } from '../support/modified-client.js';
import { directVictim, relayedVictim, type Victim } from '../support/victims.js';

const cleanUp: (() => unknown)[] = [];

afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

const VICTIMS: [string, () => Promise<Victim>][] = [
  ['a service that is dialled itself', directVictim],
  ['a service behind a relay', relayedVictim],
];

const { TEXT, OPEN, OPEN_ACCEPT, RESET, RESUME } = Opcode;
/** The channel of those who ask for one that another has opened. */
const ASKED = 9;

interface Scene {
  readonly victim: Victim;
  /** Has opened channel 1, which outlives its link, and has said 'before' on it. */
  readonly rightful: ModifiedClient;
  readonly service: LoggedServer;
}

async function scene(start: () => Promise<Victim>): Promise<Scene> {
  const victim = await start();
  cleanUp.push(() => victim.close());
  const rightful = await victim.modified();
  const open = { target: '/', protocols: [], window: RECEIVE_WINDOW, resume: true };
  rightful.record([item(OPEN, JSON.stringify(open))]);
  expect(JSON.parse(await rightful.next(OPEN_ACCEPT))).toMatchObject({ session: rightful.sessionName });
  const service = await victim.connections.next();
  rightful.record([item(TEXT, 'before')]);
  expect(await service.log.messages.next()).toBe('before');
  return { victim, rightful, service };
}

function asks(client: ModifiedClient, proof: Uint8Array): void {
  const items: Item[] = [item(RESUME, proof)];
  client.record(items, { channelId: ASKED, sequenced: false, sequence: 2, acknowledgement: 1 });
}

/** Its client and it still have each other. */
async function isUndisturbed({ victim, rightful, service }: Scene): Promise<void> {
  rightful.record([item(TEXT, 'still mine')]);
  expect(await service.log.messages.next()).toBe('still mine');
  service.socket.send('and mine');
  expect(await rightful.next(TEXT)).toBe('and mine');
  expect(service.log.entries).toEqual(['open', 'message before', 'message still mine']);
  expect(victim.connections.pending).toEqual([]);
}

/** What somebody knows who has heard all that was said about the channel in the clear, and has the right identity. */
const GUESSES: [string, (thief: ModifiedClient, rightful: ModifiedClient) => Uint8Array][] = [
  ['a lineage that it guesses', thief => thief.proof(thief.lineage(1))],
  ['a lineage id of zeros', () => new Uint8Array(48)],
  ['the id alone', (_, rightful) => rightful.proof(rightful.lineage(1)).slice(0, 16)],
  [
    'the id, and a proof that it guesses',
    (thief, rightful) =>
      Uint8Array.of(
        ...rightful.proof(rightful.lineage(1)).subarray(0, 16),
        ...thief.proof(thief.lineage(1)).subarray(16),
      ),
  ],
  // As it was, or would have been, said in the rightful client's session.
  ['a proof for another session', (_, rightful) => rightful.proof(rightful.lineage(1))],
  ['the lineage of another channel', (thief, rightful) => thief.proof(rightful.lineage(2))],
];

describe.each(VICTIMS)('%s', (_, start) => {
  it.each(GUESSES)(
    'lets nobody have the channel of a client whose identity was stolen for %s',
    async (_name, guess) => {
      const it = await scene(start);
      const thief = await it.victim.modified(it.rightful.identity);
      asks(thief, guess(thief, it.rightful));
      expect(await thief.next(RESET)).toBe('CHANNEL_LOST');
      await isUndisturbed(it);
      // Nor when it has said so much that it might hit something.
      for (let i = 0; i < 200; i++) asks(thief, utf8(`guess ${i}`.padEnd(48, '.')));
      for (let i = 0; i < 200; i++) expect(await thief.next(RESET)).toBe('CHANNEL_LOST');
    },
  );

  it('lets nobody but its client have a channel, be the proof as it should be', async () => {
    const it = await scene(start);
    const stranger = await it.victim.modified();
    asks(stranger, stranger.proof(it.rightful.lineage(1)));
    expect(await stranger.next(RESET)).toBe('CHANNEL_LOST');
    await isUndisturbed(it);
  });

  it('lets its client have it, over another link: the old one has it no more', async () => {
    const { victim, rightful, service } = await scene(start);
    const again = await victim.modified(rightful.identity);
    // It goes on with numbers of which this one knows nothing.
    again.acknowledges = false;
    asks(again, again.proof(rightful.lineage(1)));
    await again.next(RESUME);
    again.record([item(TEXT, 'here I am')], { channelId: ASKED, sequence: 2, acknowledgement: 1 });
    expect(await service.log.messages.next()).toBe('here I am');
    rightful.record([item(TEXT, 'so am I')]);
    // A link that carries nothing any more is closed; the session through a relay lives.
    if (victim.relay) expect(await rightful.next(RESET)).toBe('CHANNEL_RESET');
    else expect((await rightful.closed).code).toBe(1000);
    service.socket.send('welcome');
    expect(await again.next(TEXT)).toBe('welcome');
    expect(service.log.entries).toEqual(['open', 'message before', 'message here I am']);
  });
});
