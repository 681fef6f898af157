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
/** How many opaque tokens an issuer is asked about at the same time. */
export const maxIntrospections = 16
/** How many tokens a Kubernetes API server is asked about at the same time, and how many may wait for their turn. */
export const maxTokenReviews = { asked: 16, waiting: 256 } as const
/** Most answers to such questions that are remembered. */
export const maxReviewed = 10_000
/** Longest identity of the mesh, in characters: it is a DNS name (RFC 1035 §2.3.4). */
export const maxMeshIdentity = 253
/** Longest silence in one question of the mesh's self-test, in milliseconds. */
export const selfTestTimeout = 3_000
/** Most bytes of one cookie, name and value together: browsers take 4,096 with the attributes. */
export const maxCookie = 3_800
/** Most cookies over which a session is spread. Node reads 16 KiB of headers in all. */
export const maxSessionCookies = 3
/** Most logins that one browser may have under way: each is a cookie. */
export const maxLoginsUnderWay = 4
/** How long a login may take, in milliseconds. */
export const maxLoginTime = 600_000
/** For how long a session counts where the provider does not say, in milliseconds; and the longest, whatever it says. */
export const vouched = { usual: 300_000, longest: 3_600_000 } as const
/** Most withdrawals, and most logout tokens, that are kept in mind at a time. */
export const maxKept = 100_000
/** Most renewed sessions that are kept in mind at a time. */
export const maxRenewals = 10_000
/** Longest path to which somebody returns after a login, in characters. */
export const maxReturnPath = 2_000
/** The greatest age of a logout token, in seconds. OpenID Connect Back-Channel Logout §2.4 recommends two minutes. */
export const maxLogoutTokenAge = 300
