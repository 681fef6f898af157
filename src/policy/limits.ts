import type { QueryLimits } from './query-limits.ts'

/** Most rows in force at once. */
export const maxRules = 100_000
/** Longest namespace or pattern: Kubernetes allows 63 characters (RFC 1123 label). */
export const maxNamespaceLength = 63
/** Longest value or pattern of another label. */
export const maxValueLength = 256
/** Longest way from a member to a role; Casbin itself stops at ten. */
export const maxRoleDepth = 8
/** How many questions are put to Casbin before a policy goes live, at most and at least. */
export const maxQuestions = 500
export const minQuestions = 8
/** Questions times rules: each question costs Casbin time in proportion to the rules. */
export const maxJudging = 80_000
/** How many states of the patterns are gone through for an exact answer about all names. */
export const maxSearch = 10_000
/** How many different rights are remembered as decisions. */
export const maxDecisions = 10_000

/**
 * What holds where the policy says nothing. Prometheus has 20 slots for queries: a person's queries at the same time are
 * few enough to leave most of them to others, and a dashboard's other panels wait for a moment.
 */
export const defaultQueryLimits: QueryLimits = {
  range: 400 * 86_400,
  // Prometheus's own limit.
  points: 11_000,
  selectors: 512,
  bytes: 1_000_000_000,
  timeout: 120,
  rate: 100,
  concurrent: 8,
}
