// What every WebSocket class must do, as cases that run against any of them: the native class of each engine shows
// that the expectations are right, this library's class that it meets them.
import { describe, it } from 'vitest';
import { closeCases } from './conformance/close-cases.js';
import { ConformanceContext, type ConformanceCase, type Engine } from './conformance/conformance-case.js';
import { constructorCases } from './conformance/constructor-cases.js';
import { interfaceCases } from './conformance/interface-cases.js';
import { sendCases } from './conformance/send-cases.js';

export type { Engine } from './conformance/conformance-case.js';
export { ConformanceServer } from './conformance/conformance-server.js';

export const conformanceCases: readonly ConformanceCase[] = [
  ...constructorCases,
  ...interfaceCases,
  ...sendCases,
  ...closeCases,
];

export interface ConformanceSubject {
  /** The class under test. Asked for when a test runs. */
  WebSocket(): typeof globalThis.WebSocket;
  /** Where a server runs `ConformanceServer`, without a slash at the end. */
  url(): string;
  /** The engine whose own class this is: its known deviations, and what only this library promises, are left out. */
  readonly native?: Engine;
}

/** Runs every case that applies as a test of its own. */
export function describeConformance(title: string, subject: ConformanceSubject): void {
  const hasPage = 'document' in globalThis;
  const applies = ({ own, deviating, page }: ConformanceCase): boolean =>
    (page !== true || hasPage) &&
    (subject.native === undefined || (own !== true && !(deviating ?? []).includes(subject.native)));
  describe(title, () => {
    for (const { name, run } of conformanceCases.filter(applies)) {
      it(name, async () => {
        const context = new ConformanceContext(subject.WebSocket(), subject.url());
        try {
          await run(context);
        } finally {
          context.cleanUp();
        }
      });
    }
  });
}
