// A thousand members of one space, each with an identity and a connection of its own.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { bundle } from '../../scripts/soak/bundle.mjs';
import { relayScene } from '../support/relay-scene.js';
import { SpaceCrowd } from '../support/space-crowd.js';
import { spaceUrl } from '../support/space-scene.js';

const MEMBERS = 1_000;
const LEAVING = 40;
/** Processes of members: one of them would hold a thousand rosters of a thousand. */
const CROWDS = 4;
/** In so many of them somebody speaks. */
const SPEAKING = 2;
const MESSAGES = 20;

const scene = relayScene();
let program: Awaited<ReturnType<typeof bundle<'crowd'>>>;

beforeAll(async () => {
  program = await bundle({ crowd: 'test/support/space-crowd-main.ts' });
}, 60_000);

afterAll(() => program.remove());

it('is one in which all see all, and hear each message once and in order', { timeout: 600_000 }, async () => {
  const relay = await scene.relay({
    // All of them come from one address.
    ...{ maxConnectionsPerIp: 10_000, acceptRate: 10_000 },
  });
  const crowds = Array.from({ length: CROWDS }, () => new SpaceCrowd(program.files.crowd));
  scene.after(() => {
    for (const crowd of crowds) crowd.kill();
  });
  const all = <T>(ask: (crowd: SpaceCrowd) => Promise<T>): Promise<T[]> => Promise.all(crowds.map(ask));
  const say = (from: number): Promise<unknown> =>
    Promise.all(crowds.slice(0, SPEAKING).map(crowd => crowd.ask('say', { from, count: MESSAGES })));

  const url = spaceUrl(relay);
  const entered = await all(crowd => crowd.ask('enter', { url, count: MEMBERS / CROWDS }));
  const speakers = entered.slice(0, SPEAKING);
  expect(new Set(speakers).size).toBe(SPEAKING);
  await all(crowd => crowd.ask('seeing', { count: MEMBERS }));

  const heard = (count: number): { speakers: ReadonlyMap<string, number> } => ({
    speakers: new Map(speakers.map(id => [id, count])),
  });
  await say(0);
  await all(crowd => crowd.ask('hearing', heard(MESSAGES)));

  // Whoever has left hears nothing of what follows, which is sealed under keys that it was not given.
  await all(crowd => crowd.ask('leave', { count: LEAVING / CROWDS }));
  await all(crowd => crowd.ask('seeing', { count: MEMBERS - LEAVING }));
  await say(MESSAGES);
  await all(crowd => crowd.ask('hearing', heard(2 * MESSAGES)));
});
