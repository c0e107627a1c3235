import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Bridge, type BridgeOptions } from '../../../../src/cli/bridge/bridge.js';
import type { ConnectionEnd } from '../../../../src/cli/bridge/bridge-end.js';
import { HIGH_WATER, LINGER, MAX_WAITING } from '../../../../src/cli/bridge/lane.js';
import { FakeEnd } from '../../../support/bridge-end.js';
import { runs } from '../../../support/fuzz.js';

function bridged(options: Partial<BridgeOptions> = {}, far = new FakeEnd()) {
  const near = new FakeEnd();
  const told: string[] = [];
  const bridge = new Bridge(
    near,
    far,
    { maxBuffered: 4 * HIGH_WATER, answersPings: true, ...options },
    {
      suspended: error => told.push(`suspended: ${error.message}`),
      resumed: () => told.push('resumed'),
      ended: end => told.push(`ended ${end.code}`),
    },
  );
  bridge.start();
  return { bridge, near, far, told };
}

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

describe('messages', () => {
  it('go both ways as they are', () => {
    const { near, far } = bridged();
    near.says('text');
    near.says('bytes', false);
    far.says('');
    far.drain();
    near.drain();
    expect(far.delivered).toEqual([
      { data: 'text', isText: true },
      { data: 'bytes', isText: false },
    ]);
    expect(near.delivered).toEqual([{ data: '', isText: true }]);
  });

  it.each([
    ['out', (scene: ReturnType<typeof bridged>) => [scene.near, scene.far]],
    ['in', (scene: ReturnType<typeof bridged>) => [scene.far, scene.near]],
  ] as const)('wait for a slow reader, on the way %s', (_, direction) => {
    const [from, to] = direction(bridged()) as [FakeEnd, FakeEnd];
    const part = 'x'.repeat(HIGH_WATER / 4);
    for (let index = 0; index < 4; index++) from.says(part);
    expect(from.isPaused).toBe(false);
    from.says(part);
    expect(from.isPaused).toBe(true);
    for (let index = 0; index < 100; index++) from.says(part);
    expect(to.bufferedAmount).toBe(5 * part.length);
    to.drain(2);
    expect(from.isPaused).toBe(true);
    to.drain(1);
    // From half of the limit on.
    expect(to.bufferedAmount).toBeGreaterThan(HIGH_WATER / 2);
    while (to.delivered.length < 105) to.drain(1);
    expect(to.bufferedAmount).toBe(0);
  });

  it('the shortest do not fill the memory either', () => {
    const { near, far } = bridged();
    for (let index = 0; index < 2 * MAX_WAITING; index++) near.says('');
    expect(near.isPaused).toBe(true);
    far.drain();
    far.drain();
    expect(near.isPaused).toBe(false);
    expect(far.delivered).toHaveLength(2 * MAX_WAITING);
  });

  it('wait for a far end that is out of reach, as many as may', () => {
    const { near, far, told } = bridged();
    far.suspend();
    const part = 'x'.repeat(HIGH_WATER);
    for (let index = 0; index < 4; index++) near.says(part);
    expect(near.isPaused).toBe(false);
    near.says(part);
    expect(near.isPaused).toBe(true);
    far.goOn();
    // There it is, but it has read nothing yet.
    expect(near.isPaused).toBe(true);
    far.drain();
    expect(near.isPaused).toBe(false);
    expect(told).toEqual(['suspended: out of reach', 'resumed']);
  });

  it('never more than may wait, also in reach', () => {
    const { near, far } = bridged({ maxBuffered: 10 });
    near.says('x'.repeat(10));
    expect(near.isPaused).toBe(false);
    near.says('x');
    expect(near.isPaused).toBe(true);
    far.drain();
    expect(near.isPaused).toBe(false);
  });

  it('from where nobody can be slowed down end the connection when too many wait', () => {
    const { near, far, told } = bridged({ maxBuffered: 10 }, new FakeEnd(false));
    far.says('x'.repeat(10));
    expect(near.calls).toEqual([]);
    far.says('x');
    expect(near.calls).toEqual(['close 1013 too slow: too much waits to be read']);
    expect(far.calls).toEqual(['close 1000']);
    near.drain();
    far.drain();
    expect(told).toEqual(['ended 1013']);
  });
});

describe('the end', () => {
  it.each([
    [{ code: 1000, reason: 'done' }, 'close 1000 done'],
    [{ code: 4321, reason: '' }, 'close 4321'],
    [{ code: 1005, reason: '' }, 'close without a code'],
    [{ code: 1006, reason: '' }, 'abort'],
    [{ code: 1006, reason: '', error: new Error('lost') }, 'abort lost'],
  ])('%j is passed on, behind what waits', (end: ConnectionEnd, call) => {
    for (const isOutward of [true, false]) {
      const { near, far, told } = bridged();
      const [from, to] = isOutward ? [near, far] : [far, near];
      from.says('the last');
      from.ends(end);
      expect(to.calls).toEqual([]);
      to.drain();
      expect(to.calls).toEqual([call]);
      to.drain();
      expect(to.delivered).toEqual([{ data: 'the last', isText: true }]);
      expect(told).toEqual([`ended ${end.code}`]);
    }
  });

  it('is not kept waiting for ever by somebody who does not read', () => {
    const { near, far, told } = bridged();
    far.says('one');
    far.says('two');
    far.ends({ code: 1000, reason: '' });
    vi.advanceTimersByTime(LINGER - 1);
    near.drain(1);
    vi.advanceTimersByTime(LINGER - 1);
    expect(near.isClosed).toBe(false);
    vi.advanceTimersByTime(1);
    expect(near.calls).toEqual(['terminate']);
    expect(told).toEqual(['ended 1000']);
  });

  it('of the near end is told at once to a far one out of reach, which knows how long that may take', () => {
    const { near, far } = bridged();
    far.suspend();
    near.says('the last');
    near.ends({ code: 1000, reason: '' });
    expect(far.calls).toEqual(['close 1000']);
    far.goOn();
    far.drain();
    expect(far.delivered).toHaveLength(1);
    const other = bridged();
    other.near.says('the last');
    other.near.ends({ code: 1000, reason: '' });
    expect(other.far.calls).toEqual([]);
    other.far.suspend();
    expect(other.far.calls).toEqual(['close 1000']);
    other.far.drain();
  });

  it('of one end is heard although its messages were kept back', () => {
    const { near, far, told } = bridged({ maxBuffered: 10 });
    near.says('x'.repeat(11));
    near.says('unread');
    near.ends({ code: 1000, reason: '' });
    expect(near.isPaused).toBe(true);
    far.ends({ code: 4000, reason: '' });
    // What it says now is for nobody.
    expect(near.isClosed).toBe(true);
    expect(told).toEqual(['ended 4000']);
  });

  it('from here reaches both', () => {
    const { bridge, near, far, told } = bridged({ maxBuffered: 10 });
    near.says('x'.repeat(11));
    far.says('x'.repeat(11));
    bridge.dismiss(1001, 'going down');
    expect([near.calls, far.calls]).toEqual([['close 1001 going down'], ['close 1001 going down']]);
    expect([near.isPaused, far.isPaused]).toEqual([false, false]);
    near.drain();
    far.drain();
    expect(told).toEqual(['ended 1001']);
    bridge.terminate();
    expect(told).toHaveLength(1);
  });

  it('from here can be sudden', () => {
    const { bridge, near, far, told } = bridged();
    bridge.terminate();
    expect([near.calls, far.calls]).toEqual([['terminate'], ['terminate']]);
    expect(told).toEqual(['ended 1006']);
  });
});

describe('pings', () => {
  it('go through, and their pongs come back', () => {
    const { near, far } = bridged();
    near.pings('a');
    expect(far.calls).toEqual(['ping a']);
    far.pongs('a');
    expect(near.calls).toEqual(['pong a']);
    far.pings('b');
    near.pongs('b');
    expect([near.calls, far.calls]).toEqual([
      ['pong a', 'ping b'],
      ['ping a', 'pong b'],
    ]);
  });

  it('are answered from here while the far end is out of reach', () => {
    const { near, far } = bridged();
    near.pings('before');
    far.suspend();
    expect(near.calls).toEqual(['pong before']);
    near.pings('meanwhile');
    expect(near.calls).toEqual(['pong before', 'pong meanwhile']);
    far.goOn();
    near.pings('after');
    expect(far.calls).toEqual(['ping before', 'ping after']);
    far.pongs('after');
    expect(near.calls).toEqual(['pong before', 'pong meanwhile', 'pong after']);
  });

  it('and when nobody has noticed yet that it is', () => {
    const { near, far } = bridged();
    near.pings('a');
    vi.advanceTimersByTime(4_999);
    expect(near.calls).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(near.calls).toEqual(['pong a']);
    // Late, and nobody waits for it any more.
    far.pongs('a');
    expect(near.calls).toEqual(['pong a']);
  });

  it('but not where nobody would come back', () => {
    const { near, far } = bridged({ answersPings: false });
    near.pings('a');
    vi.advanceTimersByTime(600_000);
    expect(near.calls).toEqual([]);
    far.pings('b');
    vi.advanceTimersByTime(600_000);
    expect(far.calls).toEqual(['ping a']);
  });

  it('in a flood are one at a time, and the latest counts', () => {
    const { near, far } = bridged();
    for (let index = 0; index < 1_000; index++) near.pings(String(index));
    expect(far.calls).toEqual(['ping 0']);
    far.pongs('0');
    expect(far.calls).toEqual(['ping 0', 'ping 999']);
    far.pongs('999');
    expect(near.calls).toEqual(['pong 0', 'pong 999']);
  });

  it('that nobody has sent are not answered', () => {
    const { near, far } = bridged();
    far.pongs('a');
    near.pongs('b');
    near.pings('c');
    far.pongs('d');
    expect([near.calls, far.calls]).toEqual([[], ['ping c']]);
    near.ends({ code: 1006, reason: '' });
  });
});

describe('whatever happens', () => {
  const side = fc.constantFrom('near', 'far');
  const step = fc.oneof(
    { weight: 8, arbitrary: fc.record({ type: fc.constant('say' as const), side, size: fc.nat(40) }) },
    { weight: 6, arbitrary: fc.record({ type: fc.constant('drain' as const), side, count: fc.nat(5) }) },
    {
      weight: 1,
      arbitrary: fc.record({
        type: fc.constantFrom('suspend' as const, 'goOn' as const, 'ping' as const),
        side,
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        type: fc.constant('close' as const),
        side,
        code: fc.constantFrom(1000, 1005, 1006, 4000),
      }),
    },
  );

  it('messages arrive once and in order, no more wait than may, and both ends end', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 120 }),
        fc.integer({ min: 1, max: 100 }),
        (steps, maxBuffered) => {
          const scene = bridged({ maxBuffered });
          const said = { near: [] as string[], far: [] as string[] };
          let ended: string | undefined;
          let isAway = false;
          for (const each of steps) {
            const end = scene[each.side];
            if (each.type === 'say' && !end.isClosed && ended === undefined) {
              const list = said[each.side];
              const text = `${list.length} `.padEnd(each.size, '.');
              list.push(text);
              end.says(text);
            } else if (each.type === 'drain') end.drain(each.count);
            else if (each.type === 'suspend' && !isAway) {
              isAway = true;
              scene.far.suspend();
            } else if (each.type === 'goOn' && isAway) {
              isAway = false;
              scene.far.goOn();
            } else if (each.type === 'ping') end.pings('ping');
            else if (each.type === 'close' && ended === undefined) {
              ended = each.side;
              end.ends({ code: each.code, reason: '' });
            }
            for (const { bufferedAmount } of [scene.near, scene.far])
              expect(bufferedAmount).toBeLessThanOrEqual(maxBuffered + 44);
          }
          if (isAway) scene.far.goOn();
          const isEarly = ended === undefined;
          if (isEarly) scene.near.ends({ code: 1000, reason: '' });
          for (let round = 0; round < 300; round++) {
            scene.near.drain(1);
            scene.far.drain(1);
          }
          expect([scene.near.isClosed, scene.far.isClosed]).toEqual([true, true]);
          expect(scene.told.filter(each => each.startsWith('ended'))).toHaveLength(1);
          const got = { near: scene.far, far: scene.near };
          for (const from of ['near', 'far'] as const) {
            const texts = got[from].delivered.map(({ data }) => data);
            expect(texts).toEqual(said[from].slice(0, texts.length));
          }
        },
      ),
      runs(300),
    );
  });

  it('all that was said before a close in order arrives', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(60), { maxLength: 60 }), fc.nat(50), (sizes, maxBuffered) => {
        const { near, far, told } = bridged({ maxBuffered: maxBuffered + 1 });
        const texts = sizes.map((size, index) => `${index} `.padEnd(size, '.'));
        for (const text of texts) near.says(text);
        near.ends({ code: 4000, reason: 'all' });
        while (!far.isClosed) far.drain(1);
        expect(far.delivered.map(({ data }) => data)).toEqual(texts);
        expect(far.calls).toEqual(['close 4000 all']);
        expect(told).toEqual(['ended 4000']);
      }),
      runs(300),
    );
  });
});
