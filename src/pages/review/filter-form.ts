import type { Within } from '../../review/review.ts'
import { html } from '../html.ts'
import type { Html } from '../html.ts'
import { addressOf, kinds, parametersOf, rangeOf, ranges } from './query.ts'
import type { AskedFilter, Field } from './query.ts'
import { maxValue } from './limits.ts'
import { clockTime, iso, written } from './text.ts'

/** What each text field is about. */
const labels = {
  person: 'Person',
  group: 'Group',
  namespace: 'Namespace',
  metric: 'Metric',
  cluster: 'Cluster',
  dashboard: 'Dashboard',
  text: 'Text in the query',
} as const

const first = ['person', 'namespace', 'text'] as const
const second = ['metric', 'group', 'cluster', 'dashboard'] as const

/** The filter as a form that is sent like any other address, with the quick choices of a time as links. */
export function filterForm(page: string, asked: AskedFilter, clusters: readonly string[]): Html {
  const { given } = asked
  const chosen = rangeOf(asked)
  const more = [...second, 'kind', 'from', 'to'] as const
  const open = more.some((field) => given[field] !== undefined)
  return html`<search>
    <form class="filter" method="get" action="${page}">
      ${quickChoices(page, asked)}
      <div class="fields">
        ${first.map((field) => textField(field, given[field] ?? ''))}
        ${choice('decision', 'Decision', given.decision ?? '', { '': 'Allowed and refused', allow: 'Allowed', deny: 'Refused' })}
        <div class="send"><button>Search</button> <a href="${page}">Clear</a></div>
      </div>
      <details ${open ? html`open` : null}>
        <summary>More filters</summary>
        <div class="fields">
          ${second.map((field) => textField(field, given[field] ?? ''))}
          ${choice('kind', 'Kind', given.kind ?? '', kinds)} ${timeField('from', 'From (UTC)', given.from ?? '')}
          ${timeField('to', 'To (UTC)', given.to ?? '')}
        </div>
      </details>
      <datalist id="clusters">${clusters.map((name) => html`<option value="${name}"></option>`)}</datalist>
      ${chosen === '' ? null : html`<input type="hidden" name="range" value="${chosen}" />`}
    </form>
  </search>`
}

function quickChoices(page: string, asked: AskedFilter): Html {
  const chosen = rangeOf(asked)
  const choices = [...Object.entries(ranges), ['all', { text: 'All' }] as const].map(([name, { text }]) => {
    const to = addressOf(page, asked.given, { set: { range: name, from: '', to: '' } })
    return name === chosen ? html`<a href="${to}" aria-current="true">${text}</a> ` : html`<a href="${to}">${text}</a> `
  })
  const { from, to } = asked.filter
  const own =
    chosen === ''
      ? html`<b
          >${from === undefined ? 'the beginning' : clockTime(iso(from))} to
          ${to === undefined ? 'now' : clockTime(iso(to))} UTC</b
        >`
      : null
  return html`<div class="quick" role="group" aria-label="Time">${choices}${own}</div>`
}

const textField = (field: keyof typeof labels, value: string): Html =>
  html`<label
    >${labels[field]}
    <input
      name="${field}"
      value="${value}"
      maxlength="${maxValue}"
      autocomplete="off"
      spellcheck="false"
      list="${field === 'cluster' ? 'clusters' : ''}"
  /></label>`

const timeField = (field: 'from' | 'to', label: string, value: string): Html =>
  html`<label
    >${label} <input type="datetime-local" name="${field}" step="1" value="${value.replace(/Z$/, '').slice(0, 19)}"
  /></label>`

const choice = (field: Field, label: string, value: string, options: Readonly<Record<string, string>>): Html =>
  html`<label
    >${label}
    <select name="${field}">
      ${Object.entries(options).map(([name, text]) => html`<option value="${name}" ${name === value ? html`selected` : null}>${text}</option>`)}
    </select></label
  >`

/** What narrows the list, each with a link that takes it away. */
export function chips(page: string, { given }: AskedFilter): Html | null {
  const narrowing = parametersOf(given).filter(([name]) => !['range', 'from', 'to'].includes(name))
  if (narrowing.length === 0) return null
  return html`<ul class="chips" aria-label="Filters in use">
    ${narrowing.map(
      ([name, value]) =>
        html`<li>
          <span class="quiet">${name}</span> ${written(value)}
          <a href="${addressOf(page, given, { set: { [name]: '' } })}" aria-label="Take the filter ${name} away">×</a>
        </li>`,
    )}
  </ul>`
}

/** The clusters that somebody may name. */
export const clustersWithin = (within: Within, all: readonly string[]): readonly string[] =>
  within === 'all' ? all : within
