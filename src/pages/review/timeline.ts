import type { Count, Timeline, TimelineBucket } from '../../review/review.ts'
import { html } from '../html.ts'
import type { Html } from '../html.ts'
import { addressOf, between } from './query.ts'
import type { AskedFilter, Field } from './query.ts'
import { counted, iso, plainly, span, thousands, written } from './text.ts'

/** Units of the drawing; the stylesheet gives it its real size. */
const width = 1_000
const height = 100

/** What all of a timeline comes to. */
export interface Total {
  readonly requests: number
  readonly refused: number
}

/** Adds it up. */
export const totalOf = ({ buckets }: Timeline): Total => ({
  requests: buckets.reduce((sum, { allowed, refused }) => sum + allowed + refused, 0),
  refused: buckets.reduce((sum, { refused }) => sum + refused, 0),
})

/**
 * Activity over time. Each bar is a link that narrows the time to it; refused requests stand on top, hatched and in another
 * colour. A table says the same. With the script one can drag over it.
 */
export function timelineOf(page: string, { given }: AskedFilter, timeline: Timeline): Html {
  const { from, to, step, buckets } = timeline
  const most = Math.max(1, ...buckets.map(({ allowed, refused }) => allowed + refused))
  const linkOf = ({ at }: TimelineBucket): string =>
    addressOf(page, given, { set: between(Math.max(from, at), Math.min(to, at + step)) })
  const bars = buckets.map((bucket) => barOf(bucket, { from, to, step, most }, linkOf(bucket)))
  return html`<figure class="timeline" aria-labelledby="timeline-title">
    <figcaption>
      <h2 id="timeline-title">Activity</h2>
      <span class="quiet">each bar ${span(step)}, at most ${thousands(most)}</span>
      <span class="legend">${swatch('allow')} allowed ${swatch('deny')} refused</span>
    </figcaption>
    <svg
      viewBox="0 0 ${width} ${height}"
      preserveAspectRatio="none"
      role="group"
      aria-label="Requests over time, ${plainly(labelOf(from))} to ${plainly(labelOf(to))} UTC"
      data-brush="${addressOf(page, given, { set: { range: '', from: '', to: '' } })}"
      data-from="${from}"
      data-to="${to}"
      data-step="${step}"
    >
      <defs>${hatch('hatch')}</defs>
      <line class="axis" x1="0" x2="${width}" y1="${height}" y2="${height}" />
      ${bars}
    </svg>
    <div class="ticks" aria-hidden="true">${ticks(from, to).map((text) => html`<span>${text}</span>`)}</div>
    ${asTable(buckets, step, linkOf)}
  </figure>`
}

interface Frame {
  readonly from: number
  readonly to: number
  readonly step: number
  readonly most: number
}

function barOf(bucket: TimelineBucket, { from, to, step, most }: Frame, link: string): Html {
  const { at, allowed, refused } = bucket
  const unit = width / Math.max(1, to - from)
  const x = Math.max(0, (at - from) * unit)
  const end = Math.min(width, (at + step - from) * unit)
  const wide = Math.max(0.5, end - x)
  const bar = Math.max(0.5, wide * 0.86)
  const up = (count: number): number => (count === 0 ? 0 : Math.max(2, (count / most) * (height - 6)))
  const [low, high] = [up(allowed), up(refused)]
  const part = (kind: string, y: number, tall: number): Html | null =>
    tall === 0
      ? null
      : html`<rect class="${kind}" x="${round(x)}" y="${round(y)}" width="${round(bar)}" height="${round(tall)}" />`
  const words = `${labelOf(at)} to ${labelOf(at + step)}: ${sentenceOf(bucket)}`
  return html`<a href="${link}" data-at="${at}" tabindex="-1" aria-label="${words}"
    ><title>${words}</title
    ><rect
      class="hit"
      x="${round(x)}"
      y="0"
      width="${round(wide)}"
      height="${height}"
    />${part('allow', height - low, low)}${part('deny', height - low - high, high)}${part('deny-hatch', height - low - high, high)}</a
  >`
}

const sentenceOf = ({ allowed, refused, people }: TimelineBucket): string =>
  `${thousands(allowed)} allowed, ${thousands(refused)} refused, ${counted(people, 'person', 'people')}`

const round = (value: number): string => String(Math.round(value * 100) / 100)

const hatch = (id: string): Html =>
  html`<pattern id="${id}" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
    <line class="hatch" x1="0" y1="0" x2="0" y2="6" />
  </pattern>`

const swatch = (kind: 'allow' | 'deny'): Html =>
  html`<svg class="swatch" viewBox="0 0 12 12" aria-hidden="true">
    ${kind === 'deny' ? html`<defs>${hatch('hatch-key')}</defs>` : null}
    <rect class="${kind}" width="12" height="12" />
    ${kind === 'deny' ? html`<rect class="deny-key" width="12" height="12" />` : null}
  </svg>`

/** Times under the drawing, evenly. */
function ticks(from: number, to: number): readonly string[] {
  const parts = 4
  return Array.from({ length: parts + 1 }, (_, at) => {
    const text = labelOf(from + ((to - from) * at) / parts)
    return to - from > 3 * 86_400_000 ? text.slice(0, 10) : text.slice(5)
  })
}

/** `2026-11-20 03:00` */
const labelOf = (at: number): string => iso(at).slice(0, 16).replace('T', ' ')

function asTable(
  buckets: readonly TimelineBucket[],
  step: number,
  linkOf: (bucket: TimelineBucket) => string,
): Html | null {
  const some = buckets.filter(({ allowed, refused }) => allowed + refused > 0)
  if (some.length === 0) return null
  return html`<details>
    <summary>The same as a table</summary>
    <div class="scroll" tabindex="0" role="region" aria-label="Activity as a table">
      <table class="dense">
        <caption class="sr">
          Requests over time, ${span(step)} each
        </caption>
        <thead>
          <tr>
            <th scope="col">From (UTC)</th>
            <th scope="col" class="number">Allowed</th>
            <th scope="col" class="number">Refused</th>
            <th scope="col" class="number">People</th>
          </tr>
        </thead>
        <tbody>
          ${some.map(
            (bucket) =>
              html`<tr>
                <th scope="row"><a href="${linkOf(bucket)}">${labelOf(bucket.at)}</a></th>
                <td class="number">${thousands(bucket.allowed)}</td>
                <td class="number">${thousands(bucket.refused)}</td>
                <td class="number">${thousands(bucket.people)}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </details>`
}

/** Who and what it was about, the most active first: each is a link that adds a filter. */
export function leaders(page: string, { given }: AskedFilter, timeline: Timeline): Html {
  const list = (title: string, field: Field, counts: readonly Count[]): Html =>
    html`<section class="leaders">
      <h2>${title}</h2>
      ${
        counts.length === 0
          ? html`<p class="quiet">none on record</p>`
          : html`<ol>
              ${counts.map((one) => leader(one, addressOf(page, given, { set: { [field]: one.value } }), counts[0]?.requests ?? 1))}
            </ol>`
      }
    </section>`
  return html`<div class="columns">
    ${list('People', 'person', timeline.people)} ${list('Namespaces', 'namespace', timeline.namespaces)}
    ${list('Dashboards (claimed)', 'dashboard', timeline.dashboards)}
  </div>`
}

function leader({ value, requests, refused }: Count, link: string, most: number): Html {
  const share = Math.max(1, Math.round((requests / Math.max(1, most)) * 100))
  const good = Math.round((share * (requests - refused)) / Math.max(1, requests))
  return html`<li>
    <a href="${link}">${written(value.slice(0, 80))}</a>
    <small class="number">${refused === 0 ? '' : `${thousands(refused)} refused`}</small>
    <span class="number">${thousands(requests)}</span>
    <svg viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
      <rect class="allow" width="${good}" height="4" />
      <rect class="deny" x="${good}" width="${share - good}" height="4" />
    </svg>
  </li>`
}
