import { describe, expect, it } from 'vitest';
import { SpaceWorld, type EndOptions } from '../../../support/space-world.js';

const KINDS: readonly (readonly [string, EndOptions])[] = [
  ['each message under a key of its own', { senderKeyMembers: 1_000, senderKeyRate: 1_000 }],
  ['sender keys', { senderKeyMembers: 1 }],
];

describe.each(KINDS)('a space with %s', (_, options) => {
  function three() {
    const world = new SpaceWorld();
    const [a, b, c] = [world.join(1, options), world.join(2, options), world.join(3, options)];
    return { world, a, b, c };
  }

  it('brings what one sends to all others, once and in order', () => {
    const { world, a, b, c } = three();
    for (const text of ['one', 'two', 'three']) {
      a.send(text);
      world.settle();
    }
    b.send('from b');
    world.settle();
    expect(b.texts).toEqual([`${a.tag}:one`, `${a.tag}:two`, `${a.tag}:three`]);
    expect(c.texts).toEqual([...b.texts, `${b.tag}:from b`]);
    expect(a.texts).toEqual([`${b.tag}:from b`]);
  });

  it('lets nobody read what came before, nor what comes after', () => {
    const { world, a, b } = three();
    a.send('before');
    world.settle();
    const late = world.join(4, options);
    a.send('between');
    world.settle();
    world.leave(late);
    a.send('after');
    world.settle();
    expect(late.texts).toEqual([`${a.tag}:between`]);
    expect(b.texts).toEqual(['before', 'between', 'after'].map(text => `${a.tag}:${text}`));
    expect(late.of('closed')).toHaveLength(1);
  });

  it('goes on where it stopped for somebody who was away', () => {
    const { world, a, b, c } = three();
    world.cut(b);
    a.send('while b was away');
    world.settle();
    b.send('kept');
    world.attach(b);
    world.settle();
    expect(b.texts).toEqual([`${a.tag}:while b was away`]);
    expect(c.texts).toEqual([`${a.tag}:while b was away`, `${b.tag}:kept`]);
    expect(c.of('left')).toEqual([]);
  });

  it('loses nothing when the relay starts anew', () => {
    const { world, a, b, c } = three();
    a.send('one');
    world.settle();
    for (const end of [a, b, c]) world.cut(end);
    world.relay.restart();
    a.send('two');
    world.attach(a);
    world.settle();
    world.attach(b);
    world.settle();
    a.send('three');
    world.settle();
    world.attach(c);
    world.settle();
    for (const end of [b, c])
      expect(end.texts).toEqual(['one', 'two', 'three'].map(text => `${a.tag}:${text}`));
    for (const end of [a, b, c]) expect(end.of('left')).toEqual([]);
  });

  it('brings what is larger than a frame, in one piece', () => {
    const { world, a, b } = three();
    const text = 'x'.repeat(700_000);
    a.send(text);
    world.settle();
    expect(b.texts).toEqual([`${a.tag}:${text}`]);
  });
});
