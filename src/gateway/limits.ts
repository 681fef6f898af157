/** Largest request body, in bytes. A query may have 64 KiB, and urlencoding can triple that. */
export const maxBody = 512 * 1024
/** Longest error sentence, in bytes: Grafana shows the first 1,024 bytes of an error's whole body. */
export const maxMessage = 700
/** Longest value of a header that is recorded as claimed context, in characters. */
export const maxClaim = 256

/** How many seconds' worth of requests may come at once: a dashboard asks for all of its panels together. */
export const burstSeconds = 3
/** How long a request waits for an earlier one of the same person to end, in milliseconds, and how many may wait. */
export const maxWait = 30_000
export const maxWaiting = 64
/** After how many seconds to try again, where nothing says when there will be room. */
export const retryAfter = 5
/** How many people are counted at a time; those who asked for nothing lately are forgotten. */
export const maxPeople = 10_000
/** What Prometheus may take to end an evaluation at its timeout before its answer is given up, in milliseconds. */
export const timeoutGrace = 5_000
