/** How the status page looks, by day and by night. */
export const STATUS_PAGE_STYLE = `
:root {
  color-scheme: light dark;
  --ink: #14201f;
  --soft: #566664;
  --line: #dce5e3;
  --grid: #e6edeb;
  --paper: #fff;
  --ground: #f3f7f6;
  --accent: #0f766e;
  --fill: #0f766e1f;
  --good: #0f766e;
  --warn: #a15c00;
  --bad: #b42318;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e6efed;
    --soft: #93a6a3;
    --line: #2a3836;
    --grid: #22302e;
    --paper: #16201f;
    --ground: #0e1514;
    --accent: #2dd4bf;
    --fill: #2dd4bf24;
    --good: #2dd4bf;
    --warn: #f5b14c;
    --bad: #ff8a7a;
  }
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body {
  max-width: 1180px;
  margin: 0 auto;
  padding: 24px 20px 40px;
  background: var(--ground);
  color: var(--ink);
  font: 15px/1.5 system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif;
  font-variant-numeric: tabular-nums;
}
header { display: flex; flex-wrap: wrap; align-items: center; gap: 6px 14px; margin-bottom: 20px; }
h1 { margin: 0; font-size: 21px; letter-spacing: -0.01em; }
h2 { margin: 0; font-size: 14px; font-weight: 600; color: var(--soft); }
.state {
  display: inline-flex;
  align-items: center;
  gap: 7px;
  padding: 2px 12px 2px 10px;
  border: 1px solid var(--line);
  border-radius: 99px;
  background: var(--paper);
  color: var(--warn);
  font-weight: 600;
  font-size: 14px;
}
.state::before { content: ''; width: 9px; height: 9px; border-radius: 50%; background: currentColor; }
.state.listening { color: var(--good); }
.state.closed, .lost .state { color: var(--bad); }
.about { margin: 0 0 0 auto; color: var(--soft); }
#contact {
  margin: 0 0 20px;
  padding: 10px 16px;
  border: 1px solid var(--bad);
  border-left-width: 5px;
  border-radius: 10px;
  background: var(--paper);
  color: var(--bad);
  font-weight: 600;
}
.lost .values { opacity: 0.5; }
.plots { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 16px; margin-bottom: 16px; }
.tables { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 16px; align-items: start; }
section { padding: 16px 18px; border: 1px solid var(--line); border-radius: 14px; background: var(--paper); }
.value { margin: 0 0 10px; font-size: 30px; line-height: 1.25; font-weight: 650; letter-spacing: -0.02em; white-space: nowrap; }
.value small { margin-left: 6px; font-size: 14px; font-weight: 400; letter-spacing: 0; color: var(--soft); }
.plot { position: relative; }
.plot svg { display: block; width: 100%; height: 120px; overflow: visible; }
.plot .top { position: absolute; top: 2px; right: 0; padding: 0 0 0 6px; background: var(--paper); }
.axis { display: flex; justify-content: space-between; margin-top: 6px; }
.plot .top, .axis { font-size: 12px; line-height: 1.3; color: var(--soft); }
.grid { stroke: var(--grid); stroke-width: 1; vector-effect: non-scaling-stroke; }
.curve { fill: none; stroke: var(--accent); stroke-width: 2; stroke-linejoin: round; vector-effect: non-scaling-stroke; }
.area { fill: var(--fill); stroke: none; }
table { width: 100%; border-collapse: collapse; margin-top: 6px; }
th, td { padding: 7px 0; border-top: 1px solid var(--grid); text-align: left; font-weight: 400; vertical-align: baseline; }
tr:first-child > * { border-top: 0; }
td { padding-left: 12px; text-align: right; font-weight: 600; white-space: nowrap; }
td small { font-size: 13px; font-weight: 400; color: var(--soft); }
th small { display: block; font-size: 13px; line-height: 1.35; color: var(--soft); }
tr.none td { color: var(--soft); font-weight: 400; }
td.alarm { color: var(--bad); }
meter { display: block; width: 100%; height: 8px; margin-top: 4px; }
meter::-webkit-meter-bar { height: 6px; border: 0; border-radius: 3px; background: var(--grid); }
meter::-webkit-meter-optimum-value { border-radius: 3px; background: var(--accent); }
meter::-webkit-meter-suboptimum-value { border-radius: 3px; background: var(--warn); }
meter::-webkit-meter-even-less-good-value { border-radius: 3px; background: var(--bad); }
footer { margin-top: 20px; color: var(--soft); font-size: 13px; }
footer p { margin: 0 0 4px; }
code { font: 12px/1.4 ui-monospace, 'SF Mono', 'DejaVu Sans Mono', monospace; overflow-wrap: anywhere; }
a { color: var(--accent); border-radius: 3px; }
a:focus-visible { outline: 2px solid var(--accent); outline-offset: 3px; }
@media (max-width: 900px) {
  .plots { grid-template-columns: minmax(0, 1fr); }
  .plot svg { height: 90px; }
}
@media (max-width: 720px) {
  body { padding: 16px 12px 32px; }
  .tables { grid-template-columns: minmax(0, 1fr); }
  .about { margin-left: 0; width: 100%; }
}
`;
