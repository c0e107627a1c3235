import { describe, expect, it } from 'vitest';
import { DEAD_AFTER, ECHO_INTERVAL } from '../../../src/core/constants.js';
import { LinkEcho } from '../../../src/core/link-echo.js';
import { seededCrypto } from '../../support/virtual-network.js';

const NOW = 1_000_000;

function newEcho(seed = 'echo'): LinkEcho {
  const echo = new LinkEcho(seededCrypto(seed));
  echo.heard(NOW);
  return echo;
}

/** Calls `timeout` whenever it wants to be, until `until`; what came of it, with the time. */
function wait(echo: LinkEcho, until: number, idle: boolean): [number, 'sent' | 'dead'][] {
  const happened: [number, 'sent' | 'dead'][] = [];
  for (let now = echo.wakeAt(idle); now <= until; now = echo.wakeAt(idle)) {
    const result = echo.timeout(now, idle);
    if (result === undefined) throw new Error('It wanted to be woken for nothing.');
    happened.push([now - NOW, result === 'dead' ? 'dead' : 'sent']);
    if (result === 'dead') break;
  }
  return happened;
}

describe('a link that is listened on', () => {
  it('is tried when nothing was heard for ECHO_INTERVAL, three times at most, and then given up', () => {
    const echo = newEcho();
    const step = DEAD_AFTER / 3;
    expect(wait(echo, NOW + 10 * ECHO_INTERVAL, true)).toEqual([
      [ECHO_INTERVAL, 'sent'],
      [ECHO_INTERVAL + step, 'sent'],
      [ECHO_INTERVAL + 2 * step, 'dead'],
    ]);
  });

  it('is not tried while something is heard', () => {
    const echo = newEcho();
    for (let now = NOW; now < NOW + 10 * ECHO_INTERVAL; now += ECHO_INTERVAL - 1) {
      echo.heard(now);
      expect(echo.timeout(now + ECHO_INTERVAL - 1, true)).toBeUndefined();
    }
  });

  it('is good when the echo comes back, or anything else, and is tried again later', () => {
    const echo = newEcho();
    const sent = echo.timeout(NOW + ECHO_INTERVAL, true) as Uint8Array;
    expect(echo.isEcho(sent.slice())).toBe(true);
    echo.heard(NOW + ECHO_INTERVAL + 50);
    expect(echo.wakeAt(true)).toBe(NOW + 2 * ECHO_INTERVAL + 50);
    // It counts once.
    expect(echo.isEcho(sent)).toBe(false);
  });

  it('is not taken for dead by a machine that slept: the answer may be waiting', () => {
    const echo = newEcho();
    expect(echo.timeout(NOW + ECHO_INTERVAL, true)).toBeInstanceOf(Uint8Array);
    let now = NOW + ECHO_INTERVAL + DEAD_AFTER / 3;
    expect(echo.timeout(now, true)).toBeInstanceOf(Uint8Array);
    // Now it would be dead; but nobody looked for hours.
    now += 3 * 3_600_000;
    expect(echo.timeout(now, true)).toBeInstanceOf(Uint8Array);
    expect(wait(echo, now + ECHO_INTERVAL, true).at(-1)![1]).toBe('dead');
  });
});

describe('a link on which nothing is expected', () => {
  it('is left alone', () => {
    const echo = newEcho();
    expect(echo.wakeAt(false)).toBe(Infinity);
    expect(echo.timeout(NOW + 100 * ECHO_INTERVAL, false)).toBeUndefined();
  });

  it('is tried when somebody is suspiciously silent, once at a time', () => {
    const echo = newEcho();
    expect(echo.check(NOW)).toHaveLength(16);
    expect(echo.check(NOW + 1)).toBeUndefined();
    expect(wait(echo, NOW + 10 * DEAD_AFTER, false)).toEqual([
      [DEAD_AFTER / 3, 'sent'],
      [(2 * DEAD_AFTER) / 3, 'dead'],
    ]);
  });
});

describe('an echo', () => {
  it('is random, and the same when it is sent again', () => {
    const echo = newEcho();
    const first = echo.check(NOW)!;
    expect(echo.timeout(NOW + DEAD_AFTER / 3, false)).toEqual(first);
    echo.heard(NOW + 6_000);
    expect(echo.check(NOW + 6_000)).not.toEqual(first);
    expect(newEcho('another').check(NOW)).not.toEqual(first);
  });

  it('is nothing else', () => {
    const echo = newEcho();
    expect(echo.isEcho(new Uint8Array(0))).toBe(false);
    expect(echo.isEcho(new Uint8Array(16))).toBe(false);
    const sent = echo.check(NOW)!;
    for (const other of [
      sent.slice(1),
      Uint8Array.of(...sent, 0),
      sent.map(byte => byte ^ 1),
      new Uint8Array(0),
    ]) {
      expect(echo.isEcho(other)).toBe(false);
    }
    expect(echo.isEcho(sent)).toBe(true);
  });
});
