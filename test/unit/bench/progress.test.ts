import { describe, expect, it } from 'vitest';
import { Progress } from '../../../bench/progress.js';

function recorded(isTTY: boolean): { written: string[]; progress: Progress } {
  const written: string[] = [];
  return { written, progress: new Progress({ isTTY, write: text => written.push(text) }) };
}

describe('progress', () => {
  it('is one line that changes in a terminal', () => {
    const { written, progress } = recorded(true);
    progress.show('throughput, round 1 of 2', '64 bytes');
    progress.show('throughput, round 1 of 2', '1024 bytes');
    progress.end();
    expect(written.every(text => text.startsWith('\r\u001B[K') && !text.includes('\n'))).toBe(true);
    expect(written.at(-1)).toBe('\r\u001B[K');
  });

  it('is a line for each round elsewhere', () => {
    const { written, progress } = recorded(false);
    progress.show('throughput, round 1 of 2', '64 bytes');
    progress.show('throughput, round 1 of 2', '1024 bytes');
    progress.show('throughput, round 2 of 2', '64 bytes');
    progress.end();
    expect(written).toEqual(['throughput, round 1 of 2\n', 'throughput, round 2 of 2\n']);
  });
});
