/** Longest token that is looked at, in characters. */
export const maxTokenLength = 8_192
/** Longest `sub`, in characters. OpenID Connect Core §2 allows 255. */
export const maxSubjectLength = 255
/** Most groups that one identity may carry. */
export const maxGroups = 1_000
/** Largest answer of a provider that is read, in bytes. */
export const maxProviderAnswer = 1_048_576
/** Longest time for one question to a provider, in milliseconds. */
export const providerTimeout = 5_000
/** Longest time for which keys are used that could not be fetched again, in milliseconds: a day. */
export const maxKeyAge = 86_400_000
/** How much the remembered tokens may hold together: one for each token, and one for each of its groups. */
export const maxRemembered = 200_000
