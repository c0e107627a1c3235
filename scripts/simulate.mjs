// Runs the deterministic simulation for any number of seeds, or one of them again.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const HELP = `npm run simulate -- [--spaces] [--from <seed>] [--seeds <number>] [--trace]

  --spaces  spaces, and not channels
  --from    the first seed; default 0
  --seeds   how many; default 1 with --from, else 2400; of spaces 400
  --trace   write down everything that happens`;

const { values } = parseArgs({
  options: {
    from: { type: 'string' },
    seeds: { type: 'string' },
    spaces: { type: 'boolean', default: false },
    trace: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const number = (name, value, least) => {
  if (/^\d+$/.test(value) && Number(value) >= least && Number.isSafeInteger(Number(value))) return value;
  console.error(`--${name} must be an integer of at least ${least}, not "${value}".\n\n${HELP}`);
  process.exit(2);
};
if (values.help) {
  console.log(HELP);
} else {
  const usual = values.spaces ? '400' : '2400';
  const { from = '0', seeds = values.from === undefined ? usual : '1' } = values;
  const env = {
    ...process.env,
    SIMULATION_FROM: number('from', from, 0),
    SIMULATION_SEEDS: number('seeds', seeds, 1),
    SIMULATION_TRACE: values.trace ? 'yes' : 'no',
  };
  const vitest = fileURLToPath(new URL('../node_modules/vitest/vitest.mjs', import.meta.url));
  const args = [
    vitest,
    'run',
    '--project',
    'node',
    values.spaces ? 'test/simulation/spaces.test.ts' : 'test/simulation/simulation.test.ts',
    '--disableConsoleIntercept=true',
  ];
  const child = spawn(process.execPath, args, { env, stdio: 'inherit' });
  child.on('exit', code => process.exit(code ?? 1));
}
