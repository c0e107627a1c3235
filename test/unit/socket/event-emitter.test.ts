import { EventEmitter as NodeEventEmitter, on, once } from 'node:events';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { EventEmitter } from '../../../src/socket/event-emitter.js';

interface Events {
  text: [text: string];
  pair: [first: number, second: number];
  error: [error: Error];
}

function asNodeEmitter<Map extends Record<keyof Map, unknown[]>>(
  emitter: EventEmitter<Map>,
): NodeEventEmitter {
  // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- that it fits is the point
  return emitter;
}

describe('EventEmitter', () => {
  it('calls listeners in order, with the emitter as this', () => {
    const emitter = new EventEmitter<Events>();
    const seen: unknown[] = [];
    emitter.on('pair', function (first, second) {
      seen.push([this === emitter, first, second]);
    });
    emitter.addListener('pair', (first, second) => seen.push(first + second));
    emitter.prependListener('pair', () => seen.push('first'));
    expect(emitter.emit('pair', 1, 2)).toBe(true);
    expect(seen).toEqual(['first', [true, 1, 2], 3]);
    expect(emitter.emit('text', 'nobody')).toBe(false);
  });

  it('does not throw for an error that nobody listens to', () => {
    const emitter = new EventEmitter<Events>();
    expect(emitter.emit('error', new Error('of a peer'))).toBe(false);
    const listener = vi.fn();
    emitter.on('error', listener);
    const error = new Error('heard');
    expect(emitter.emit('error', error)).toBe(true);
    expect(listener).toHaveBeenCalledWith(error);
  });

  it('throws what a listener throws, and calls none behind it', () => {
    const emitter = new EventEmitter<Events>();
    const behind = vi.fn();
    emitter.on('text', () => {
      throw new Error('of the listener');
    });
    emitter.on('text', behind);
    expect(() => emitter.emit('text', '')).toThrow('of the listener');
    expect(behind).not.toHaveBeenCalled();
  });

  it('calls a listener of once only once, also when it emits the same event again', () => {
    const emitter = new EventEmitter<Events>();
    const seen: string[] = [];
    emitter.on('text', text => {
      if (text === 'outer') emitter.emit('text', 'inner');
    });
    emitter.once('text', text => seen.push(text));
    emitter.emit('text', 'outer');
    emitter.emit('text', 'later');
    expect(seen).toEqual(['inner']);
  });

  it('refuses a listener that is no function', () => {
    const emitter = new EventEmitter<Events>();
    for (const add of ['on', 'addListener', 'once', 'prependListener', 'prependOnceListener'] as const) {
      expect(() => emitter[add]('text', 'no function' as never)).toThrow(TypeError);
    }
  });

  it('works with events.once and events.on of Node', async () => {
    const emitter = new EventEmitter<Events>();
    const first = once(asNodeEmitter(emitter), 'pair');
    emitter.emit('pair', 3, 4);
    await expect(first).resolves.toEqual([3, 4]);

    const failing = once(asNodeEmitter(emitter), 'pair');
    emitter.emit('error', new Error('instead'));
    await expect(failing).rejects.toThrow('instead');
    expect(emitter.eventNames()).toEqual([]);

    const texts = on(asNodeEmitter(emitter), 'text');
    emitter.emit('text', 'a');
    emitter.emit('text', 'b');
    expect((await texts.next()).value).toEqual(['a']);
    expect((await texts.next()).value).toEqual(['b']);
    await texts.return?.();
    expect(emitter.listenerCount('text')).toBe(0);
  });

  it('does what the EventEmitter of Node does, whatever is done to it', () => {
    const event = fc.constantFrom('a', 'b');
    const listener = fc.nat(2);
    const change = fc.record({
      act: fc.constantFrom(
        'on' as const,
        'addListener' as const,
        'once' as const,
        'prependListener' as const,
        'prependOnceListener' as const,
        'off' as const,
        'removeListener' as const,
      ),
      event,
      listener,
    });
    const step = fc.oneof(
      { weight: 10, arbitrary: change },
      { weight: 3, arbitrary: fc.record({ act: fc.constant('emit' as const), event }) },
      {
        weight: 1,
        arbitrary: fc.record({
          act: fc.constant('removeAll' as const),
          event: fc.option(event, { nil: undefined }),
        }),
      },
    );
    type Step = typeof step extends fc.Arbitrary<infer One> ? One : never;
    const play = (emitter: NodeEventEmitter, steps: Step[]): unknown[] => {
      const log: unknown[] = [];
      // The third one changes the list that it is called from.
      const listeners = [0, 1, 2].map(index => (...args: unknown[]): void => {
        log.push([index, ...args]);
        if (index === 2 && typeof args[0] === 'string') {
          emitter.off(args[0], listeners[0] as () => void);
          emitter.on(args[0], listeners[1] as () => void);
        }
      });
      for (const one of steps) {
        if (one.act === 'emit') log.push(emitter.emit(one.event, one.event, 1));
        else if (one.act === 'removeAll')
          emitter.removeAllListeners(...(one.event === undefined ? [] : [one.event]));
        else emitter[one.act](one.event, listeners[one.listener] as () => void);
        for (const name of ['a', 'b']) {
          log.push(emitter.listenerCount(name));
          log.push(emitter.listeners(name).map(each => listeners.indexOf(each as () => void)));
          log.push(emitter.rawListeners(name).length);
          log.push(emitter.listenerCount(name, listeners[1]));
        }
        log.push(emitter.eventNames().sort());
      }
      return log;
    };
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40, size: 'max' }), steps => {
        const node = new NodeEventEmitter().setMaxListeners(0);
        expect(play(asNodeEmitter(new EventEmitter()), steps)).toEqual(play(node, steps));
      }),
      { numRuns: 300 },
    );
  });
});
