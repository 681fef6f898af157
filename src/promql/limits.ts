/** How much one query may ask of this room. Every limit is checked before the work that it bounds is done. */
export interface Limits {
  /** Longest text, in UTF-16 units. */
  readonly length: number
  /** Deepest nesting of parentheses, calls, signs and `^`; it bounds the stack of every walk over the tree. */
  readonly depth: number
  /** Most selectors in one text. */
  readonly selectors: number
  /** Most alternatives in one scope: each multiplies the selectors that Prometheus has to answer. */
  readonly alternatives: number
  /** Longest regular expression that a scope may put on a selector, in UTF-16 units. */
  readonly injected: number
  /** Longest text to send, in UTF-16 units: a union repeats parts of the query, so a short text can grow. */
  readonly sent: number
}

/**
 * 1,000 names of 63 characters fit into `injected`; at that size an index lookup costs Prometheus about 5 ms, and a
 * wildcard grant is the better rule.
 */
export const defaultLimits: Limits = {
  length: 64 * 1024,
  depth: 128,
  selectors: 512,
  alternatives: 8,
  injected: 64 * 1024,
  sent: 1024 * 1024,
}
