// @ts-check
import { adapters } from './adapters/index.js';
import { measurements } from './measurements/index.js';
import { count, counts, names, parseValues } from './option-values.js';
import { MAX_IN_FLIGHT } from './payloads.js';

const ADAPTERS = adapters.map(({ name }) => name);
const MEASUREMENTS = measurements.map(({ name }) => name);
const MOST = 100_000;
const DAY = 86_400_000;

export const HELP = `npm run bench -- [options]

  --adapters <names>      ${ADAPTERS.join(', ')}; default: all
  --only <measurements>   ${MEASUREMENTS.join(', ')}; default: all
  --sizes <bytes>         of messages, for throughput and, up to 16384, for spaces; default: 64,1024,16384,1048576
  --receivers <counts>    for fan-out; default: 1,10,100,1000
  --connections <count>   to open; default: 1000
  --members <counts>      of a space or room, the sender included; default: 10,100,1000
  --rounds <count>        default: 5
  --duration <ms>         of one measurement; default: 1000
  --timeout <ms>          when nothing arrives for so long, a message is lost; default: 60000
  --json                  writes the whole result as JSON instead of tables
  --svg <file>            writes a chart of the throughput
  --report                writes tables and chart into docs/performance.md and docs/performance.svg
  --from <file>           takes a result that --json wrote instead of measuring`;

/** @typedef {ReturnType<typeof parseOptions>} Options */

/**
 * @param {readonly string[]} argv without the interpreter and the script
 * @throws UsageError that names the option and what it takes
 */
export function parseOptions(argv) {
  const values = parseValues(argv, {
    adapters: { type: 'string' },
    only: { type: 'string' },
    sizes: { type: 'string', default: '64,1024,16384,1048576' },
    receivers: { type: 'string', default: '1,10,100,1000' },
    connections: { type: 'string', default: '1000' },
    members: { type: 'string', default: '10,100,1000' },
    rounds: { type: 'string', default: '5' },
    duration: { type: 'string', default: '1000' },
    timeout: { type: 'string', default: '60000' },
    json: { type: 'boolean', default: false },
    svg: { type: 'string' },
    report: { type: 'boolean', default: false },
    from: { type: 'string' },
    help: { type: 'boolean', default: false },
  });
  return {
    adapters: names('adapters', values.adapters, ADAPTERS),
    only: names('only', values.only, MEASUREMENTS),
    sizes: counts('sizes', values.sizes, MAX_IN_FLIGHT),
    receivers: counts('receivers', values.receivers, MOST),
    connections: count('connections', values.connections, MOST),
    members: counts('members', values.members, MOST, 2),
    rounds: count('rounds', values.rounds, MOST),
    duration: count('duration', values.duration, DAY, 'milliseconds'),
    timeout: count('timeout', values.timeout, DAY, 'milliseconds'),
    json: values.json,
    svg: values.svg,
    report: values.report,
    from: values.from,
    help: values.help,
  };
}
