import { defaultLimits } from '../../src/promql/rewrite.ts'
import type { rewriteQuery } from '../../src/promql/rewrite.ts'
import { samePrint, scan } from './scan.ts'
import type { MarkedScope } from './scopes.ts'
import { formatted } from './server.ts'
import type { Server } from './server.ts'

/** What is judged: the product's own, or a broken one where a test wants to see that the judge notices. */
export type Rewriter = (...args: Parameters<typeof rewriteQuery>) => ReturnType<typeof rewriteQuery>

/** `readable`: Prometheus takes what is sent. */
export type FormatVerdict = { readonly problem: string } | { readonly outcome: string; readonly readable: boolean }

type Beginnings = readonly (readonly string[])[]

/** Do the first matchers, of a select or of a selector, say one of the scope's beginnings? */
export const beginsRight = (matchers: readonly string[], beginnings: Beginnings): boolean =>
  beginnings.some((beginning) => beginning.every((matcher, index) => matchers[index] === matcher))

/**
 * Looks at the text that would be sent, without any Prometheus.
 * @returns what is wrong: a selector that does not begin with the scope, or text that no printer should write
 */
export function judgeText(sent: string, beginnings: Beginnings): string | undefined {
  if (!/^[\x20-\x7e]*$/.test(sent)) return `not ASCII: ${JSON.stringify(sent)}`
  if (sent.length > defaultLimits.sent) return `too long: ${sent.length}`
  const quoted = beginnings.map((beginning) => beginning.map(quote))
  const found = scan(sent).find(({ matchers }) => !beginsRight(matchers, quoted))
  return found === undefined ? undefined : `unscoped text: ${found.name}{${found.matchers.join(',')}} in ${sent}`
}

const quote = (matcher: string): string => {
  const [, head = '', value = ''] = /^(\w+(?:=~|!~))(.*)$/s.exec(matcher) ?? []
  return head + JSON.stringify(value)
}

/**
 * Does Prometheus read our print as the original, and the sent text as the original with the scope on each selector?
 * For a scope of several alternatives, which repeats parts of the query, only that it reads it at all.
 */
export async function judgeFormat(
  server: Server,
  rewrite: Rewriter,
  input: string,
  sent: string,
  marked: MarkedScope,
  mark: string,
): Promise<FormatVerdict> {
  const plain = rewrite(input, { kind: 'everything' })
  if (!plain.ok) return { problem: `uneven: refused under everything: ${plain.error.message}` }
  const texts = [input, plain.value.sent, sent]
  const [original, printed, scoped] = await Promise.all(texts.map((text) => formatted(server, text)))
  if (original === undefined) {
    if (scoped === undefined) return { outcome: 'only we accept it, Prometheus refuses what is sent', readable: false }
    return { outcome: 'only we accept it, Prometheus takes what is sent', readable: true }
  }
  if (printed === undefined) return { problem: `broken print: ${plain.value.sent}` }
  const same = original === printed || (server.numbers && samePrint(original, printed, true))
  if (!same) return { problem: `changed meaning: ${original} became ${printed}` }
  if (scoped === undefined) return { problem: `broken query: Prometheus refuses ${sent}` }
  const [beginning = []] = marked.beginnings(mark)
  const bare = (text: string): string => text.replaceAll('{}', '')
  if (marked.single && !samePrint(bare(unscoped(scoped, beginning)), bare(original), server.numbers)) {
    return { problem: `changed by scoping: ${original} became ${scoped}` }
  }
  return { outcome: 'both accept it', readable: true }
}

/** Takes the scope's matchers out of every selector of Prometheus's print again, which sorts matchers. */
function unscoped(text: string, beginning: readonly string[]): string {
  let rest = text
  for (const matcher of beginning.map(quote)) {
    rest = rest.replaceAll(`${matcher},`, '').replaceAll(`,${matcher}`, '').replaceAll(matcher, '')
  }
  return rest
}
