import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import { Refusal, refuse } from './error.ts'
import { defaultLimits } from './limits.ts'
import type { Limits } from './limits.ts'
import { parse } from './parser.ts'
import { quote } from './quoting.ts'
import { rewriteSelector } from './rewrite.ts'
import type { PromqlError, SelectorFacts } from './rewrite.ts'
import type { Scope } from './scope.ts'
import type { MatchOp } from './tree.ts'

/** A matcher that never was text, as remote read carries it. */
export interface Match {
  readonly label: string
  readonly op: MatchOp
  readonly value: string
}

export interface ScopedMatches {
  /** The scope's matchers, then the caller's own, all of them. */
  readonly sent: readonly Match[]
  readonly selector: SelectorFacts
  /** What the caller must be told: where the answer is narrower than the question. */
  readonly notes: readonly string[]
}

// The text is ours, so it may be as long as what we send. One object, since what a scope becomes is kept for each.
const ownText: Limits = { ...defaultLimits, length: defaultLimits.sent }
// A selector of text has to say more than "every series"; a list may say just that. Added for the text, taken off again.
const named: Match = { label: '__name__', op: '=~', value: '.+' }
const nowhere = { start: 0, end: 0 }

/**
 * Matchers with the scope's before them, put there by {@link rewriteSelector}, so that there is one place where a scope
 * becomes matchers and one that checks it. An empty list asks for every series, and becomes the scope alone.
 *
 * A list is one conjunction, so it cannot say "this alternative of the scope or that one". Where the caller's own
 * matchers leave more than one, it is refused: answering with one of them would hide series without a word.
 *
 * @returns like `rewriteSelector`, but that the error's place means nothing; `unsupported` where more than one
 *   alternative is left
 */
export function scopeMatches(matches: readonly Match[], scope: Scope): Result<ScopedMatches, PromqlError> {
  const all = [...matches, named]
  const rewritten = rewriteSelector(`{${all.map(textOf).join(',')}}`, scope, ownText)
  if (!rewritten.ok) return rewritten
  const { sent, selectors, notes } = rewritten.value
  try {
    const [only = [], ...more] = sent.map(readBack)
    if (more.length > 0) refuseUnion([only, ...more])
    const own = only.length - all.length
    if (!all.every((match, index) => textOf(match) === textOf(only[own + index] ?? named))) {
      refuse('internal', nowhere, 'the matchers did not come back as they were; nothing was sent')
    }
    const metric = selectors[0]?.metric ?? null
    const selector = { metric, matchers: matches.map(({ label, op, value }) => ({ label, op, value })) }
    return ok({ sent: only.slice(0, -1), selector, notes })
  } catch (error) {
    if (error instanceof Refusal) return fail(error.problem)
    throw error
  }
}

const textOf = ({ label, op, value }: Match): string => `${quote(label)}${op}${quote(value)}`

/** What a text that {@link rewriteSelector} made says, in its order. */
function readBack(text: string): readonly Match[] {
  const { name = '', matchers = [] } = parse(text, ownText).selectors[0] ?? {}
  if (name !== '') refuse('internal', nowhere, 'a name came back that was none; nothing was sent')
  return matchers.map(({ label, op, value }) => ({ label, op, value }))
}

function refuseUnion(lists: readonly (readonly Match[])[]): never {
  const labels = [...new Set(lists.flatMap(([first]) => first?.label ?? []))]
  const example = labels.map((label) => `${label}="…"`).join(' or ')
  return refuse(
    'unsupported',
    nowhere,
    `what you may see is a union of several rights by ${labels.join(' and ')}, and a list of matchers cannot say "or": ` +
      `add a matcher that names values of one of them, such as ${example}`,
  )
}
