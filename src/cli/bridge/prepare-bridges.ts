import type { OptionValues } from '../options.js';
import type { Terminal } from '../terminal.js';
import { type BRIDGE_OPTIONS, type BridgeLimits, bridgeLimits } from './bridge-options.js';
import { type BridgeReport, JsonBridgeReport, TextBridgeReport } from './bridge-report.js';
import { Bridges } from './bridges.js';

/** What a command needs that bridges connections, as its options want it. @throws UsageError */
export function prepareBridges(
  values: OptionValues<typeof BRIDGE_OPTIONS>,
  terminal: Terminal,
): { readonly limits: BridgeLimits; readonly bridges: Bridges; readonly report: BridgeReport } {
  const limits = bridgeLimits(values);
  const report = values.json
    ? new JsonBridgeReport(terminal)
    : new TextBridgeReport(terminal, values.verbose);
  const bridges = new Bridges({ ...limits, answersPings: !values['no-reconnect'] }, report);
  return { limits, bridges, report };
}
