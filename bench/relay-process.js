// The relay of one adapter, in a process of its own, so that its CPU time and its memory are its own.
import { setTimeout as delay } from 'node:timers/promises';
import { loadAdapter } from './adapters/index.js';
import { answer } from './answer.js';
import { microseconds } from './statistics.js';

/** What a connection leaves behind when it is registered has this long to go, milliseconds. */
const SETTLING = 200;

answer({
  async start({ adapter, kind = 'pair' }) {
    const { startRelay } = await loadAdapter(adapter, kind);
    return (await startRelay()).url;
  },
  cpu: () => microseconds(process.cpuUsage()),
  async memory() {
    globalThis.gc();
    await delay(SETTLING);
    globalThis.gc();
    return process.memoryUsage.rss();
  },
  /** What the program itself has use for: no pages that the system may have back. */
  held() {
    globalThis.gc();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  },
});
