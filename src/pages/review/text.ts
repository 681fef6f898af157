import { html } from '../html.ts'
import type { Html } from '../html.ts'

/**
 * Characters that cannot be seen, or turn the direction of what stands around them: controls, marks of direction, spaces
 * without width, line separators, and halves of a character.
 */
const unseen =
  // oxlint-disable-next-line eslint/no-control-regex -- these are what is looked for
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g

/** What somebody else wrote, to be read as it is: what cannot be seen is named, and nothing turns the text around it. */
export function written(text: string): Html {
  const parts: Html[] = []
  let from = 0
  for (const found of text.matchAll(unseen)) {
    const code = found[0].charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')
    parts.push(html`${text.slice(from, found.index)}<span class="unseen">U+${code}</span>`)
    from = found.index + 1
  }
  return html`<bdi>${parts}${text.slice(from)}</bdi>`
}

/** The same, cut where it is longer; a character is never cut in two. */
export function cut(text: string, most: number): Html {
  if (text.length <= most) return written(text)
  const end = /[\ud800-\udbff]/.test(text[most - 1] ?? '') ? most - 1 : most
  return html`${written(text.slice(0, end))}<span class="quiet">
      … ${thousands(text.length - end)} more characters</span
    >`
}

/** Of text that goes into an attribute, such as a title: on one line, without what cannot be seen. */
export const plainly = (text: string, most = 200): string => text.slice(0, most).replaceAll(unseen, '\ufffd')

/** A number with thousands apart. */
export const thousands = (count: number): string => count.toLocaleString('en-US')

/** `1 record`, `2 records`. */
export const counted = (count: number, one: string, many = `${one}s`): string =>
  `${thousands(count)} ${count === 1 ? one : many}`

/** Milliseconds as people say them: `12 ms`, `3.4 s`. */
export const duration = (ms: number): string => (ms < 1_000 ? `${ms} ms` : `${(ms / 1_000).toFixed(1)} s`)

/** Bytes as people say them. */
export function size(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let value = bytes
  let at = 0
  for (; value >= 1_000 && at < units.length - 1; at++) value /= 1_000
  return `${at === 0 ? value : value.toFixed(1)} ${units[at] ?? ''}`
}

/** A length of time in the largest unit that fits: `10 minutes`. */
export function span(ms: number): string {
  const units = [
    [86_400_000, 'day'],
    [3_600_000, 'hour'],
    [60_000, 'minute'],
  ] as const
  const found = units.find(([unit]) => ms >= unit && Math.abs(ms / unit - Math.round(ms / unit)) < 0.001)
  return found === undefined ? counted(Math.round(ms / 1_000), 'second') : counted(Math.round(ms / found[0]), found[1])
}

/** A moment as it stands in an address and in the record. */
export const iso = (ms: number): string => new Date(ms).toISOString()

/** `2026-11-20 03:00:12` of a moment of RFC 3339; what is none, as it is. */
export const clockTime = (ts: string): Html =>
  /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/.test(ts)
    ? html`<time datetime="${ts.slice(0, 30)}">${ts.slice(0, 10)} <b>${ts.slice(11, 19)}</b></time>`
    : written(ts)
