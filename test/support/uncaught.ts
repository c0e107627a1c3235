import { EventQueue } from './event-queue.js';

/** Uncaught exceptions of this process, which would be failures otherwise, until `restore`. */
export function catchUncaught(): { errors: EventQueue<unknown>; restore(): void } {
  const others = process.rawListeners('uncaughtException');
  const errors = new EventQueue<unknown>();
  const listener = (error: unknown): void => {
    errors.push(error);
  };
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', listener);
  return {
    errors,
    restore: () => {
      process.off('uncaughtException', listener);
      for (const other of others) process.on('uncaughtException', other as (error: Error) => void);
    },
  };
}
