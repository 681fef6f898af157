import { html } from './html.ts'
import type { Html } from './html.ts'
import { paths } from './paths.ts'

/** A page, without what all pages have in common. */
export interface Page {
  readonly title: string
  /** Whose page it is; null before somebody is known. */
  readonly name: string | null
  readonly body: Html
  /** Pages beside the usual ones to which the head leads. */
  readonly links?: readonly Link[]
  /** Does it need more room than text does? */
  readonly wide?: boolean
  /** After how many seconds a browser that runs no script loads it anew; null: never. */
  readonly again?: number | null
  readonly script: boolean
  /** May an answer of this gateway leave without a record? */
  readonly bestEffort: boolean
  /** The request's id, by which the record and the log know it. */
  readonly request: string
}

interface Link {
  readonly to: string
  readonly text: string
  /** Is it the page that is shown? */
  readonly here?: boolean
}

/** The whole document. */
export function layout(page: Page): string {
  const { title, name, body, request, links = [], wide = false, again = null, script, bestEffort } = page
  const usual = [
    { to: paths.home, text: 'My access' },
    { to: paths.logout, text: 'Sign out' },
  ]
  const me =
    name === null
      ? null
      : html`<span class="me">${name}</span>
          <nav aria-label="Pages">${[...links, ...usual].map(linkTo)}</nav>`
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title} – bailiwick</title>
        <link rel="stylesheet" href="${paths.style}" />
        ${again === null ? null : html`<noscript><meta http-equiv="refresh" content="${again}" /></noscript>`}
        ${script ? html`<script src="${paths.reviewScript}" defer></script>` : null}
      </head>
      <body class="${wide ? 'wide' : ''}">
        <a class="skip" href="#content">Skip to the content</a>
        <header><strong>bailiwick</strong>${me}</header>
        <main id="content" tabindex="-1">
          <h1>${title}</h1>
          ${bestEffort ? html`<p role="note"><strong>Best effort:</strong> an answer of this gateway may leave although nothing of it is on record.</p>` : null}
          ${body}
        </main>
        <footer>Request <code>${request}</code></footer>
      </body>
    </html> `.text
}

const linkTo = ({ to, text, here = false }: Link): Html =>
  here ? html`<a href="${to}" aria-current="page">${text}</a> ` : html`<a href="${to}">${text}</a> `

/** A moment, as people everywhere read it alike. */
export const moment = (milliseconds: number): Html => {
  const iso = new Date(milliseconds).toISOString()
  return html`<time datetime="${iso}">${iso.slice(0, 19).replace('T', ' ')} UTC</time>`
}
