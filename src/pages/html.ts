/** Text that is HTML already. Nothing else gets into a page without being escaped. */
export class Html {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

type Value = Html | string | number | readonly Html[] | null

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  '`': '&#96;',
}

const escaped = (text: string): string => text.replaceAll(/[&<>"'`]/g, (character) => entities[character] ?? '')

const printed = (value: Value): string => {
  if (value === null) return ''
  if (value instanceof Html) return value.text
  return typeof value === 'object' ? value.map(({ text }) => text).join('') : escaped(String(value))
}

/**
 * A template of a page or a part of one: what is put in is escaped, so that it can stand between tags and in a quoted
 * attribute; only what this function made itself, and lists of it, go in as they are.
 */
export const html = ({ raw }: TemplateStringsArray, ...values: readonly Value[]): Html =>
  new Html(raw.map((piece, at) => piece + printed(values[at] ?? null)).join(''))
