import { createHash } from 'node:crypto';
import { DROP_REASONS, type DropReason } from '../relay-observer.js';
import { STATUS_PAGE_SCRIPT } from './status-page-script.js';
import { STATUS_PAGE_STYLE } from './status-page-style.js';

/** What each reason means, for whoever sees it for the first time. */
const DROPS: Readonly<Record<DropReason, { readonly name: string; readonly meaning: string }>> = {
  not_here: { name: 'Not here', meaning: 'Nobody is connected under the key' },
  queue_full: { name: 'Queue full', meaning: 'The receiver does not read fast enough' },
  refused: { name: 'Refused', meaning: 'The receiver does not listen' },
  too_large: { name: 'Too large', meaning: 'Larger than the largest frame' },
  not_allowed: { name: 'Not allowed', meaning: 'The rules keep the two apart' },
  handshakes_limited: { name: 'Handshakes limited', meaning: 'Too many handshakes with one peer' },
  too_many_peers: { name: 'Too many peers', meaning: 'The sender has as many as it may have' },
};

const PLOTS = [
  { id: 'connections', title: 'Connections' },
  { id: 'messages', title: 'Messages per second' },
  { id: 'bytes', title: 'Bytes per second' },
];

const ROWS = [
  { id: 'registered', name: 'Registered connections' },
  { id: 'unregistered', name: 'Not registered yet' },
  { id: 'listening-keys', name: 'Listening keys' },
  { id: 'throttled', name: 'Held back by limits' },
  { id: 'envelopes', name: 'Messages forwarded' },
  { id: 'spaces', name: 'Spaces' },
  { id: 'space-members', name: 'Members of spaces' },
  { id: 'space-messages', name: 'Messages said in spaces' },
  { id: 'forwarded', name: 'Bytes forwarded' },
];

/** The status page: one file, which loads nothing. It holds no data; those come from `status.json`. */
export const STATUS_PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>relay</title>
<link rel="icon" href="data:,">
<style>${STATUS_PAGE_STYLE}</style>
</head>
<body>
<header>
<h1>secure-websocket relay</h1>
<span id="state" class="state" role="status">…</span>
<p class="about"><span id="version"></span> · <span id="uptime"></span></p>
</header>
<p id="contact" role="alert" hidden></p>
<noscript><p>This page needs JavaScript. The same numbers are at <a href="metrics">metrics</a>.</p></noscript>
<main class="values">
<div class="plots">
${PLOTS.map(plotSection).join('\n')}
</div>
<div class="tables">
<section aria-labelledby="now-title">
<h2 id="now-title">Now</h2>
<table aria-labelledby="now-title"><tbody>
${ROWS.map(({ id, name }) => `<tr><th scope="row">${name}</th><td id="${id}">–</td></tr>`).join('\n')}
<tr><th scope="row">Waiting to be sent<meter id="queue-meter" min="0" max="1" value="0" aria-hidden="true"></meter></th><td><span id="queued">–</span><small id="queue-limit"></small></td></tr>
<tr id="certificate-row" hidden><th scope="row">Certificate expires</th><td id="certificate"></td></tr>
</tbody></table>
</section>
<section aria-labelledby="drops-title">
<h2 id="drops-title">Messages not forwarded, since the start</h2>
<table aria-labelledby="drops-title"><tbody>
${DROP_REASONS.map(dropRow).join('\n')}
</tbody></table>
</section>
</div>
</main>
<footer>
<p>Public key of this relay: <code id="key"></code></p>
<p><a href="metrics">metrics</a> · <a href="status.json">status.json</a> · <a href="livez">livez</a> · <a href="readyz">readyz</a></p>
</footer>
<script>${STATUS_PAGE_SCRIPT}</script>
</body>
</html>
`;

/** The `Content-Security-Policy` of the page: its own style and script, its own data, and nothing else in the world. */
export const STATUS_PAGE_POLICY = [
  "default-src 'none'",
  `style-src ${sourceOf(STATUS_PAGE_STYLE)}`,
  `script-src ${sourceOf(STATUS_PAGE_SCRIPT)}`,
  "connect-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

function plotSection({ id, title }: { id: string; title: string }): string {
  return `<section aria-labelledby="${id}-title">
<h2 id="${id}-title">${title}</h2>
<p class="value"><span id="${id}-now">–</span><small id="${id}-unit"></small></p>
<div class="plot">
<svg id="${id}-svg" role="img" aria-label="${title}" viewBox="0 0 600 120" preserveAspectRatio="none">
<path class="grid" d="M0 0H600M0 60H600M0 120H600"/>
<path class="area" id="${id}-area"/>
<path class="curve" id="${id}-curve"/>
</svg>
<span class="top" id="${id}-top" aria-hidden="true"></span>
</div>
<div class="axis" aria-hidden="true"><span>5 min ago</span><span id="${id}-peak"></span><span>now</span></div>
</section>`;
}

function dropRow(reason: DropReason): string {
  const { name, meaning } = DROPS[reason];
  return `<tr class="none"><th scope="row">${name}<small>${meaning}</small></th><td id="drop-${reason}">–</td></tr>`;
}

/** How a policy names a style or a script that stands in the page (CSP Level 3, section 2.3.1). */
function sourceOf(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}
