/** Why a text is refused. `internal` is a fault of ours or of the scope, never of the text. */
export type Reason =
  | 'syntax'
  | 'unknown_name'
  | 'type'
  | 'limit'
  | 'not_allowed'
  | 'no_rights'
  | 'unsupported'
  | 'internal'

/** A refusal in terms of the user's own text: `length` UTF-16 units from `index` are at fault. */
export interface PromqlError {
  readonly reason: Reason
  readonly index: number
  readonly length: number
  readonly message: string
}

/**
 * Carries a {@link PromqlError} out of the recursion. It never leaves this room: the public functions catch it and
 * return it as a value, which keeps the descent free of a check after every step.
 */
export class Refusal extends Error {
  readonly problem: PromqlError

  constructor(problem: PromqlError) {
    super(problem.message)
    this.problem = problem
  }
}

/** Ends the work on a text. */
export function refuse(reason: Reason, span: { readonly start: number; readonly end: number }, message: string): never {
  throw new Refusal({ reason, index: span.start, length: Math.max(0, span.end - span.start), message })
}

const widest = 120
const before = 60

/**
 * Draws an error for a terminal or a log: the message, the line of the text that it is about and `^` under the spot.
 * A long line is cut around the spot. Characters that would move the cursor are shown as `·`.
 */
export function drawError(text: string, error: PromqlError): string {
  const index = Math.min(Math.max(error.index, 0), text.length)
  const lineStart = Math.max(text.lastIndexOf('\n', index - 1), text.lastIndexOf('\r', index - 1)) + 1
  const rest = text.slice(index).search(/[\r\n]/)
  const lineEnd = rest < 0 ? text.length : index + rest
  const from = index - lineStart > before ? index - before : lineStart
  const to = Math.min(lineEnd, from + widest)
  const head = from > lineStart ? '…' : ''
  const line = head + visible(text.slice(from, to)) + (to < lineEnd ? '…' : '')
  const marks = Math.max(1, Math.min(error.length, to - index))
  return `${error.message}\n  ${line}\n  ${' '.repeat(head.length + index - from)}${'^'.repeat(marks)}`
}

// One column per UTF-16 unit keeps the mark under its spot.
const visible = (text: string): string =>
  text.replaceAll('\t', ' ').replaceAll(/[^\x20-\x7e\u00a1-\u02ff\u0370-\u1fff\u2e80-\ud7ff]/g, '·')
