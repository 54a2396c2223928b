#include "coordinator/inspect/page_parts.h"

namespace varve {

// Colours of ranks are Okabe and Ito's, which most eyes tell apart; black is the text's colour.
const std::string_view kPageStyle = R"css(
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1c2024; --faint: #667079; --rule: #d9dee3; --mark: #fff1b8;
  --accent: #1f5fa8; --cell-none: 238, 241, 244; --cell-all: 8, 48, 107; --asked-all: 166, 54, 3;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #15181c; --ink: #e4e7ea; --faint: #98a2ac; --rule: #343b43; --mark: #4d4413;
    --accent: #79b4f2; --cell-none: 32, 37, 43; --cell-all: 158, 208, 255;
    --asked-all: 255, 166, 87;
  }
}
@media print {
  :root {
    --paper: #ffffff; --ink: #000000; --faint: #444444; --rule: #bbbbbb; --mark: #eeeeee;
    --accent: #1f5fa8; --cell-none: 238, 241, 244; --cell-all: 8, 48, 107; --asked-all: 166, 54, 3;
  }
  .find, .controls, #under { display: none; }
  tr, figure { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
}
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 24px 20px 64px; }
h1 { font-size: 26px; margin: 0 0 12px; }
h2 { font-size: 20px; margin: 40px 0 8px; padding-bottom: 4px;
  border-bottom: 1px solid var(--rule); }
h3 { font-size: 16px; margin: 28px 0 4px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; margin: 0; }
dt { color: var(--faint); }
dd { margin: 0; overflow-wrap: anywhere; }
figure { margin: 8px 0; }
figcaption, .rule { color: var(--faint); font-size: 13px; max-width: 80ch; }
canvas { display: block; width: 100%; cursor: crosshair; }
.controls label { margin-right: 20px; }
select, input { font: inherit; max-width: 100%; }
input[type=search] { width: 28em; padding: 4px 8px; }
.text { white-space: pre-line; overflow-wrap: anywhere; unicode-bidi: isolate; }
#under { min-height: 4.5em; border-left: 3px solid var(--rule); padding-left: 12px; }
.asked { margin: 0; color: var(--faint); }
.answer { margin: 0 0 8px; border-left: 3px solid var(--accent); padding-left: 12px; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th { text-align: left; font-weight: 600; color: var(--faint); vertical-align: bottom; }
th, td { padding: 4px 14px 4px 0; border-bottom: 1px solid var(--rule); }
td { vertical-align: top; }
td.n { white-space: nowrap; font-variant-numeric: tabular-nums; }
td.text { width: 60%; }
.bar { display: block; height: 4px; margin-top: 3px; background: var(--accent); min-width: 1px; }
.around, .gap { color: var(--faint); }
mark { background: var(--mark); color: inherit; }
summary { cursor: pointer; margin: 8px 0; }
.found { margin: 10px 0; }
.found .where { color: var(--faint); font-size: 13px; }
svg text { fill: var(--faint); font-size: 12px; }
svg .grid { stroke: var(--rule); }
svg .line { fill: none; stroke-width: 1.5; vector-effect: non-scaling-stroke; }
svg.memory { width: 100%; height: auto; }
.legend { list-style: none; padding: 0; margin: 0; font-size: 14px; }
.legend svg { width: 24px; height: 6px; vertical-align: middle; }
.rank0 { stroke: var(--ink); } .rank1 { stroke: #e69f00; } .rank2 { stroke: #0072b2; }
.rank3 { stroke: #009e73; } .rank4 { stroke: #d55e00; } .rank5 { stroke: #cc79a7; }
.rank6 { stroke: #56b4e9; } .rank7 { stroke: #b8a900; }
)css";

}  // namespace varve
