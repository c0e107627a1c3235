import { readdirSync, readFileSync } from 'node:fs';
import { constants, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks';
import type { Histogram, Registry } from 'prom-client';

/** The module `prom-client`, loaded by whoever needs it. */
export type PromClient = Pick<typeof import('prom-client'), 'Counter' | 'Gauge' | 'Histogram' | 'Registry'>;

/** The event loop is looked at so often, milliseconds. */
const LAG_INTERVAL = 50;
const LAG_BUCKETS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5];
const GC_BUCKETS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1];

/**
 * How Node itself is doing: event loop, garbage collection, memory, CPU, file descriptors. The names are those of
 * prom-client's default metrics, so that the usual dashboards show them. They are made here all the same: prom-client's
 * own watch the event loop for ever once they are made, and forget what they saw with every scrape, so that of two
 * Prometheus servers each would see half.
 */
export class RuntimeMetrics {
  readonly #update: () => void;
  readonly #timer: NodeJS.Timeout;
  readonly #gc: PerformanceObserver;

  constructor(prometheus: PromClient, registry: Registry) {
    const { Counter, Gauge, Histogram } = prometheus;
    const registers = [registry];
    const gauge = (name: string, help: string) => new Gauge({ name, help, registers });

    const userCpu = new Counter({
      name: 'process_cpu_user_seconds_total',
      help: 'CPU time that the process spent in its own code, seconds.',
      registers,
    });
    const systemCpu = new Counter({
      name: 'process_cpu_system_seconds_total',
      help: 'CPU time that the process spent in the kernel, seconds.',
      registers,
    });
    const cpu = new Counter({
      name: 'process_cpu_seconds_total',
      help: 'CPU time that the process spent, seconds.',
      registers,
    });
    gauge('process_start_time_seconds', 'When the process was started, seconds since 1970.').set(
      Math.round(Date.now() / 1_000 - process.uptime()),
    );
    const resident = gauge('process_resident_memory_bytes', 'Memory of the process, bytes.');
    const heapTotal = gauge('nodejs_heap_size_total_bytes', 'Heap that V8 has reserved, bytes.');
    const heapUsed = gauge('nodejs_heap_size_used_bytes', 'Heap that is in use, bytes.');
    const external = gauge(
      'nodejs_external_memory_bytes',
      'Memory outside the heap, buffers included, bytes.',
    );
    const openFiles =
      fileDescriptors() === undefined ? undefined : gauge('process_open_fds', 'Open file descriptors.');
    const maxFiles = maxFileDescriptors();
    if (maxFiles !== undefined)
      gauge('process_max_fds', 'Most file descriptors that may be open.').set(maxFiles);

    this.#update = () => {
      const { user, system } = process.cpuUsage();
      setSum(userCpu, user / 1e6);
      setSum(systemCpu, system / 1e6);
      setSum(cpu, (user + system) / 1e6);
      const memory = process.memoryUsage();
      resident.set(memory.rss);
      heapTotal.set(memory.heapTotal);
      heapUsed.set(memory.heapUsed);
      external.set(memory.external);
      const open = fileDescriptors();
      if (open !== undefined) openFiles?.set(open);
    };

    this.#timer = watchEventLoop(
      new Histogram({
        name: 'nodejs_eventloop_lag_seconds',
        help: `How much later than it should a timer fired that fires each ${LAG_INTERVAL} ms, seconds.`,
        buckets: LAG_BUCKETS,
        registers,
      }),
    );
    this.#gc = watchGarbageCollection(
      new Histogram({
        name: 'nodejs_gc_duration_seconds',
        help: 'How long the garbage collector held everything else up, by kind, seconds.',
        labelNames: ['kind'],
        buckets: GC_BUCKETS,
        registers,
      }),
    );
  }

  /** Looks at what is looked at when somebody asks. */
  update(): void {
    this.#update();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#gc.disconnect();
  }
}

/** Sets a counter to a sum that somebody else keeps. */
export function setSum(counter: { reset(): void; inc(value: number): void }, sum: number): void {
  counter.reset();
  counter.inc(sum);
}

function watchEventLoop(lag: Histogram): NodeJS.Timeout {
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    lag.observe(Math.max(0, now - last - LAG_INTERVAL) / 1_000);
    last = now;
  }, LAG_INTERVAL);
  return timer.unref();
}

const GC_KINDS: Readonly<Record<number, string>> = {
  [constants.NODE_PERFORMANCE_GC_MAJOR]: 'major',
  [constants.NODE_PERFORMANCE_GC_MINOR]: 'minor',
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL]: 'incremental',
  [constants.NODE_PERFORMANCE_GC_WEAKCB]: 'weakcb',
};

function watchGarbageCollection(duration: Histogram<'kind'>): PerformanceObserver {
  const observer = new PerformanceObserver(list => {
    for (const entry of list.getEntries()) {
      const { kind } = (entry as PerformanceEntry & { readonly detail: { readonly kind: number } }).detail;
      duration.observe({ kind: GC_KINDS[kind] ?? 'other' }, entry.duration / 1_000);
    }
  });
  observer.observe({ entryTypes: ['gc'] });
  return observer;
}

/** Open file descriptors of this process, where the system tells. */
function fileDescriptors(): number | undefined {
  try {
    // Without the one that looks.
    return readdirSync('/proc/self/fd').length - 1;
  } catch {
    return undefined;
  }
}

function maxFileDescriptors(): number | undefined {
  try {
    const limits = readFileSync('/proc/self/limits', 'utf8');
    const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined;
  }
}
