/** Most `match[]` in one request. */
export const maxSelectors = 256
/** Largest answer that is taken apart, in bytes, and all that are taken apart at a time: a filter must see the whole. */
export const maxFiltered = 64 * 1024 * 1024
/** Most connections to one Prometheus at a time. */
export const maxSockets = 256

/** How much one remote-read request may ask for. Each limit is checked before the work that it bounds is done. */
export interface ReadLimits {
  /** Most bytes as sent, packed with snappy. */
  readonly packed: number
  /** Most bytes unpacked. */
  readonly unpacked: number
  readonly queries: number
  /** Most matchers in one query, and most label names in one query's hints. */
  readonly matchers: number
}

export const readLimits: ReadLimits = {
  packed: 512 * 1024,
  unpacked: 4 * 1024 * 1024,
  // Prometheus sends one query in a request. Together these bound the work: about a thousand matchers.
  queries: 16,
  matchers: 64,
}
/** Largest error of Prometheus's that is passed on, in bytes. */
export const maxError = 64 * 1024

/** A read that was scoped is read once more, to see what it asks for: the scope has made it longer. */
export const scopedReadLimits: ReadLimits = {
  packed: 16 * 1024 * 1024,
  unpacked: 16 * 1024 * 1024,
  queries: readLimits.queries,
  matchers: 2 * readLimits.matchers,
}

/** Prometheus's own `--query.timeout` where nobody has changed it, in seconds. */
export const usualTimeout = 120
