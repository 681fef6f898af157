import { html } from './html.ts'
import type { Html } from './html.ts'
import { paths } from './paths.ts'

/** A page, without what all pages have in common. */
export interface Page {
  readonly title: string
  /** Whose page it is; null before somebody is known. */
  readonly name: string | null
  readonly body: Html
  /** The request's id, by which the record and the log know it. */
  readonly request: string
}

/** The whole document. */
export function layout({ title, name, body, request }: Page): string {
  const me =
    name === null
      ? null
      : html`<span>${name}</span> <a href="${paths.home}">My access</a> <a href="${paths.logout}">Sign out</a>`
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title} – bailiwick</title>
        <link rel="stylesheet" href="${paths.style}" />
      </head>
      <body>
        <a class="skip" href="#content">Skip to the content</a>
        <header><strong>bailiwick</strong>${me}</header>
        <main id="content" tabindex="-1">
          <h1>${title}</h1>
          ${body}
        </main>
        <footer>Request <code>${request}</code></footer>
      </body>
    </html> `.text
}

/** A moment, as people everywhere read it alike. */
export const moment = (milliseconds: number): Html => {
  const iso = new Date(milliseconds).toISOString()
  return html`<time datetime="${iso}">${iso.slice(0, 19).replace('T', ' ')} UTC</time>`
}
