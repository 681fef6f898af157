/** Longest value of a filter, in characters. */
export const maxValue = 512
/** Longest cursor of a list, in characters, and how many earlier ones an address carries, for the way back. */
export const maxCursor = 256
export const maxBack = 20
/** Rows of a page of the list. */
export const pageRows = 50
/** How much of a query a list shows, in characters; the record's page shows all of it. */
export const maxShown = 400
/** How long one page may ask the index, in milliseconds. */
export const maxAsking = 20_000
/** Greatest number of pairs of words that are compared for a difference; beyond it nothing is marked. */
export const maxPairs = 4_000_000
/** Longest title and note of a review, and text of a query in SQL, in characters. */
export const maxTitle = 120
export const maxNote = 2_000
export const maxSql = 20_000
/** Most saved reviews, and most signatures, that are read for the list. */
export const maxReviews = 200
export const maxSignatures = 1_000
/** Records that are kept in memory because they are read again and again: they never change. */
export const maxKeptRecords = 5_000
/** After how many milliseconds a review should have been signed again: 30 days. */
export const overdue = 30 * 86_400_000
/** How long an export may take, in milliseconds. */
export const maxExporting = 7_200_000
/** How long an exported file is kept for whoever asked for it, in milliseconds, and how many there may be. */
export const exportLife = 1_800_000
export const maxExports = 8
/** Of how many records the summary of what a person saw is made. */
export const maxRead = 1_000
/** How many proofs are made at a time, and how many may wait for that. */
export const maxProofs = { made: 1, waiting: 8 } as const
/** Records among which the first one of a person is looked for. */
export const maxFirst = 1_000
