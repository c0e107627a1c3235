// @ts-check
// Finds the nginx that a relay is tested behind, and installs one where that is missing and it can.
//
//   node scripts/install-nginx.mjs             install what is missing
//   node scripts/install-nginx.mjs --dry-run   only print the commands
//
// Ends with an error when it is required and still missing (REQUIRE_NGINX=true; by default where CI=true).
// INSTALL_NGINX=never only looks.
import { thisHost } from './browsers.mjs';
import { findNginx, isNginxRequired, missingNginxMessage, nginxInstallPlan } from './nginx.mjs';
import { runCommand } from './run-command.mjs';

const dryRun = process.argv.includes('--dry-run');

if (process.env['INSTALL_NGINX'] !== 'never' && findNginx() === undefined) {
  for (const command of nginxInstallPlan(thisHost())) {
    console.log(`${dryRun ? 'would run' : 'running'}: ${command.join(' ')}`);
    // One that fails is no reason to stop: packages install with an outdated list, too.
    if (!dryRun) await runCommand(command);
  }
}

const found = findNginx();
if (found !== undefined) {
  console.log(`nginx: ${found.executable}`);
} else {
  console.log(missingNginxMessage());
  if (isNginxRequired() && !dryRun) {
    console.log('It must be there (REQUIRE_NGINX, or CI=true).');
    process.exitCode = 1;
  } else {
    console.log('The tests run without.');
  }
}
