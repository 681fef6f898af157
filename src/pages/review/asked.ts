import type { Parameter } from '../../audit/record.ts'
import { html } from '../html.ts'
import type { Html } from '../html.ts'
import { differenceOf } from './diff.ts'
import type { Piece } from './diff.ts'
import type { Fields } from './fields.ts'
import { counted, written } from './text.ts'

/** Parameters that hold a query, and what they are called. */
const queries: Readonly<Record<string, string>> = { query: 'Query', 'match[]': 'Selector' }

/** A parameter in both. */
interface Pair {
  readonly name: string
  readonly asked: string | null
  readonly sent: string | null
}

/** What was asked beside what was sent, with what differs marked. */
export function askedAndSent(record: Fields): Html {
  const asked = record.pairs('asked')
  const sent = record.sent()
  const [first] = sent ?? []
  const pairs = pairUp(asked, first?.params ?? [])
  const texts = pairs.filter(({ name }) => Object.hasOwn(queries, name))
  const others = pairs.filter(({ name }) => !Object.hasOwn(queries, name))
  const none =
    sent === null ? 'Nothing was sent: the request was refused.' : 'Nothing was sent: the gateway answered by itself.'
  const hasSent = first !== undefined
  return html`<section class="compare" aria-labelledby="compare-title">
    <h2 id="compare-title">Asked and sent</h2>
    <p class="legend">
      ${
        hasSent
          ? html`<del>Taken away</del> or <ins>added</ins> by the gateway, so that only what may be seen is answered.`
          : none
      }
    </p>
    ${texts.map((pair) => sideBySide(pair, hasSent))} ${pathsOf(record, first?.path ?? null)}
    ${others.length === 0 ? null : parameters(others, hasSent)} ${more(sent ?? [])}
  </section>`
}

const valuesOf = (params: readonly Parameter[], wanted: string): readonly string[] =>
  params.flatMap(([name, value]) => (name === wanted ? [value] : []))

/** Parameters of the same name stand beside each other, in their order. */
function pairUp(asked: readonly Parameter[], sent: readonly Parameter[]): readonly Pair[] {
  const names = [...new Set([...asked, ...sent].map(([name]) => name))]
  return names.flatMap((name) => {
    const [left, right] = [valuesOf(asked, name), valuesOf(sent, name)]
    return Array.from({ length: Math.max(left.length, right.length) }, (_, at) => ({
      name,
      asked: left[at] ?? null,
      sent: right[at] ?? null,
    }))
  })
}

function sideBySide({ name, asked, sent }: Pair, hasSent: boolean): Html {
  const { before, after, compared } = differenceOf(asked ?? '', sent ?? '')
  const what = queries[name] ?? name
  const side = (title: string, text: string | null, pieces: readonly Piece[], tag: 'ins' | 'del'): Html =>
    html`<div class="side">
      <h3>${what} ${title}</h3>
      ${
        text === null
          ? html`<p class="quiet">none</p>`
          : html`<pre
              tabindex="0"
              aria-label="${what} ${title}"
              data-copy
            ><code>${pieces.map((piece) => marked(piece, tag))}</code></pre>`
      }
    </div>`
  const differs = asked !== sent && hasSent
  return html`<div class="sides">
      ${side('asked', asked, differs ? before : [{ text: asked ?? '', same: true }], 'del')}
      ${side('sent', sent, differs ? after : [{ text: sent ?? '', same: true }], 'ins')}
    </div>
    ${compared ? null : html`<p class="quiet">Too long to mark what differs.</p>`}
    ${hasSent && asked === sent ? html`<p class="quiet">Sent as it was asked.</p>` : null}`
}

const marked = ({ text, same }: Piece, tag: 'ins' | 'del'): Html => {
  if (same) return written(text)
  return tag === 'ins' ? html`<ins>${written(text)}</ins>` : html`<del>${written(text)}</del>`
}

function pathsOf(record: Fields, sent: string | null): Html {
  const asked = `${record.text('method')} ${record.text('path')}`
  return html`<dl class="line">
    <dt>Path asked</dt>
    <dd><code>${written(asked)}</code></dd>
    ${
      sent === null
        ? null
        : html`<dt>Path sent</dt>
            <dd><code>${written(sent)}</code></dd>`
    }
  </dl>`
}

const parameters = (pairs: readonly Pair[], hasSent: boolean): Html =>
  html`<div class="scroll" tabindex="0" role="region" aria-label="Other parameters">
    <table class="dense">
      <caption class="sr">
        Other parameters
      </caption>
      <thead>
        <tr>
          <th scope="col">Parameter</th>
          <th scope="col">Asked</th>
          <th scope="col">Sent</th>
          <th scope="col">Differs</th>
        </tr>
      </thead>
      <tbody>
        ${pairs.map(
          ({ name, asked, sent }) =>
            html`<tr>
              <th scope="row"><code>${written(name)}</code></th>
              <td>${valueOf(asked)}</td>
              <td>${valueOf(sent)}</td>
              <td>
                ${!hasSent || asked === sent ? '' : asked === null ? 'added' : sent === null ? 'taken away' : 'changed'}
              </td>
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`

const valueOf = (value: string | null): Html =>
  value === null ? html`<span class="quiet">–</span>` : html`<code>${written(value)}</code>`

/** Further requests that left for the same answer. */
const more = (sent: readonly { readonly path: string; readonly params: readonly Parameter[] }[]): Html | null =>
  sent.length < 2
    ? null
    : html`<details>
        <summary>${counted(sent.length - 1, 'further request')} sent for the same answer</summary>
        ${sent.slice(1).map(
          ({ path, params }) =>
            html`<p><code>${written(path)}</code></p>
              <ul>
                ${params.map(([name, value]) => html`<li><code>${written(name)}=${written(value)}</code></li>`)}
              </ul>`,
        )}
      </details>`
