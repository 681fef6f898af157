import { html } from '../html.ts'
import type { Html } from '../html.ts'
import { paths } from '../paths.ts'
import type { Auditor } from './enter.ts'

/** The buttons that make a file of what the filter shows; who may not have one is told what it takes. */
export function exportForm({ takes }: Pick<Auditor, 'takes'>, code: string, hidden: readonly Html[]): Html {
  const inner =
    takes === null
      ? html`<p class="quiet">
          Taking records home needs the right <code>audit:export</code> beside <code>audit:read</code>.
        </p>`
      : html`<form class="row" method="post" action="${paths.reviewExport}">
          <input type="hidden" name="code" value="${code}" />${hidden}
          <button name="format" value="ndjson">NDJSON</button>
          <button name="format" value="csv">CSV</button>
          <button name="format" value="parquet">Parquet</button>
        </form>`
  return html`<section aria-labelledby="export-title">
    <h2 id="export-title">Take it home</h2>
    ${inner}
  </section>`
}
