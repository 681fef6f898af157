/** Every bound of this room in one place. Times are milliseconds. */
export const reviewLimits = {
  /** After a failure to write the index, before the next try. */
  againMs: 10_000,
  /** Requests that may be under way or waiting before `busy` is answered. */
  waiting: 32,
  /** Requests that the child works on at once. */
  atOnce: 3,
  /** The longest that an answer may take: a look, a query in SQL, an export. */
  searchMs: 30_000,
  sqlMs: 30_000,
  exportMs: 2 * 3_600_000,
  /** How long files are lent to a query in SQL. */
  leaseMs: 120_000,
  /** Between two starts of a child that dies, at least and at most. */
  restartMs: 500,
  restartMostMs: 30_000,
  /** How often the child looks at the directory without being asked. */
  lookMs: 1_000,
  /** Rows of an answer in SQL, its text, and characters of one of its values. */
  sqlRows: 1_000,
  sqlUnits: 20_000,
  sqlValueUnits: 10_000,
  /** Rows of a page. */
  pageRows: 1_000,
  /** Records of one request that are shown. */
  requestRecords: 100,
  /** Records of a client that ask the same are folded where each comes within this time after the one before. */
  foldMs: 2_000,
  /** Buckets of a timeline, at most. */
  buckets: 120,
  /** Content of segments that are not in the index and that a search reads itself: more, and it must wait for the index. */
  hotBytes: 64 * 1024 * 1024,
  /** Records that wait for their outcomes while a segment is read. */
  pairing: 10_000,
  /** Characters of one column: the record holds more, in theory. */
  textUnits: 256 * 1024,
  /** Words that a record names: one with more is found for every namespace. */
  mentions: 2_000,
  /** Rows of a part, so that sorting it takes little memory. */
  partRows: 50_000,
  /** Batches of parts, of one day and size, that are merged. */
  mergeBatches: 8,
  /** How long a file of the index stays after the last one that knows it may have begun to read. */
  trashMs: 10 * 60_000,
} as const
