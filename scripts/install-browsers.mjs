// @ts-check
// Finds the browsers that the tests run in, and installs the ones that are missing where it can.
//
//   node scripts/install-browsers.mjs             install what is missing
//   node scripts/install-browsers.mjs --dry-run   only print the commands
//
// Ends with an error when an engine that is required is still missing (REQUIRE_BROWSERS; all of them where CI=true).
// INSTALL_BROWSERS=never only looks.
import {
  ENGINES,
  findBrowsers,
  installPlan,
  missingBrowsersMessage,
  requiredBrowsers,
  thisHost,
} from './browsers.mjs';
import { runCommand } from './run-command.mjs';

const dryRun = process.argv.includes('--dry-run');

/** @returns {import('./browsers.mjs').Engine[]} */
function missing() {
  const found = findBrowsers();
  return ENGINES.filter(engine => found[engine] === undefined);
}

async function install() {
  for (let tried = 0; missing().length > 0; tried++) {
    const way = installPlan(missing(), thisHost())[tried];
    if (way === undefined) return;
    for (const command of way.commands) {
      console.log(`${dryRun ? 'would run' : 'running'}: ${command.join(' ')}`);
      // One that fails is no reason to stop: packages install with an outdated list, too.
      if (!dryRun) await runCommand(command);
    }
  }
}

if (process.env['INSTALL_BROWSERS'] !== 'never') await install();

const found = findBrowsers();
for (const engine of ENGINES) {
  const location = found[engine];
  if (location === undefined) continue;
  const where = { playwright: 'Playwright', system: 'system', webdriver: 'WebKitGTK' }[location.kind];
  console.log(`${engine}: ${where}${location.kind === 'system' ? `, ${location.executable}` : ''}`);
}
const stillMissing = missing();
if (stillMissing.length > 0) {
  console.log(missingBrowsersMessage(stillMissing));
  const needed = requiredBrowsers().filter(engine => stillMissing.includes(engine));
  if (needed.length > 0 && !dryRun) {
    console.log(`${needed.join(', ')} must be there (REQUIRE_BROWSERS, or CI=true).`);
    process.exitCode = 1;
  } else {
    console.log('The tests run without.');
  }
}
