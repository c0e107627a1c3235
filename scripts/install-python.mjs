// @ts-check
// Finds the Python that the proxy is tested with, and installs one, or its `websockets`, where that is missing and it can.
//
//   node scripts/install-python.mjs             install what is missing
//   node scripts/install-python.mjs --dry-run   only print the commands
//
// Ends with an error when it is required and still missing (REQUIRE_PYTHON=true; by default where CI=true).
// INSTALL_PYTHON=never only looks.
import { thisHost } from './browsers.mjs';
import { findPython, isPythonRequired, missingPythonMessage, pythonInstallPlan } from './python.mjs';
import { runCommand } from './run-command.mjs';

const dryRun = process.argv.includes('--dry-run');

if (process.env['INSTALL_PYTHON'] !== 'never' && findPython() === undefined) {
  for (const command of pythonInstallPlan(thisHost())) {
    console.log(`${dryRun ? 'would run' : 'running'}: ${command.join(' ')}`);
    // One that fails is no reason to stop: packages install with an outdated list, too.
    if (!dryRun) await runCommand(command);
  }
}

const found = findPython();
if (found !== undefined) {
  console.log(`python: ${found}`);
} else {
  console.log(missingPythonMessage());
  if (isPythonRequired() && !dryRun) {
    console.log('It must be there (REQUIRE_PYTHON, or CI=true).');
    process.exitCode = 1;
  } else {
    console.log('The tests run without.');
  }
}
