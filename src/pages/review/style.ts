/** What the pages about the record look like, beside what all pages have. */
export const reviewStyle = `
:root {
  --allow: light-dark(#2f6fb3, #6ea8e6);
  --deny: light-dark(#b3400f, #f0925c);
  --allow-text: light-dark(#1c4f87, #9cc5f2);
  --deny-text: light-dark(#8c2f08, #ffb48a);
  --deny-ground: light-dark(#fdeee6, #3a2317);
  --allow-ground: light-dark(#e8f1fb, #17293d);
  --unknown: light-dark(#6a5300, #e3c14d);
  --unknown-ground: light-dark(#fdf5d9, #332b10);
  --gone: light-dark(#8f1f1f, #ff9d94);
  --gone-ground: light-dark(#fde8e8, #401b1b);
  --added: light-dark(#14603a, #7fd7a4);
  --added-ground: light-dark(#e2f5ea, #12331f);
}
.wide header, .wide main, .wide footer { max-width: 84rem }
.wide main { padding-top: 0 }
.wide h1 { margin: 1rem 0 .25rem }
.wide h2 { margin: 0; font-size: 1rem }
.me { color: var(--quiet) }
nav[aria-label="Pages"] { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem }
nav a[aria-current] { font-weight: 600; text-decoration: none; border-bottom: 2px solid }
.sr { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap }
.summary { margin: .25rem 0 1rem; font-size: 1.0625rem }
.note { border-left: 4px solid var(--unknown); background: var(--unknown-ground); padding: .5rem .75rem }
[role=alert] { border-left: 4px solid var(--deny); background: var(--deny-ground); padding: .5rem .75rem; margin: .5rem 0 }
[role=alert] p { margin: 0 }
small { font-size: .8125rem; color: var(--quiet) }
time b { font-weight: inherit }
.empty { padding: 1.5rem; border: 1px dashed var(--line); border-radius: .375rem; color: var(--quiet); text-align: center }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
.unseen { border: 1px solid; border-radius: .2rem; padding: 0 .2em; font-size: .75em; color: var(--gone) }

input, select, textarea {
  font: inherit; color: inherit; background: var(--ground); border: 1px solid var(--edge); border-radius: .25rem;
  padding: .25rem .4rem; width: 100%; min-width: 0; height: 2rem
}
input[type=radio] { width: auto; height: auto }
textarea { height: auto; font-family: ui-monospace, monospace; font-size: .875rem; resize: vertical }
label { font-size: .8125rem; color: var(--quiet) }
label input, label select, label textarea { display: block; font-size: .875rem; color: var(--text) }
label input[type=radio] { display: inline-block }
fieldset { border: 0; padding: 0; margin: 0 0 .75rem; display: grid; gap: .25rem }
fieldset label, legend { color: var(--text); font-size: .9375rem }
.filter { background: var(--panel); border: 1px solid var(--line); border-radius: .5rem; padding: .625rem .75rem; margin-bottom: 1rem }
.fields { display: grid; grid-template-columns: repeat(auto-fill, minmax(11.5rem, 1fr)); gap: .4rem .75rem; align-items: end }
.send { display: flex; gap: 1rem; align-items: center }
.send button, .row button { padding: .3rem .9rem }
.filter summary { font-size: .8125rem; color: var(--accent); cursor: pointer; margin: .375rem 0 0; width: max-content }
.filter details[open] summary { margin-bottom: .375rem }
.quick { display: flex; flex-wrap: wrap; gap: .25rem 1rem; margin-bottom: .5rem; font-size: .875rem }
.quick a[aria-current] { font-weight: 600; text-decoration: none; border-bottom: 2px solid; color: var(--text) }
.row { display: flex; flex-wrap: wrap; gap: .5rem .75rem; align-items: end }
.row label { flex: 1 1 12rem }
.chips { display: flex; flex-wrap: wrap; gap: .375rem; list-style: none; padding: 0; margin: 0 0 .5rem; font-size: .875rem }
.chips li { border: 1px solid var(--line); border-radius: 1rem; padding: .05rem .3rem .05rem .7rem }
.chips a { display: inline-block; min-width: 1.5rem; text-align: center; text-decoration: none }

.timeline { margin: 0 0 1rem }
.timeline figcaption { display: flex; flex-wrap: wrap; gap: .125rem 1rem; align-items: baseline; font-size: .8125rem; margin-bottom: .25rem }
.timeline .legend { margin-left: auto }
.hint { order: 3 }
.timeline > svg { display: block; width: 100%; height: 7rem; overflow: visible }
.timeline summary, .raw summary { font-size: .8125rem; color: var(--quiet); cursor: pointer }
.axis { stroke: var(--edge); stroke-width: 1; vector-effect: non-scaling-stroke }
.hit { fill: transparent }
a:hover > .hit, a:focus > .hit { fill: var(--accent); fill-opacity: .16 }
svg a:focus { outline: none }
svg a:focus-visible > .hit { stroke: var(--accent); stroke-width: 2; vector-effect: non-scaling-stroke }
rect.allow { fill: var(--allow) }
rect.deny { fill: var(--deny) }
.deny-hatch { fill: url(#hatch) }
.deny-key { fill: url(#hatch-key) }
.hatch { stroke: var(--ground); stroke-width: 3 }
.chosen { fill: var(--accent); fill-opacity: .2; stroke: var(--accent); stroke-width: 1; vector-effect: non-scaling-stroke; pointer-events: none }
.brush { cursor: crosshair; touch-action: pan-y }
.swatch { width: .75rem; height: .75rem; vertical-align: -.0625rem; margin-left: .5rem }
.ticks { display: flex; justify-content: space-between; color: var(--quiet); font-size: .75rem; font-variant-numeric: tabular-nums }

.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); gap: 1rem 2rem; margin: 0 0 1.25rem }
.columns.two { grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); gap: 1rem }
.leaders ol { list-style: none; margin: .25rem 0 0; padding: 0; font-size: .875rem }
.leaders li { display: grid; grid-template-columns: 1fr auto minmax(3rem, auto); gap: 0 .75rem; padding: .125rem 0 }
.leaders li > :first-child { overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
.leaders li svg { grid-column: 1 / -1; width: 100%; height: .25rem }
.leaders p { margin: .25rem 0 }

.records, .dense { font-size: .875rem }
.records th, .records td, .dense th, .dense td { padding: .25rem .75rem .25rem 0 }
.records th:last-child, .records td:last-child { padding-right: .25rem }
.records thead th, .dense thead th { font-size: .8125rem; white-space: nowrap }
.records tbody th { font-weight: 400; font-variant-numeric: tabular-nums; white-space: nowrap }
.records tbody th a { color: var(--text); text-decoration-color: var(--edge) }
.records tbody tr:hover th a, .records tbody th a:focus { color: var(--accent) }
.short { max-width: 13rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
.records tbody th small { display: block; white-space: normal }
.records tbody tr:hover, .records tbody tr:focus-within { background: var(--panel) }
.records tr.open { cursor: pointer }
.records td.query { width: 50%; min-width: 16rem }
.query code { display: -webkit-box; -webkit-line-clamp: 2; -webkit-box-orient: vertical; overflow: hidden; font-size: .8125rem; line-height: 1.4; overflow-wrap: anywhere }
.dense tbody th { font-weight: 400; white-space: nowrap }
.times { font-size: .8125rem; font-weight: 600; font-variant-numeric: tabular-nums }
.mark { display: inline-block; border-radius: .25rem; padding: 0 .4em; font-size: .8125rem; line-height: 1.5; background: var(--panel); white-space: nowrap }
.mark.allow { color: var(--allow-text); background: var(--allow-ground) }
.mark.deny { color: var(--deny-text); background: var(--deny-ground); border: 1px solid; line-height: 1.35; font-weight: 600 }
.mark.unknown { color: var(--unknown); background: var(--unknown-ground) }
.ways { display: flex; justify-content: space-between; padding: .5rem 0 1.25rem }

.stacks { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); gap: 1rem; align-items: start }
.stacks > div { display: grid; gap: 1rem; min-width: 0 }
.panel { border: 1px solid var(--line); border-radius: .5rem; padding: .75rem 1rem; font-size: .9375rem; min-width: 0 }
.panel dl, .line { gap: .125rem 1rem; margin: .5rem 0 }
.panel p { margin: .5rem 0 }
.panel pre, dd pre { margin: 0 }
.claimed { border-style: dashed }
.compare { margin-bottom: 1.25rem }
.compare .legend { margin: .25rem 0 .75rem }
.compare h3 { margin: 0 0 .25rem; font-size: .8125rem; font-weight: 600; color: var(--quiet) }
.sides { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; margin-bottom: .75rem }
.side { position: relative; min-width: 0 }
.side pre { margin: 0; max-height: 22rem; overflow: auto; white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.6 }
pre code { unicode-bidi: isolate }
.side pre code, .raw pre code { user-select: auto }
.raw pre { max-height: 16rem; overflow: auto; white-space: pre-wrap; overflow-wrap: anywhere }
.raw { margin-top: 1rem }
del { color: var(--gone); background: var(--gone-ground); text-decoration: line-through }
ins { color: var(--added); background: var(--added-ground); text-decoration: underline; text-decoration-thickness: 2px; text-underline-offset: 3px }
.side .copy { position: absolute; right: 0; top: -.125rem }
.copy { padding: .05rem .6rem; font-size: .75rem; background: var(--panel); color: var(--text); border: 1px solid var(--edge) }
main > .panel + section { margin-top: 1.25rem }
.history { padding-left: 1.25rem }
.history li { margin-bottom: .5rem }
blockquote { margin: .25rem 0; padding-left: .75rem; border-left: 3px solid var(--line); white-space: pre-wrap; overflow-wrap: anywhere }
progress { width: 100%; height: 1rem; accent-color: var(--accent) }
@media (max-width: 48rem) { .sides { grid-template-columns: 1fr } .records td.query { min-width: 12rem } }
@media (prefers-reduced-motion: no-preference) { .records tbody tr { transition: background-color .12s } }
@media (forced-colors: active) { .mark { border: 1px solid } rect.allow, rect.deny { forced-color-adjust: none } }
`
