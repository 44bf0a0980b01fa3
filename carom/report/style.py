"""The look of the report's page, light and dark, wide and narrow and on paper."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --ink: #1f2933; --dim: #5b6673; --paper: #ffffff;
  --card: #ffffff; --line: #dfe4ea; --ground: #f4f6f8; --good: #0f766e; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaef; --dim: #a3adb8; --paper: #14181d;
  --card: #1b2026; --line: #333c46; --ground: #14181d; --good: #4fd1c1; --bad: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 28px 20px 48px; }
h1 { font-size: 24px; line-height: 1.2; margin: 0; }
h2 { font-size: 17px; margin: 34px 0 10px; }
p { margin: 6px 0; } .dim { color: var(--dim); }
.lead { font-size: 17px; margin: 12px 0 20px; max-width: 60em; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(165px, 1fr)); gap: 12px; }
.tile, figure, .table { background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; margin: 0; }
.tile { padding: 12px 14px; } .tile b { display: block; font-size: 25px; line-height: 1.25;
  font-weight: 650; font-variant-numeric: tabular-nums; }
.tile span { color: var(--dim); font-size: 13px; display: block; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 440px), 1fr));
  gap: 14px; }
figure { padding: 12px 10px 8px; min-width: 0; }
.table { overflow-x: auto; margin-top: 14px; }
table { border-collapse: collapse; width: 100%; font-size: 14px;
  font-variant-numeric: tabular-nums; }
th, td { padding: 7px 12px; text-align: right; white-space: nowrap;
  border-top: 1px solid var(--line); }
thead th { border-top: 0; color: var(--dim); font-weight: 600; font-size: 13px; }
th:first-child, td:first-child, .words { text-align: left; }
tbody th { font-weight: 600; } .few td { color: var(--dim); }
.up { color: var(--good); } .down { color: var(--bad); }
.incident { border-left: 4px solid var(--bad); padding: 10px 14px; background: var(--card);
  border-radius: 4px; margin: 10px 0; } .incident.closed { border-color: var(--line); }
footer { margin-top: 40px; font-size: 13px; color: var(--dim); max-width: 70em; }
@media (max-width: 46rem) { main { padding: 18px 12px 32px; } .tile b { font-size: 21px; }
  .tiles { grid-template-columns: 1fr 1fr; } figure { padding: 10px 8px 4px; }
  /* a table of wide rows becomes a list of small ones */
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  table, tbody, tr, th, td { display: block; } .table { position: relative; }
  tr { padding: 9px 12px; border-top: 1px solid var(--line); }
  tbody tr:first-child { border-top: 0; }
  th, td { padding: 1px 0; border: 0; text-align: left; white-space: normal; }
  td { display: grid; grid-template-columns: 10em 1fr; gap: 0 .6em; }
  td::before { content: attr(data-label); color: var(--dim); font-size: 13px; } }
@media print { body { background: #fff; } figure, .tile { break-inside: avoid; } }
"""
