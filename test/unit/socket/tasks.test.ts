import { afterEach, describe, expect, it, vi } from 'vitest';
import { Fifo } from '../../../src/socket/fifo.js';

afterEach(() => {
  vi.unstubAllGlobals();
});

describe('Fifo', () => {
  it('gives back what it was given, in order', () => {
    const fifo = new Fifo<number>();
    const taken: (number | undefined)[] = [];
    expect(fifo.shift()).toBeUndefined();
    let pushed = 0;
    for (let round = 0; round < 50; round++) {
      for (let n = 0; n < round % 7; n++) fifo.push(pushed++);
      for (let n = 0; n < round % 5; n++) taken.push(fifo.shift());
    }
    for (let item = fifo.shift(); item !== undefined; item = fifo.shift()) taken.push(item);
    expect(taken.filter(item => item !== undefined)).toEqual(
      Array.from({ length: pushed }, (_, index) => index),
    );
  });

  it('takes from a long one as fast as from a short one', () => {
    const fifo = new Fifo<number>();
    const length = 300_000;
    for (let n = 0; n < length; n++) fifo.push(n);
    let sum = 0;
    for (let n = 0; n < length; n++) sum += fifo.shift() ?? NaN;
    expect(sum).toBe((length * (length - 1)) / 2);
    expect(fifo.shift()).toBeUndefined();
  });
});

describe('inNextTask', () => {
  it.each(['setImmediate', 'MessageChannel'])(
    'runs callbacks in order, each in a task of its own: %s',
    async way => {
      const channels: MessageChannel[] = [];
      const RealMessageChannel = MessageChannel;
      vi.stubGlobal(
        'MessageChannel',
        class extends RealMessageChannel {
          constructor() {
            super();
            channels.push(this);
          }
        },
      );
      if (way === 'MessageChannel') vi.stubGlobal('setImmediate', undefined);
      vi.resetModules();
      const { inNextTask } = await import('../../../src/socket/tasks.js');
      const log: string[] = [];
      await new Promise<void>(resolve => {
        for (const name of ['one', 'two', 'three']) {
          inNextTask(() => {
            log.push(name);
            queueMicrotask(() => {
              queueMicrotask(() => log.push(`after ${name}`));
            });
            if (name === 'three') inNextTask(resolve);
          });
        }
        log.push('now');
        queueMicrotask(() => log.push('soon'));
      });
      expect(log).toEqual(['now', 'soon', 'one', 'after one', 'two', 'after two', 'three', 'after three']);
      // One for all: each costs dear.
      expect(channels).toHaveLength(way === 'MessageChannel' ? 1 : 0);
      for (const { port1 } of channels) port1.close();
    },
  );
});
