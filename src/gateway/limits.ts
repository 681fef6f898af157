/** Largest request body, in bytes. A query may have 64 KiB, and urlencoding can triple that. */
export const maxBody = 512 * 1024
/** Longest error sentence, in bytes: Grafana shows the first 1,024 bytes of an error's whole body. */
export const maxMessage = 700
/** Longest value of a header that is recorded as claimed context, in characters. */
export const maxClaim = 256
