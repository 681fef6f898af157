/** Most rules in force at once. */
export const maxRules = 100_000
/** Longest namespace or pattern: Kubernetes allows 63 characters (RFC 1123 label). */
export const maxNamespaceLength = 63
/** How many questions are put to Casbin before a policy goes live; each costs time in proportion to the rules. */
export const maxQuestions = 500
/** How many different rights are remembered as decisions. */
export const maxDecisions = 10_000
