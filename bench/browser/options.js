// @ts-check
import { count, counts, parseValues } from '../option-values.js';
import { MAX_IN_FLIGHT } from '../payloads.js';

const MOST = 100_000;
const DAY = 86_400_000;

export const HELP = `npm run bench:browser -- [options]

  --sizes <bytes>         of messages, for throughput; default: 64,1024,16384,1048576
  --rounds <count>        default: 5
  --duration <ms>         of one measurement; default: 1000
  --timeout <ms>          when nothing arrives for so long, a message is lost; default: 60000
  --json                  writes the whole result as JSON instead of tables
  --report                writes the tables into docs/performance.md
  --from <file>           takes a result that --json wrote instead of measuring`;

/** @typedef {ReturnType<typeof parseOptions>} Options */

/**
 * @param {readonly string[]} argv without the interpreter and the script
 * @throws UsageError that names the option and what it takes
 */
export function parseOptions(argv) {
  const values = parseValues(argv, {
    sizes: { type: 'string', default: '64,1024,16384,1048576' },
    rounds: { type: 'string', default: '5' },
    duration: { type: 'string', default: '1000' },
    timeout: { type: 'string', default: '60000' },
    json: { type: 'boolean', default: false },
    report: { type: 'boolean', default: false },
    from: { type: 'string' },
    help: { type: 'boolean', default: false },
  });
  return {
    sizes: counts('sizes', values.sizes, MAX_IN_FLIGHT),
    rounds: count('rounds', values.rounds, MOST),
    duration: count('duration', values.duration, DAY, 'milliseconds'),
    timeout: count('timeout', values.timeout, DAY, 'milliseconds'),
    json: values.json,
    report: values.report,
    from: values.from,
    help: values.help,
  };
}
