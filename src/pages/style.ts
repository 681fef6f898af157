/** The one stylesheet of the pages: plain, light and dark, and readable without it. */
export const style = `:root {
  color-scheme: light dark;
  --text: light-dark(#1c2024, #e8eaed);
  --quiet: light-dark(#5a626b, #a4acb5);
  --ground: light-dark(#ffffff, #16191d);
  --panel: light-dark(#f4f5f7, #1f2429);
  --line: light-dark(#d5d9de, #3a424a);
  --edge: light-dark(#7d858e, #7b848d);
  --accent: light-dark(#0b57d0, #8ab4f8);
  --on-accent: light-dark(#ffffff, #0d1b2e);
}
* { box-sizing: border-box }
body { margin: 0; background: var(--ground); color: var(--text); font: 1rem/1.5 system-ui, sans-serif }
header, main, footer { max-width: 62rem; margin: 0 auto; padding: 1rem }
header { display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; align-items: center; border-bottom: 1px solid var(--line) }
header strong { margin-right: auto }
footer { color: var(--quiet); border-top: 1px solid var(--line); font-size: .875rem }
.skip { position: absolute; left: -100vw }
.skip:focus { position: static }
h1 { font-size: 1.5rem; line-height: 1.25 }
h2 { font-size: 1.125rem; margin-top: 2rem }
a { color: var(--accent) }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
button, .button {
  display: inline-block; padding: .5rem 1rem; border: 0; border-radius: .375rem; cursor: pointer;
  font: inherit; text-decoration: none; background: var(--accent); color: var(--on-accent)
}
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.5rem }
dt { color: var(--quiet) }
dd { margin: 0; overflow-wrap: anywhere }
pre, .scroll { overflow-x: auto }
pre { padding: .75rem; border: 1px solid var(--line); border-radius: .375rem; background: var(--panel) }
pre code { user-select: all }
code { font-family: ui-monospace, monospace; font-size: .9em }
table { border-collapse: collapse; width: 100% }
caption { text-align: left; font-weight: 600; padding: .25rem 0 }
th, td { text-align: left; vertical-align: top; padding: .375rem .75rem .375rem 0; border-top: 1px solid var(--line) }
td ul { margin: 0; padding-left: 1.125rem }
td code { overflow-wrap: anywhere }
thead th { color: var(--quiet); font-weight: 400; border-top: 0 }
.quiet { color: var(--quiet) }
@media (max-width: 40rem) { dl { grid-template-columns: 1fr } dd { margin-bottom: .5rem } }
`
