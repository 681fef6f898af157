/** Longest token that is looked at, in characters. */
export const maxTokenLength = 8_192
/** Longest `sub`, in characters. OpenID Connect Core §2 allows 255. */
export const maxSubjectLength = 255
/** Most groups that one identity may carry. */
export const maxGroups = 1_000
