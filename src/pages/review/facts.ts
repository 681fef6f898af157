import { html } from '../html.ts'
import type { Html } from '../html.ts'
import type { Fields } from './fields.ts'
import { isRecord } from './shapes.ts'
import { paths } from '../paths.ts'
import { duration, size, thousands, written } from './text.ts'

/** A title and its facts; without facts, nothing. */
export function panel(
  id: string,
  title: string,
  facts: readonly (readonly [string, Html] | null)[],
  foot?: Html,
): Html {
  const shown = facts.filter((fact) => fact !== null)
  return html`<section class="panel" aria-labelledby="${id}">
    <h2 id="${id}">${title}</h2>
    <dl>
      ${shown.map(
        ([name, value]) =>
          html`<dt>${name}</dt>
            <dd>${value}</dd>`,
      )}
    </dl>
    ${foot ?? null}
  </section>`
}

const code = (text: string): Html => html`<code>${written(text)}</code>`

/** A fact where the record says something. */
const fact = (name: string, text: string, shown: (text: string) => Html = code): readonly [string, Html] | null =>
  text === '' ? null : [name, shown(text)]

/** What was decided, because of which rules. */
export function decidedBy(record: Fields): Html {
  const rules = record.texts('because')
  const none = html`<span class="quiet">none</span>`
  return panel('decision-title', 'Decision', [
    ['Rules', rules.length === 0 ? none : html`${rules.map((rule) => html`<div>${code(rule)}</div>`)}`],
    fact('For a time', record.texts('reasons').join('; '), written),
    ['Scope', record.text('scope') === '' ? none : code(record.text('scope'))],
    fact('Reason', record.text('reason')),
    fact('Endpoint', record.text('endpoint'), written),
    fact('Policy', record.text('policy')),
  ])
}

/** How the answer ended. */
export function outcomePanel(record: Fields, outcome: Fields | null): Html | null {
  if (outcome === null) {
    if (record.text('kind') !== 'decision') return null
    return html`<section class="panel" aria-labelledby="outcome-title">
      <h2 id="outcome-title">Answer</h2>
      <p>
        <span class="mark unknown">unknown</span> No outcome is on record: the answer is under way, or the gateway ended
        before it could write one.
      </p>
    </section>`
  }
  const number = (name: string, shown: (value: number) => string): readonly [string, Html] | null => {
    const value = outcome.number(name)
    return value === null ? null : [labels[name] ?? name, html`${shown(value)}`]
  }
  return panel('outcome-title', 'Answer', [
    number('status', String),
    fact('Ended', outcome.text('ended'), (text) => html`${endings[text] ?? written(text)}`),
    number('ms', duration),
    number('bytes', size),
    number('series', thousands),
    fact('Made by', outcome.text('servedFrom'), (text) => html`${makers[text] ?? written(text)}`),
    number('upstream', String),
    fact('Because', outcome.text('reason')),
  ])
}

const labels: Readonly<Record<string, string>> = {
  status: 'Status',
  ms: 'Took',
  bytes: 'Size',
  series: 'Series shown',
  upstream: 'Prometheus said',
}
const endings: Readonly<Record<string, string>> = {
  complete: 'given whole',
  cut: 'cut off before its end',
  failed: 'failed',
}
const makers: Readonly<Record<string, string>> = { upstream: 'Prometheus', gateway: 'the gateway by itself' }

/** Who asked, and where from: what the gateway knows. */
export function whoOf(record: Fields): Html {
  const expires = record.number('who', 'expires')
  const subject = record.text('who', 'subject')
  const person = `${paths.reviewPerson}?${new URLSearchParams({ person: subject }).toString()}`
  const nobody: readonly [string, Html] = ['Name', html`<span class="quiet">nobody known</span>`]
  return panel('who-title', 'Who', [
    fact('Name', record.text('who', 'name'), written) ?? nobody,
    fact('Subject', subject),
    fact('Provider', record.text('who', 'issuer')),
    fact('Groups', record.texts('who', 'groups').join(', '), written),
    fact('Known by', record.text('who', 'via'), written),
    fact('Through', record.text('who', 'actor')),
    fact('Credential', record.text('who', 'credential')),
    expires === null || Number.isNaN(new Date(expires * 1000).getTime())
      ? null
      : ['Good until', html`${new Date(expires * 1000).toISOString().slice(0, 19).replace('T', ' ')} UTC`],
    fact('Connected', record.text('from', 'peer')),
    fact('Address', record.text('from', 'client')),
    subject === '' ? null : ['More', html`<a href="${person}">Everything this person saw</a>`],
  ])
}

/** What the client says of itself: anybody can say that. */
export function claimedOf(record: Fields): Html | null {
  const claimed = record.value('claimed')
  const agent = record.text('from', 'userAgent')
  const pairs = isRecord(claimed) ? Object.entries(claimed).map(([name, value]) => [name, String(value)] as const) : []
  const facts = [...(agent === '' ? [] : [['user-agent', agent] as const]), ...pairs]
  if (facts.length === 0) return null
  return html`<section class="panel claimed" aria-labelledby="claimed-title">
    <h2 id="claimed-title">Claimed by the client <span class="mark unknown">not proven</span></h2>
    <dl>
      ${facts.map(
        ([name, value]) =>
          html`<dt>${written(name)}</dt>
            <dd>${written(value)}</dd>`,
      )}
    </dl>
    <p class="quiet">Anybody can send these headers: context, never identity.</p>
  </section>`
}
