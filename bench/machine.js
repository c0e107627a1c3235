// @ts-check
import os from 'node:os';

/** @typedef {ReturnType<typeof describeMachine>} Machine */

/** What figures depend on. To be asked before anything is measured: `load` is of now. */
export function describeMachine() {
  return {
    node: process.version,
    cpu: os.cpus()[0]?.model ?? 'unknown',
    cores: os.cpus().length,
    memory: `${Math.round(os.totalmem() / 2 ** 30)} GiB`,
    platform: `${process.platform} ${process.arch}`,
    fileLimit: fileLimit(),
    load: loadNow(),
  };
}

/** Processes that wanted a core during the last minute, on average. 0 where that is not known. */
export function loadNow() {
  return Math.round((os.loadavg()[0] ?? 0) * 10) / 10;
}

/** A warning for a machine that does other things at the same time, or undefined. */
export function busyWarning() {
  const load = loadNow();
  return load < os.cpus().length / 2
    ? undefined
    : `This machine is busy (load ${load} on ${os.cpus().length} cores): figures will vary much.`;
}

/** File descriptors that a process may have (`ulimit -n`), or null where that is not known. */
export function fileLimit() {
  const { userLimits } = /** @type {any} */ (process.report.getReport());
  const soft = userLimits?.open_files?.soft;
  return typeof soft === 'number'
    ? soft
    : typeof soft === 'string' && /^\d+$/.test(soft)
      ? Number(soft)
      : null;
}
